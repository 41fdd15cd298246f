"""The graph `rlm` and its checkpointer, which `langgraph.json` names for LangGraph's Agent Server and Studio.

The server asks for the graph repeatedly and sets its own checkpointer. The live parts behind both (stores, kernel
host) are opened once, when the first of the two is asked for, and closed with the server.
The home is `$RLM_HOME`, else `./.rlm` if the user has made it or agreed to it; settings that neither a run's input nor
its assistant names come from `RLM_…` and `rlm.toml`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from ..state.checkpointer import RunSaver
from .langgraph_adapter import DurableGraph
from .runner import Runner
from .tracing import asked_for


class _Opened:
    """The only runner of a server process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None

    async def runner(self) -> Runner:
        async with self._lock:
            if self._runner is None:
                opening = Runner.open(os.environ.get("RLM_HOME") or None, tracing=asked_for(os.environ))
                self._runner = await self._stack.enter_async_context(opening)
            return self._runner

    async def close(self) -> None:
        async with self._lock:
            self._runner = None
            await self._stack.aclose()


_opened = _Opened()


async def opened_runner() -> Runner:
    """Return the runner behind the server's graph and checkpointer, for the other routes of the server."""
    return await _opened.runner()


async def make_graph() -> DurableGraph:
    """Return the graph without a checkpointer: the server sets its own, which runs ignore."""
    return (await _opened.runner()).graph.copy(update={"checkpointer": None})


class _ServedSaver(RunSaver):
    """The saver with the server's copy and delete operations, which take the server's ids of runs."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(*runner.saver.parts)
        self._runner = runner

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a run by forking it at its last step. Raises UnknownThread, UsageError for a run without steps."""
        run = await self._runner.read(await self._runner.named_by_server(source_thread_id))
        await self._runner.fork(run.thread_id, run.steps, into=target_thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Take back what runs of the server did, also of those that have made no step yet; stop them first."""
        await self._runner.graph.adapter.end(run_ids=[str(run_id) for run_id in run_ids])
        await super().adelete_for_runs(run_ids)
        begun = [self._runner.graph.adapter.begun_by.pop(str(run_id), None) for run_id in run_ids]
        for thread_id in filter(None, begun):
            if not [one async for one in self.alist({"configurable": {"thread_id": thread_id}}, limit=1)]:
                await super().adelete_thread(thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Prune runs as the saver does, named by the server."""
        names = [await self._runner.named_by_server(str(thread_id)) for thread_id in thread_ids]
        await super().aprune(names, strategy=strategy)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a run as `rlm delete` does; stop it first if this server executes it.

        The server has forgotten its own runs of the thread already. Raises RunBusy while another process runs it.
        """
        await self._runner.graph.adapter.end(thread_id=str(thread_id))
        await super().adelete_thread(await self._runner.named_by_server(str(thread_id)))


@asynccontextmanager
async def checkpointer() -> AsyncGenerator[RunSaver]:
    """Provide the saver over the home's database, and close the runner when the server ends."""
    try:
        yield _ServedSaver(await _opened.runner())
    finally:
        await _opened.close()
