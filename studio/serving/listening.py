"""A server's socket, which is taken before anything is loaded, so that a port that is taken is reported at once."""

import errno
import ipaddress
import socket
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import uvicorn

from ...state.errors import UsageError


class Server(uvicorn.Server):
    """Says when it is ready; leaves signals to `Stopping`."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    def capture_signals(self) -> Any:
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


LONGEST_STOP = 1
"""Seconds that open connections are given when a server stops. Nothing depends on them."""


def config_of(app: Any) -> uvicorn.Config:
    """Return the configuration of a server of ours: it logs no requests, and believes no proxy."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LONGEST_STOP,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port` (0: a free one). Raises UsageError where it cannot be had."""
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
    """Return the URL at which clients on this machine reach the server."""
    port = listening.getsockname()[1]
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
