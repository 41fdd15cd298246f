"""The socket that the server listens on, taken before anything is loaded: a port that is taken is said at once."""

import errno
import ipaddress
import socket

from ...state.errors import UsageError


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0: a free one). Raises UsageError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"There is no address {host} on this machine: {error.strerror}.") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"Port {port} of {host} is taken: another program listens there.",
                hint="Name another one with --port, or any free one with --port 0.",
            ) from error
        raise UsageError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from error
    return listening


def url_of(host: str, listening: socket.socket) -> str:
    """Where clients on this machine find the server."""
    port = listening.getsockname()[1]
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
