"""The end of a server: runs that are under way stop as those of the command line do, saved and resumable.

LangGraph's server would mark them as pending when it ends, and go on with them by itself when it starts the next time.
Who stops a server does not ask for that: they are cancelled, through the server's own API, and go on when told to.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from .token import Access

LONGEST = 1.2
"""Seconds that runs are given to stop."""
_OFTEN = 0.02
_HERE = ("127.0.0.1", 1)
_MOST = 1000
"""As many as the server lists at once."""


async def stop_runs(application: Any, access: Access, longest: float = LONGEST) -> None:
    """Cancel every run under way or waiting its turn here, and wait until none is, `longest` seconds at most."""
    deadline = time.monotonic() + longest
    asking = _Asking(application, access)
    # One by one: when told to cancel all, the in-memory server notes it down and tells no run that is under way.
    # What another process runs is busy as well, and is left alone.
    stopped = {thread for thread in await _busy(asking) if await _stop_thread(asking, thread)}
    # The server tells nobody when a run has ended but those who asked for its stream.
    while stopped & await _busy(asking) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_OFTEN)


async def _busy(asking: "_Asking") -> set[str]:
    found = await asking("POST", "/threads/search", {"status": "busy", "limit": _MOST, "select": ["thread_id"]})
    return {str(thread["thread_id"]) for thread in found or []}


async def _stop_thread(asking: "_Asking", thread: str) -> bool:
    """Whether there was anything to stop."""
    stopped = False
    # Those that wait their turn first, or one of them would begin.
    for status in ("pending", "running"):
        runs = await asking("GET", f"/threads/{thread}/runs", query=f"status={status}&limit={_MOST}")
        if runs:
            await asking("POST", "/runs/cancel", {"thread_id": thread, "run_ids": [run["run_id"] for run in runs]})
            stopped = True
    return stopped


class _Asking:
    """Asks the application without a connection, as anybody has to: with the token."""

    def __init__(self, application: Callable[..., Awaitable[None]], access: Access) -> None:
        self._application = application
        self._headers = [
            (b"host", f"{_HERE[0]}:{_HERE[1]}".encode()),
            (b"authorization", f"Bearer {access.token}".encode()),
            (b"content-type", b"application/json"),
        ]

    async def __call__(self, method: str, path: str, document: Any = None, query: str = "") -> Any:
        """What it answers, decoded; None for an error and where there is nothing to say."""
        body = b"" if document is None else json.dumps(document).encode()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "server": _HERE,
            "client": None,
            "headers": [*self._headers, (b"content-length", str(len(body)).encode())],
        }
        said: list[bytes] = []
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            said.append(message.get("body", b""))

        await self._application(scope, receive, send)
        return json.loads(b"".join(said)) if statuses == [200] else None
