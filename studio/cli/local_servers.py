"""Model servers on this machine, found on the ports where they listen by default.

Only loopback is asked, without a proxy, without a key, all ports at once and briefly. Any program may answer there:
its reply is read up to a limit, and only names that a command line can carry unchanged are taken from it.
"""

import asyncio
import http.client
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..terminal.escape import HOSTILE

SERVERS: Mapping[int, str] = {11434: "Ollama", 8000: "vLLM", 8080: "llama.cpp", 1234: "LM Studio"}
"""Servers by their default ports. The program that really answers there is not known."""

SECONDS = 0.3
"""Time limit for all of them together."""
_MOST_BYTES = 1 << 20
_MOST_MODELS = 1_000
_LONGEST_NAME = 200


@dataclass(frozen=True)
class LocalServer:
    """A server that lists models."""

    base_url: str
    """The value for `--base-url`."""
    models: tuple[str, ...]
    """The names of the models that can be asked, at least one."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The flags for a run that asks the first of its models."""
        return "--model", f"openai:{self.models[0]}", "--base-url", self.base_url


async def find_servers(ports: Sequence[int] | None = None, *, seconds: float | None = None) -> list[LocalServer]:
    """List the servers on these ports of 127.0.0.1 that have a model, in the order of `ports`. Never raises.

    `ports` and `seconds` are SERVERS and SECONDS unless given.
    """
    patience = SECONDS if seconds is None else seconds
    lookups = [_models_of(port, patience) for port in (SERVERS if ports is None else ports)]
    return [server for server in await asyncio.gather(*lookups) if server]


async def _models_of(port: int, seconds: float) -> LocalServer | None:
    received = bytearray()
    try:
        async with asyncio.timeout(seconds):
            await _receive(port, received)
    except (TimeoutError, OSError):
        return None
    models = _models_in(bytes(received))
    return LocalServer(f"http://127.0.0.1:{port}/v1", models) if models else None


async def _receive(port: int, received: bytearray) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = ("GET /v1/models HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: application/json", "Connection: close")
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        while len(received) <= _MOST_BYTES and (part := await reader.read(1 << 16)):
            received += part
            # A server need not close the connection.
            if _models_in(bytes(received)):
                return
    finally:
        writer.close()


class _Received:
    """A stand-in for the socket that `http.client` reads a response from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _models_in(received: bytes) -> tuple[str, ...]:
    """Return the names in a response of `/v1/models`; none when it is another response, cut or too long."""
    if len(received) > _MOST_BYTES:
        return ()
    try:
        response = http.client.HTTPResponse(cast(Any, _Received(received)))
        response.begin()
        listed = json.loads(response.read()) if response.status == 200 else None
    except (http.client.HTTPException, OSError, ValueError, OverflowError, RecursionError):
        return ()
    data: Any = cast("dict[str, Any]", listed).get("data") if isinstance(listed, dict) else None
    if not isinstance(data, list):
        return ()
    found = [_name_in(one) for one in cast("list[Any]", data)[:_MOST_MODELS]]
    return tuple(name for name in found if name)


def _name_in(one: Any) -> str:
    """Return the name of a listed model; empty when it cannot be asked, or not be named on a command line."""
    name: Any = cast("dict[str, Any]", one).get("id") if isinstance(one, dict) else None
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        return ""
    unfit = HOSTILE.search(name) or any(sign in name for sign in "\t\n") or "embed" in name.lower()
    return "" if unfit else name
