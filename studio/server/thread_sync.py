"""Show the runs of the home as threads of LangGraph's server, whichever process executes them.

The server lists the threads of a table of its own and knows nothing of others. So those of our index are entered
there with their status, at the start and while it runs: runs of the command line, sub-RLMs and forks. A thread of the
server is named by a UUID: that of a run with a name (`--thread NAME`) is made from the name, which its metadata has
(`graph/langgraph_ids.py`).
"""

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from ...graph.langgraph_ids import server_name
from ...graph.runner import Runner
from ...graph.watcher import Changed, Standing, find_changes
from ...nodes.runtime.untrusted_text import shortened_line
from ...state.errors import RlmError
from .langgraph_api_compat import tables

BETWEEN_LOOKS = 1.0
_QUESTION = 200
"""Characters of a question in a list."""
_STATUS = {"answered": "idle", "budget": "idle", "busy": "busy", "failed": "error"}
"""The server's name for a status; everything else has more to do and is `interrupted`."""
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def keep_known(runner: Runner) -> AsyncGenerator[None]:
    """While this lasts, the server knows the runs of the home. Does nothing in a server with another runtime."""
    if os.environ.get("LANGGRAPH_RUNTIME_EDITION") != "inmem":
        yield
        return
    known = _Known(runner)
    await known.look()
    watching = asyncio.create_task(known.watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        known.forget_busy()


class _Known:
    """Our runs in the server's table of threads."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._watch = runner.watch()
        self._standings: dict[uuid.UUID, Standing] = {}

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(BETWEEN_LOOKS)
            try:
                await self.look()
            except Exception:
                _log.exception("The runs of the home could not be shown to the server; it is tried again.")

    async def look(self) -> None:
        """Show the server what has changed since the last look."""
        first = not self._standings
        changed, gone = await find_changes(self._watch)
        there = {thread["thread_id"]: thread for thread in tables()["threads"]}
        for one in changed:
            name = server_name(one.row.thread_id)
            self._standings[name] = one.standing
            if name not in there:
                tables()["threads"].append(there.setdefault(name, _entry(name, one)))
            elif there[name]["metadata"].get("run_status") == one.standing and first:
                continue
            await self._update(there[name], one, whole=not first)
        for name in map(server_name, gone):
            self._standings.pop(name, None)
            if name in there and name not in _run_here():
                tables()["threads"].remove(there[name])
        self._correct()

    async def _update(self, thread: dict[str, Any], one: Changed, *, whole: bool) -> None:
        facts = await self._state(one, whole=whole)
        thread["metadata"] = {**thread["metadata"], **_metadata(one)}
        if thread["thread_id"] in _run_here():
            # The server itself says how its own runs stand.
            return
        moment = _moment(one.row.updated)
        error = one.row.error if one.standing == "failed" else None
        thread.update(
            status=_STATUS.get(one.standing, "interrupted"),
            error=error and {"error": error.get("type"), "message": error.get("message")},
            updated_at=moment,
            state_updated_at=moment,
            **facts,
        )

    async def _state(self, one: Changed, *, whole: bool) -> dict[str, Any]:
        """Return what the server's list shows of a run's state: a few words, and of a run that waits all of it."""
        if one.standing == "busy":
            return {}
        if whole or one.standing == "paused":
            with contextlib.suppress(RlmError):
                found = await self._runner.graph.aget_state({"configurable": {"thread_id": one.row.thread_id}})
                waiting = {task.id: [{"id": i.id, "value": i.value} for i in task.interrupts] for task in found.tasks}
                return {"values": found.values, "interrupts": {task: i for task, i in waiting.items() if i}}
        return {"values": {"question": one.row.question, "status": one.standing}, "interrupts": {}}

    def _correct(self) -> None:
        """A request that was refused (a run that is busy, an answer that does not fit) is no error of the run."""
        here = _run_here()
        for thread in tables()["threads"]:
            standing = self._standings.get(thread["thread_id"], "failed")
            if thread["status"] == "error" and standing != "failed" and thread["thread_id"] not in here:
                thread.update(status=_STATUS.get(standing, "interrupted"), error=None)

    def forget_busy(self) -> None:
        """Once this server ends, it does not know any more what others run."""
        here = _run_here()
        for thread in tables()["threads"]:
            if self._standings.get(thread["thread_id"]) == "busy" and thread["thread_id"] not in here:
                thread["status"] = "interrupted"


def _entry(name: uuid.UUID, one: Changed) -> dict[str, Any]:
    """A row of the server's table, as `Threads.put` of its in-memory runtime makes it; busy until more is known."""
    moment = _moment(one.row.created)
    return {
        "thread_id": name,
        "created_at": moment,
        "updated_at": moment,
        "state_updated_at": moment,
        "metadata": _metadata(one),
        "status": "busy",
        "config": {},
        "values": None,
    }


def _metadata(one: Changed) -> dict[str, Any]:
    row = one.row
    facts = {
        "graph_id": "rlm",
        "question": shortened_line(row.question, _QUESTION),
        "run_status": one.standing,
        "model": row.model,
        "name": row.thread_id,
        "top": row.caller is None,
    }
    related = {"parent_thread_id": row.caller, "forked_from": row.parent}
    return facts | {what: str(server_name(name)) for what, name in related.items() if name is not None}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _run_here() -> set[uuid.UUID]:
    """The threads that the server itself runs, or will."""
    return {run["thread_id"] for run in tables()["runs"] if run["status"] in ("pending", "running")}
