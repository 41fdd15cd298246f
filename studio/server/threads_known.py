"""The runs of the home as threads of LangGraph's server, whoever runs them: `rlm run` in a terminal, a sub-RLM, a fork.

The server lists the threads of a table of its own and knows nothing of others. So those of our index are entered
there, at the start and while it runs, with how they stand. A thread of the server is called by a UUID: that of a run
that a person has named (`--thread NAME`) is made from the name, which its metadata says (`graph/thread_names.py`).
"""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncGenerator
from typing import Any

from ...graph.index_watch import Changed, find_changes
from ...graph.runner import Runner
from ...graph.thread_names import server_name
from ...nodes.quoting import shortened
from ...state.errors import RlmError

BETWEEN_LOOKS = 1.0
_QUESTION = 200
"""Characters of a question in a list."""


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
        await known.forget_busy()


class _Known:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._watch = runner.watch()
        self._busy: set[uuid.UUID] = set()
        """Threads that another process runs."""

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(BETWEEN_LOOKS)
            await self.look()

    async def look(self) -> None:
        """Tell the server what has changed since the last look."""
        changed, gone = await find_changes(self._watch)
        table = _table()
        there = {thread["thread_id"]: thread for thread in table["threads"]}
        ours = {run["thread_id"] for run in table["runs"] if run["status"] in ("pending", "running")}
        for one in changed:
            name = server_name(one.row.thread_id)
            await self._tell(name, one, known=name in there, run_here=name in ours)
        for name in map(server_name, gone):
            if name in there and name not in ours:
                table["threads"].remove(there[name])

    async def _tell(self, name: uuid.UUID, one: Changed, *, known: bool, run_here: bool) -> None:
        from langgraph_runtime_inmem.database import InMemConnectionProto
        from langgraph_runtime_inmem.ops import Threads

        connection = InMemConnectionProto()
        if known:
            await Threads.patch(connection, name, metadata=_metadata(one))
        else:
            await Threads.put(connection, name, metadata=_metadata(one), if_exists="do_nothing")
        if run_here:
            # The server itself says how its own runs stand.
            return
        error = one.row.error if one.standing == "failed" else None
        await Threads.set_status(connection, name, await self._checkpoint(one), _failure(error))
        self._busy.discard(name)
        if one.standing == "busy":
            self._busy.add(name)
            _set(name, status="busy")

    async def _checkpoint(self, one: Changed) -> Any:
        """What the server's list says of a run's state: what waits for a person whole, and else a few words."""
        values = {"question": one.row.question, "status": one.standing}
        if one.standing != "paused":
            ended = one.standing in ("answered", "budget")
            return {"next": [] if ended else ["…"], "values": values, "tasks": []}
        snapshot = await self._runner.graph.aget_state({"configurable": {"thread_id": one.row.thread_id}})
        tasks = [{"id": task.id, "interrupts": list(task.interrupts)} for task in snapshot.tasks]
        return {"next": list(snapshot.next), "values": values, "tasks": tasks}

    async def forget_busy(self) -> None:
        """Once this server ends, it does not know any more who runs what."""
        for name in self._busy:
            _set(name, status="interrupted")


def _metadata(one: Changed) -> dict[str, Any]:
    row = one.row
    facts = {
        "graph_id": "rlm",
        "question": shortened(" ".join(row.question.split()), _QUESTION),
        "run_status": one.standing,
        "model": row.model,
        "name": row.thread_id,
        "top": row.caller is None,
    }
    related = {"parent_thread_id": row.caller, "forked_from": row.parent}
    return facts | {what: str(server_name(name)) for what, name in related.items() if name is not None}


def _failure(facts: dict[str, Any] | None) -> RlmError | None:
    return None if facts is None else RlmError(str(facts.get("message", "")), hint=str(facts.get("hint", "")))


def _table() -> Any:
    from langgraph_runtime_inmem.database import GLOBAL_STORE

    return GLOBAL_STORE


def _set(name: uuid.UUID, **facts: Any) -> None:
    for thread in _table()["threads"]:
        if thread["thread_id"] == name:
            thread.update(facts)
