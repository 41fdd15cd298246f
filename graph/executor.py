"""A sitting: a thread is taken, the graph goes on with it, and how it stands then is written down.

Where it goes on is read only once the thread is taken: until then another process may change it (promise P4).
Every sitting goes this way: those of the runner, of child runs, and of whoever calls the compiled graph as LangGraph's
callers do (`plain_callers.py`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.types import Command, StateSnapshot

from ..nodes.runtime.active_runs import DEFAULT_OPTIONS, ActiveRuns, ExecutionOptions
from ..nodes.runtime.dependencies import Stores
from ..state.budget import Limits
from ..state.errors import LeaseLost, RlmError, RunBusy, StoreError, UsageError, cli_command
from ..state.leases import RENEW_AFTER
from ..state.run_state import RestoreRecord, RunInput, RunState, Status
from ..state.settings import saved_settings
from ..state.threads import Thread, Threads
from .build import Graph
from .create import raised_limits
from .run import error_facts
from .tracing import traced

T = TypeVar("T")

OnEvent = Callable[[dict[str, Any]], None]
# LangGraph counts supersteps and stops at 25 by default; the run's own limits are what rules here.
_NO_RECURSION_LIMIT = 10_000_000
_KEPT = frozenset({"__pregel_node_finished", "__pregel_stream_messages_v2"})
"""What callers may say of LangGraph's own: a server's count of nodes, and the form of messages."""


@dataclass(frozen=True)
class ResumePoint:
    """Where a sitting goes on."""

    start: RunInput | Command[Any] | None
    """None: from the last saved step."""
    limits: Limits
    reopen: bool = False
    """Whether the run had ended for want of a budget that was raised since: it goes on with another turn."""
    checkpoint_id: str | None = None
    """The step that it goes on from, if not the last one."""


@dataclass(frozen=True)
class Streaming:
    """How a sitting tells what it does: its run's events, unless a caller of the graph wants it otherwise."""

    hear: Callable[[Any], Awaitable[None]]
    """Takes each chunk; the graph waits for it."""
    config: RunnableConfig = field(default_factory=RunnableConfig)
    """The caller's: callbacks, tags, metadata."""
    options: Mapping[str, Any] = field(default_factory=lambda: {"stream_mode": "custom"})
    """Of `astream`, beside those that the sitting decides."""


def resume_point_of(row: Thread, snapshot: StateSnapshot, limits: Limits) -> ResumePoint | None:
    """Where a thread goes on with these limits; None when it has ended, or waits for a person, and is known to.

    One that has ended for want of budget goes on when its limits have been raised since. Raises StoreError for a run
    of another version that this one cannot go on with.
    """
    state = cast(RunState, snapshot.values)
    status, raised = state.get("status", "running"), limits != row.limits
    if status == row.status and (status == "answered" or (status == "budget" and not raised)):
        return None
    if state:
        saved_settings(state.get("settings", {}))
    if snapshot.interrupts and status == "running" and row.status == "paused" and not raised:
        return None
    start = None if state else cast(RunInput, row.start)
    # Where a task is left, its process died between what the last node wrote and the step: that is what remains to do.
    return ResumePoint(start, limits, reopen=status == "budget" and (raised or not snapshot.tasks))


def resume_point_at(checkpoint_id: str, snapshot: StateSnapshot, limits: Limits) -> ResumePoint | None:
    """Where a thread goes on from one of its earlier steps, on a branch of its own; None when nothing follows it.

    Raises UsageError when there is no such step, StoreError for a run of another version.
    """
    state = cast(RunState, snapshot.values)
    if not snapshot.config.get("configurable", {}).get("checkpoint_id") or snapshot.metadata is None:
        raise UsageError(f"The run has no checkpoint {checkpoint_id}.")
    if not snapshot.next:
        return None
    if settings := state.get("settings"):
        saved_settings(settings)
    return ResumePoint(None, limits, checkpoint_id=checkpoint_id)


async def limits_for(threads: Threads, row: Thread, raises: Mapping[str, Any]) -> Limits:
    """The limits that a run goes on with: of a child, those of the tree, which are raised at its top.

    Raises UsageError for limits that make no sense, or of a child.
    """
    if row.caller is None:
        return raised_limits(row.limits, dict(raises))
    top = await threads.top_of(row.thread_id)
    given = {f"--{name.replace('_', '-')}": value for name, value in raises.items() if value is not None}
    if given:
        flags = [word for name, value in given.items() for word in (name, f"{value}")]
        raise UsageError(
            f"{row.thread_id} is a part of {top} and spends out of its budget.",
            hint=f"Raise it there: {cli_command('resume', top, *flags)}",
        )
    return (await threads.get(top)).limits


FindResumePoint = Callable[[], Awaitable[ResumePoint | None]]
"""Where the thread goes on; None when there is nothing left to do."""


@dataclass
class ExecutionOutcome:
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


class RunExecutor:
    """The sittings of one process."""

    def __init__(self, stores: Stores, active_runs: ActiveRuns, graph: Graph, *, tracing: bool = False) -> None:
        self._stores = stores
        self._tracing = tracing
        self._active_runs = active_runs
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

    async def execute(
        self,
        thread_id: str,
        find: FindResumePoint,
        told: OnEvent | Streaming,
        *,
        execution_options: ExecutionOptions = DEFAULT_OPTIONS,
        caller: str | None = None,
    ) -> ExecutionOutcome:
        """Run the graph until it ends, pauses, fails or is stopped. Raises what `find` raises.

        `told`: hears the run's events. `caller`: whose sitting this one is a part of; a child that goes on by itself
        keeps its tree from running.
        """
        streaming = told if isinstance(told, Streaming) else _events_for(told)
        if caller is not None:
            self._callers[thread_id] = caller
        try:
            with contextlib.ExitStack() as hurry:
                async with self._taken(thread_id):
                    resume_point = await find()
                    return (
                        await self._run(thread_id, resume_point, streaming, hurry, execution_options)
                        if resume_point
                        else ExecutionOutcome()
                    )
        except (RunBusy, LeaseLost) as busy:
            return ExecutionOutcome(busy=busy)
        finally:
            if caller is not None:
                del self._callers[thread_id]

    async def change(self, thread_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Have `work` change a thread that nobody runs, and note how it then stands. Raises RunBusy, and what it does.

        Where it was finished and is not any more, it is `stopped`.
        """
        async with self._taken(thread_id):
            with traced(self._tracing):
                changed = await work()
            if unsaved := await self._settle(thread_id, stopped=False, error=None, seconds=None):
                raise unsaved
            return changed

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
                        f"The sub-RLM {thread_id} is a part of a run: {busy.message}", hint=busy.hint
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
        self,
        thread_id: str,
        resume_point: ResumePoint,
        streaming: Streaming,
        hurry: contextlib.ExitStack,
        execution_options: ExecutionOptions,
    ) -> ExecutionOutcome:
        """Raises LeaseLost; nothing of what came after that was saved."""
        error: RlmError | None = None
        outcome = ExecutionOutcome()
        self._active_runs.options_by_thread[thread_id] = execution_options
        task = asyncio.create_task(self._go_traced(thread_id, resume_point, streaming))
        if thread_id not in self._callers:
            self._running[thread_id] = _Running(task, hurry)
        beating = asyncio.create_task(self._keep_leases(thread_id, task))
        try:
            await task
        except asyncio.CancelledError:
            outcome.stopped = True
            current = asyncio.current_task()
            if current and current.cancelling():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise
        except LeaseLost:
            raise
        except RlmError as failure:
            error = failure
        except GraphDrained:
            outcome.stopped = True
            raise
        except Exception as failure:
            error = RlmError(f"Something unexpected went wrong: {type(failure).__name__}: {failure}")
            raise
        finally:
            beating.cancel()
            self._running.pop(thread_id, None)
            self._active_runs.options_by_thread.pop(thread_id, None)
            outcome.error = error
            run = self._active_runs.find(thread_id)
            seconds, outcome.restore = (run.ledger.seconds, run.restore_report) if run else (None, None)
            suspends = run is not None and not run.inner and await self._waits(thread_id)
            if not suspends:
                await self._active_runs.close(thread_id)
            outcome.unsaved = await self._settle(thread_id, stopped=outcome.stopped, error=error, seconds=seconds)
            if suspends:
                self._active_runs.suspend(thread_id, await self._saved(thread_id))
        return outcome

    async def _waits(self, thread_id: str) -> bool:
        """Whether the thread waits for a person, who may decide soon: its kernel may then be needed as it is."""
        with contextlib.suppress(StoreError):
            return bool((await self._graph.aget_state(config_of(thread_id))).interrupts)
        return False

    async def _saved(self, thread_id: str) -> Any:
        """What tells the state of a run and what its tree has spent from any other."""
        steps = await self._stores.threads.count_steps(thread_id)
        return steps, replace(await self._stores.spending.by(thread_id), reused_calls=0)

    async def _go_traced(self, thread_id: str, resume_point: ResumePoint, streaming: Streaming) -> None:
        # All runs of the graph begin here, those of sub-RLMs too; what they start inherits this context.
        with traced(self._tracing):
            await self._go(thread_id, resume_point, streaming)

    async def _go(self, thread_id: str, resume_point: ResumePoint, streaming: Streaming) -> None:
        row = await self._stores.threads.get(thread_id)
        if isinstance(resume_point.start, Command) and resume_point.checkpoint_id is None:
            saved = await self._saved(thread_id)
            await self._active_runs.resume(
                thread_id, saved, self._active_runs.options_by_thread[thread_id], resume_point.limits, row.seconds
            )
        else:
            await self._active_runs.close(thread_id)
        await self._stores.threads.begin(thread_id, resume_point.limits)
        place = config_of(thread_id, resume_point.checkpoint_id)
        if resume_point.reopen:
            changes = {"status": "running", "last": False, "note": None, "spent": None}
            await self._graph.aupdate_state(place, changes, as_node="prepare")
            place = config_of(thread_id)
        config = for_caller(place, streaming.config)
        async for chunk in self._graph.astream(resume_point.start, config, durability="sync", **streaming.options):
            await streaming.hear(chunk)

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
        if failed and not stopped:
            # Also where it waits: a decision that could not be read or saved has failed, and is to be told as that.
            return "failed"
        return "paused" if snapshot.interrupts else "stopped"


def config_of(thread_id: str, checkpoint_id: str | None = None) -> RunnableConfig:
    """How LangGraph is told which thread is meant, and which of its steps if not the last one."""
    place = {"thread_id": thread_id} | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})
    return {"configurable": place, "recursion_limit": _NO_RECURSION_LIMIT}


def for_caller(place: RunnableConfig, config: RunnableConfig) -> RunnableConfig:
    """Return the caller's config with the place put in, and of its `configurable` only `_KEPT`.

    The rest may be secret (a server puts headers there), and would be saved with every step; or it would steer
    LangGraph past our checks, as `__pregel_resume_map` does, which answers what waits.
    """
    own = {name: value for name, value in config.get("configurable", {}).items() if name in _KEPT}
    return {**config, **place, "configurable": {**own, **place.get("configurable", {})}}


def _events_for(on_event: OnEvent) -> Streaming:
    async def hear(chunk: Any) -> None:
        on_event(cast(dict[str, Any], chunk))

    return Streaming(hear)
