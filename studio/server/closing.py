"""The end of a server: runs that are under way stop as those of the command line do, saved and resumable.

LangGraph's server would mark them as pending when it ends, and go on with them by itself when it starts the next time.
Who stops a server does not ask for that: they are cancelled, through the server's own API, and go on when told to.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from .access import Access

LONGEST = 1.2
"""Seconds that runs are given to stop."""
_OFTEN = 0.02
_HERE = ("127.0.0.1", 1)


async def stop_runs(application: Any, access: Access, longest: float = LONGEST) -> None:
    """Cancel every run under way or waiting its turn, and wait until none is, `longest` seconds at most."""
    deadline = time.monotonic() + longest
    if await _post(application, access, "/runs/cancel", b'{"status": "all"}') >= 400:
        # There was none.
        return
    # The server tells nobody when a run has ended but those who asked for its stream.
    while time.monotonic() < deadline and await _busy(application, access):  # noqa: ASYNC110
        await asyncio.sleep(_OFTEN)


async def _busy(application: Any, access: Access) -> bool:
    said: list[bytes] = []
    await _post(application, access, "/threads/count", b'{"status": "busy"}', said)
    return b"".join(said).strip() not in (b"", b"0")


async def _post(
    application: Callable[..., Awaitable[None]],
    access: Access,
    path: str,
    body: bytes,
    said: list[bytes] | None = None,
) -> int:
    """Ask the application without a connection, as anybody has to: with the token. Returns the status."""
    host, port = _HERE
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": _HERE,
        "client": None,
        "headers": [
            (b"host", f"{host}:{port}".encode()),
            (b"authorization", f"Bearer {access.token}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        if said is not None:
            said.append(message.get("body", b""))

    await application(scope, receive, send)
    return status
