"""Attempts to reach other processes over sockets."""

import socket
from typing import Any

from tests.sandbox.hostile.common import Place, attempt, run_program


def _sent(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as client:
        client.settimeout(2)
        if kind == socket.SOCK_DGRAM:
            client.sendto(b"reached", address)
        else:
            client.connect(address)


@attempt()
def tcp(place: Place) -> None:
    """connect by TCP over IPv4."""
    _sent(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", place["tcp"]))


@attempt()
def tcp6(place: Place) -> None:
    """connect by TCP over IPv6."""
    _sent(socket.AF_INET6, socket.SOCK_STREAM, ("::1", place["tcp6"]))


@attempt()
def udp(place: Place) -> None:
    """send by UDP over IPv4."""
    _sent(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", place["udp"]))


@attempt()
def udp6(place: Place) -> None:
    """send by UDP over IPv6."""
    _sent(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", place["udp6"]))


@attempt()
def unix_stream(place: Place) -> None:
    """connect to a Unix socket."""
    _sent(socket.AF_UNIX, socket.SOCK_STREAM, place["stream"])


@attempt()
def unix_datagram(place: Place) -> None:
    """send to a Unix socket."""
    _sent(socket.AF_UNIX, socket.SOCK_DGRAM, place["datagram"])


@attempt()
def unix_raw(place: Place) -> None:
    """send to a Unix socket from a raw socket, which Linux treats as a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as client:
        client.sendto(b"reached", place["datagram"])


@attempt()
def unix_pair(place: Place) -> None:
    """send to a Unix socket from a socket pair."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"reached", place["datagram"])


@attempt()
def abstract_stream(place: Place) -> None:
    """connect to an abstract Unix socket."""
    _sent(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + place["stream"])


@attempt()
def abstract_datagram(place: Place) -> None:
    """send to an abstract Unix socket."""
    _sent(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + place["datagram"])


@attempt()
def abstract_raw(place: Place) -> None:
    """send to an abstract Unix socket from a raw socket, which Linux treats as a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_RAW) as client:
        client.sendto(b"reached", "\0" + place["datagram"])


@attempt()
def listen(place: Place) -> None:
    """listen for connections."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + place["name"])
        server.listen()


@attempt()
def listen_tcp(place: Place) -> None:
    """listen for TCP connections."""
    with socket.socket(socket.AF_INET) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


@attempt()
def netlink(place: Place) -> None:
    """query the machine's network."""
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


@attempt("root")
def raw_packets(place: Place) -> None:
    """capture the packets of the network."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@attempt()
def resolve(place: Place) -> None:
    """resolve a name."""
    socket.getaddrinfo("localhost", 80)


@attempt()
def tcp_from_a_program(place: Place) -> None:
    """connect by TCP from another program."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {place['tcp']}))"
    run_program(code)
