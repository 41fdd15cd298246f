"""A sitting: a thread is taken, the graph goes on with it, and how it stands then is written down.

Where it goes on is read only once the thread is taken: until then another process may change it (promise P4).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from ..nodes.hands import Stores
from ..nodes.live import AS_SAVED, LiveRuns, Manner
from ..state.errors import LeaseLost, RlmError, RunBusy, StoreError
from ..state.leases import RENEW_AFTER
from ..state.ledger import Limits
from ..state.schema import RestoreRecord, RunInput, RunState, Status
from ..state.settings import saved_settings
from ..state.threads import Thread
from .build import Graph
from .results import error_facts

OnEvent = Callable[[dict[str, Any]], None]
# LangGraph counts supersteps and stops at 25 by default; the run's own limits are what rules here.
_NO_RECURSION_LIMIT = 10_000_000


@dataclass(frozen=True)
class Beginning:
    """Where a sitting goes on."""

    start: RunInput | Command[Any] | None
    """None: from the last saved step."""
    limits: Limits
    reopen: bool = False
    """Whether the run had ended for want of a budget that was raised since: it goes on with another turn."""


def beginning_of(row: Thread, snapshot: StateSnapshot, limits: Limits) -> Beginning | None:
    """Where a thread goes on with these limits; None when it has ended, and is known to have.

    One that has ended for want of budget goes on when its limits have been raised since. Raises StoreError for a run
    of another version that this one cannot go on with.
    """
    state = cast(RunState, snapshot.values)
    status, raised = state.get("status", "running"), limits != row.limits
    if status == row.status and (status == "answered" or (status == "budget" and not raised)):
        return None
    if state:
        saved_settings(state.get("settings", {}))
    start = None if state else cast(RunInput, row.start)
    # Where a task is left, its process died between what the last node wrote and the step: that is what remains to do.
    return Beginning(start, limits, reopen=status == "budget" and (raised or not snapshot.tasks))


FindBeginning = Callable[[], Awaitable[Beginning | None]]
"""Where the thread goes on; None when there is nothing left to do."""


@dataclass
class Sat:
    """What came of a sitting, beside what was saved."""

    stopped: bool = False
    busy: RlmError | None = None
    """Another process has the thread, or has taken it over."""
    unsaved: StoreError | None = None
    """How it ended could not be written down."""
    restore: RestoreRecord | None = None
    error: RlmError | None = None
    """What ended it, as it is in the index of runs, too."""


@dataclass(frozen=True)
class _Running:
    task: "asyncio.Task[None]"
    hurry: contextlib.ExitStack
    """Entered once the sitting is to end: then it waits for no other process that writes."""


class Sittings:
    """The sittings of one process."""

    def __init__(self, stores: Stores, live: LiveRuns, graph: Graph) -> None:
        self._stores = stores
        self._live = live
        self._graph = graph
        self._running: dict[str, _Running] = {}
        self._callers: dict[str, str] = {}
        """Of the child runs under way, who called them."""

    def stop(self, thread_id: str) -> bool:
        """Cancel a thread's sitting, children and all; that of a child with its caller's. Whether there was one."""
        while (caller := self._callers.get(thread_id)) is not None:
            thread_id = caller
        running = self._running.get(thread_id)
        if running is None:
            return False
        running.hurry.enter_context(self._stores.database.hurried())
        return running.task.cancel()

    def stop_all(self) -> bool:
        """Cancel every sitting; whether there was any."""
        return any([self.stop(thread_id) for thread_id in list(self._running)])

    async def sit(
        self,
        thread_id: str,
        find: FindBeginning,
        on_event: OnEvent,
        *,
        manner: Manner = AS_SAVED,
        caller: str | None = None,
    ) -> Sat:
        """Run the graph until it ends, pauses, fails or is stopped. Raises what `find` raises.

        `caller`: whose sitting this one is a part of; a child that goes on by itself keeps its tree from running.
        """
        if caller is not None:
            self._callers[thread_id] = caller
        try:
            with contextlib.ExitStack() as hurry:
                async with self._taken(thread_id):
                    beginning = await find()
                    return await self._run(thread_id, beginning, on_event, hurry, manner) if beginning else Sat()
        except (RunBusy, LeaseLost) as busy:
            return Sat(busy=busy)
        finally:
            if caller is not None:
                del self._callers[thread_id]

    @contextlib.asynccontextmanager
    async def _taken(self, thread_id: str) -> AsyncGenerator[None]:
        """Hold the thread, and the tree that it is in unless its caller does. Raises RunBusy."""
        async with contextlib.AsyncExitStack() as held:
            for name in await self._names_to_hold(thread_id):
                try:
                    await self._stores.leases.acquire(name)
                except RunBusy as busy:
                    if name == thread_id:
                        raise
                    raise RunBusy(
                        f"The sub-RLM {thread_id} is a part of {name}. {busy.message}", hint=busy.hint
                    ) from None
                held.push_async_callback(self._release, name)
            yield

    async def _names_to_hold(self, thread_id: str) -> list[str]:
        """The run at the top of its tree, unless that is being run here, and the thread."""
        top = thread_id if thread_id in self._callers else await self._stores.threads.top_of(thread_id)
        return list(dict.fromkeys([top, thread_id]))

    async def _release(self, thread_id: str) -> None:
        # What cannot be written down now, the end of this process says, or the next `acquire`.
        with contextlib.suppress(StoreError):
            await self._stores.leases.release(thread_id)

    async def _run(
        self, thread_id: str, beginning: Beginning, on_event: OnEvent, hurry: contextlib.ExitStack, manner: Manner
    ) -> Sat:
        """Raises LeaseLost; nothing of what came after that was saved."""
        error: RlmError | None = None
        sat = Sat()
        self._live.manners[thread_id] = manner
        task = asyncio.create_task(self._go(thread_id, beginning, on_event))
        if thread_id not in self._callers:
            self._running[thread_id] = _Running(task, hurry)
        beating = asyncio.create_task(self._keep_leases(thread_id, task))
        try:
            await task
        except asyncio.CancelledError:
            sat.stopped = True
            current = asyncio.current_task()
            if current and current.cancelling():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise
        except LeaseLost:
            raise
        except RlmError as failure:
            error = failure
        except Exception as failure:
            error = RlmError(f"Something unexpected went wrong: {type(failure).__name__}: {failure}")
            raise
        finally:
            beating.cancel()
            self._running.pop(thread_id, None)
            self._live.manners.pop(thread_id, None)
            sat.error = error
            live = self._live.find(thread_id)
            seconds, sat.restore = (live.ledger.seconds, live.restore) if live else (None, None)
            await self._live.close(thread_id)
            sat.unsaved = await self._settle(thread_id, stopped=sat.stopped, error=error, seconds=seconds)
        return sat

    async def _go(self, thread_id: str, beginning: Beginning, on_event: OnEvent) -> None:
        await self._stores.threads.begin(thread_id, beginning.limits)
        config = config_of(thread_id)
        if beginning.reopen:
            changes = {"status": "running", "last": False, "note": None, "spent": None}
            await self._graph.aupdate_state(config, changes, as_node="prepare")
        async for event in self._graph.astream(beginning.start, config, stream_mode="custom", durability="sync"):
            on_event(cast(dict[str, Any], event))

    async def _keep_leases(self, thread_id: str, task: asyncio.Task[None]) -> None:
        """Say now and then that the holder is alive; stop the run when another process has taken it over."""
        while True:
            await asyncio.sleep(RENEW_AFTER)
            try:
                for name in await self._names_to_hold(thread_id):
                    await self._stores.leases.renew(name)
            except LeaseLost:
                task.cancel()
                return
            except StoreError:
                # The run will meet the same, and say so; or it was over when it got there.
                continue

    async def _settle(
        self, thread_id: str, *, stopped: bool, error: RlmError | None, seconds: float | None
    ) -> StoreError | None:
        """Write how the sitting ended into the index of runs; what kept it from that."""
        threads = self._stores.threads
        facts = error_facts(error) if error else None
        try:
            row = await threads.get(thread_id)
            status = await self._standing(thread_id, stopped=stopped, failed=error is not None)
            seconds = row.seconds if seconds is None else seconds
            await threads.set_status(thread_id, status, seconds=seconds, error=facts)
        except LeaseLost:
            # Whoever has the thread now says how it stands.
            return None
        except StoreError as failure:
            return error if isinstance(error, StoreError) else failure
        return None

    async def _standing(self, thread_id: str, *, stopped: bool, failed: bool) -> Status:
        try:
            snapshot = await self._graph.aget_state(config_of(thread_id))
        except StoreError:
            if failed:
                return "failed"
            raise
        status: Status = snapshot.values.get("status", "running")
        if status != "running":
            return status
        if snapshot.interrupts and not stopped:
            return "paused"
        return "failed" if failed and not stopped else "stopped"


def config_of(thread_id: str) -> RunnableConfig:
    """How LangGraph is told which thread is meant."""
    return {"configurable": {"thread_id": thread_id}, "recursion_limit": _NO_RECURSION_LIMIT}
