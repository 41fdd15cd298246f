"""What `langgraph.json` serves: graph `rlm` and its checkpointer, for LangGraph's Agent Server and Studio.

The server asks for the graph again and again and brings its own checkpointer slot; the live things behind
both (stores, kernel host) are opened once, by whichever is asked for first, and closed with the server.
The home is `$RLM_HOME`, else `./.rlm`; settings that neither a run's input nor its assistant names come from `RLM_…`
and `rlm.toml`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from ..state.checkpointer import RunSaver
from .langgraph_adapter import DurableGraph
from .runner import Runner
from .tracing import asked_for


class _Opened:
    """The one runner of a server process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None

    async def runner(self) -> Runner:
        async with self._lock:
            if self._runner is None:
                home = os.environ.get("RLM_HOME") or ".rlm"
                opening = Runner.open(home, tracing=asked_for(os.environ))
                self._runner = await self._stack.enter_async_context(opening)
            return self._runner

    async def close(self) -> None:
        async with self._lock:
            self._runner = None
            await self._stack.aclose()


_opened = _Opened()


async def opened_runner() -> Runner:
    """The runner that the server's graph and checkpointer belong to, for what else is served beside them."""
    return await _opened.runner()


async def make_graph() -> DurableGraph:
    """The graph without a checkpointer: the server puts in its own, of which runs take no notice."""
    return (await _opened.runner()).graph.copy(update={"checkpointer": None})


class _ServedSaver(RunSaver):
    """The saver with what the server asks of it by the names that it has for runs: to copy one, and to delete one."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(*runner.saver.parts)
        self._runner = runner

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """A copy is a fork at the last step. Raises UnknownThread, UsageError for a run without steps."""
        run = await self._runner.read(await self._runner.named_by_server(source_thread_id))
        await self._runner.fork(run.thread_id, run.steps, into=target_thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a run as `rlm delete` does. Raises RunBusy while it is being run."""
        await super().adelete_thread(await self._runner.named_by_server(str(thread_id)))


@asynccontextmanager
async def checkpointer() -> AsyncGenerator[RunSaver]:
    """The saver over the home's database, for as long as the server runs."""
    try:
        yield _ServedSaver(await _opened.runner())
    finally:
        await _opened.close()
