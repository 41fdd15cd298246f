"""Stop the runs under way when the server stops, saved and resumable as those of the command line are.

LangGraph's server would mark them as pending when it ends, and resume them by itself when it starts the next time. A
user who stops a server does not ask for that: the runs are cancelled through the server's own API, and are resumed when
somebody asks for it.
"""

import asyncio
import time
from typing import Any

import httpx

from ..serving.token import Access

LONGEST = 1.2
"""Seconds that runs are given to stop."""
_OFTEN = 0.02
_HERE = "http://127.0.0.1:1"
_MOST = 1000
"""As many as the server lists at once."""


async def stop_runs(application: Any, access: Access, longest: float = LONGEST) -> None:
    """Cancel every run under way or queued here, and wait until all have ended, `longest` seconds at most."""
    deadline = time.monotonic() + longest
    async with _client(application, access) as client:
        # One by one: asked to cancel all, the in-memory server notes it down and cancels no run that is under way.
        # What another process executes is busy as well, and is left alone.
        stopped = {thread for thread in await _busy(client) if await _stop_thread(client, thread)}
        # The server notifies only those who asked for a run's stream when it has ended.
        while stopped & await _busy(client) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_OFTEN)


async def _busy(client: httpx.AsyncClient) -> set[str]:
    query = {"status": "busy", "limit": _MOST, "select": ["thread_id"]}
    return {str(thread["thread_id"]) for thread in await _asked(client, "POST", "/threads/search", json=query) or []}


async def _stop_thread(client: httpx.AsyncClient, thread: str) -> bool:
    """Cancel the runs of one thread. Return whether there were any."""
    stopped = False
    # Those that are queued first, or one of them would begin.
    for status in ("pending", "running"):
        runs = await _asked(client, "GET", f"/threads/{thread}/runs", params={"status": status, "limit": _MOST})
        if runs:
            cancel = {"thread_id": thread, "run_ids": [run["run_id"] for run in runs]}
            await _asked(client, "POST", "/runs/cancel", json=cancel)
            stopped = True
    return stopped


def _client(application: Any, access: Access) -> httpx.AsyncClient:
    """Return a client of the application that needs no connection; like every client it sends the token."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application),
        base_url=_HERE,
        headers={"authorization": f"Bearer {access.token}"},
        timeout=None,
    )


async def _asked(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> Any:
    """Return the decoded reply; None for an error."""
    response = await client.request(method, path, **request)
    return response.json() if response.status_code == 200 else None
