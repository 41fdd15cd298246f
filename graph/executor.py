"""Executions: the lease of a thread is taken, the graph runs it, and the outcome is recorded.

The point to resume from is read only once the lease is held: until then another process may change it (promise P4).
Every execution passes here: those of the runner, of child runs, and of LangGraph's own callers of the compiled graph
(`langgraph_adapter.py`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.types import Command

from ..nodes.runtime.active_runs import DEFAULT_OPTIONS, ActiveRuns, ExecutionOptions
from ..nodes.runtime.events import Event, OnEvent
from ..nodes.runtime.langgraph_compat import FORWARDED_KEYS
from ..nodes.runtime.untrusted_text import one_line
from ..state.errors import HomeFull, LeaseLost, RlmError, RunBusy, StoreError, TimeSpent
from ..state.leases import RENEW_AFTER
from ..state.run_state import RestoreRecord, Status
from ..state.stores import Stores
from ..state.threads import Thread
from ..state.turn_making import refresh_callers
from .approvals import waits_for
from .build import Graph
from .execution import ENDING_SECONDS, Execution
from .notifying import Notifier
from .resume_points import ResumePoint
from .run import error_facts, unexpected
from .stop_watch import StopWatch
from .tracing import traced

T = TypeVar("T")
_LONGEST_DETAIL = 300
"""Characters of why an execution ended."""

# LangGraph counts supersteps and stops at 25 by default; here only the run's own limits apply.
_NO_RECURSION_LIMIT = 10_000_000


@dataclass(frozen=True)
class Streaming:
    """The way an execution streams: by default its run's events, or what a caller of the graph asks for."""

    on_chunk: Callable[[Any], Awaitable[None]]
    """Receives each chunk; the graph waits for it."""
    config: RunnableConfig = field(default_factory=RunnableConfig)
    """The caller's config: callbacks, tags, metadata."""
    options: Mapping[str, Any] = field(default_factory=lambda: {"stream_mode": "custom"})
    """Options of `astream`, beside those that the execution sets."""


FindResumePoint = Callable[[], Awaitable[ResumePoint | None]]
"""Returns the point to resume from, or None when nothing is left to do."""


@dataclass
class ExecutionOutcome:
    """The outcome of an execution, beside what was saved."""

    stopped: bool = False
    busy: RlmError | None = None
    """Set when another process holds the thread, or has taken it over."""
    unsaved: StoreError | None = None
    """Set when the outcome could not be recorded."""
    restore: RestoreRecord | None = None
    error: RlmError | None = None
    """The error that ended it, which is in the index of runs, too; a TimeSpent when `--max-time` did,
    a HomeFull when `--max-home-size` did."""


class RunExecutor:
    """The executions of one process."""

    def __init__(
        self, stores: Stores, active_runs: ActiveRuns, graph: Graph, notifier: Notifier, *, tracing: bool = False
    ) -> None:
        self._stores = stores
        self._notifier = notifier
        self._tracing = tracing
        self._active_runs = active_runs
        self._graph = graph
        self._running: dict[str, Execution] = {}
        self._callers: dict[str, str] = {}
        """The caller of each child run under way."""
        self.stops_of_all = 0
        """The number of times that everything was stopped: who then begins one run after another begins no more."""
        self._stop_watch = StopWatch(stores, self.stop, self.stop_all)

    def stop(self, thread_id: str) -> bool:
        """Cancel a thread's execution with its children; for a child, its caller's. Return whether there was one.

        For the run at the top of a tree, also that of a child that is executed alone.
        """
        while (caller := self._callers.get(thread_id)) is not None:
            thread_id = caller
        found = [running for name, running in self._running.items() if thread_id in (name, running.top)]
        return any([running.end() for running in found])

    def stop_all(self) -> bool:
        """Cancel every execution. Return whether there was any."""
        self.stops_of_all += 1
        return any([self.stop(thread_id) for thread_id in list(self._running)])

    async def execute(
        self,
        thread_id: str,
        find: FindResumePoint,
        receiver: OnEvent | Streaming,
        *,
        execution_options: ExecutionOptions = DEFAULT_OPTIONS,
        caller: str | None = None,
    ) -> ExecutionOutcome:
        """Run the graph until it ends, pauses, fails or is stopped. Raises what `find` raises.

        `receiver` gets the run's events. `caller` is the run whose execution this one is a part of; without it, a child
        also holds the lease of the run at the top, which keeps its tree from running.
        """
        streaming = receiver if isinstance(receiver, Streaming) else _events_for(receiver)
        if caller is not None:
            self._callers[thread_id] = caller
        try:
            with contextlib.ExitStack() as hurry, self._stop_watch.watching():
                async with self._taken(thread_id) as top:
                    resume_point = await find()
                    return (
                        await self._run(thread_id, top, resume_point, streaming, hurry, execution_options)
                        if resume_point
                        else ExecutionOutcome()
                    )
        except (RunBusy, LeaseLost) as busy:
            return ExecutionOutcome(busy=busy)
        finally:
            if caller is not None:
                del self._callers[thread_id]
            else:
                # After the lease's release: a copy of the file alone then says that no process has the run.
                await self._stores.database.settle()

    async def change(self, thread_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Call `work` to change a thread that no process runs, and record the thread's new status.

        A run that was finished and no longer is becomes `stopped`. Raises RunBusy, and what `work` raises.
        """
        async with self._taken(thread_id):
            with traced(self._tracing):
                changed = await work()
            if unsaved := await self._settle(thread_id, stopped=False, error=None, seconds=None):
                raise unsaved
            return changed

    @contextlib.asynccontextmanager
    async def _taken(self, thread_id: str) -> AsyncGenerator[str]:
        """Hold the lease of the thread, and of the top of its tree unless its caller does. Raises RunBusy.

        The value of the context is that top.
        """
        async with contextlib.AsyncExitStack() as held:
            top, *_ = names = await self._names_to_hold(thread_id)
            for name in names:
                try:
                    await self._stores.leases.acquire(name, batch=name in self._active_runs.batches)
                except RunBusy as busy:
                    if name == thread_id:
                        raise
                    raise RunBusy(
                        f"The sub-RLM {thread_id} is a part of a run: {busy.message}", hint=busy.hint
                    ) from None
                held.push_async_callback(self._release, name)
            yield top

    async def _names_to_hold(self, thread_id: str) -> list[str]:
        """Return the run at the top of the thread's tree, unless that is executed here, and the thread."""
        top = thread_id if thread_id in self._callers else await self._stores.threads.top_of(thread_id)
        return list(dict.fromkeys([top, thread_id]))

    async def _release(self, thread_id: str) -> None:
        token = self._stores.leases.token(thread_id)
        # If the release cannot be written now, the end of this process shows it, or the next `acquire` settles it.
        with contextlib.suppress(StoreError):
            if await self._stores.leases.release(thread_id) and token is not None:
                self._stop_watch.meet_all(thread_id, token)

    async def _run(
        self,
        thread_id: str,
        top: str,
        resume_point: ResumePoint,
        streaming: Streaming,
        hurry: contextlib.ExitStack,
        execution_options: ExecutionOptions,
    ) -> ExecutionOutcome:
        """Run the graph and record the outcome. Raises LeaseLost; nothing after the loss was saved."""
        error: RlmError | None = None
        outcome = ExecutionOutcome()
        self._active_runs.options_by_thread[thread_id] = execution_options
        task = asyncio.create_task(self._go_traced(thread_id, resume_point, streaming))
        running = Execution(task, hurry, self._stores, top)
        watches = [asyncio.create_task(self._keep_leases(thread_id, task))]
        if thread_id not in self._callers:
            self._running[thread_id] = running
            watches.append(asyncio.create_task(self._watch_time(thread_id, resume_point, running)))
            watches.append(asyncio.create_task(self._notifier.watch(thread_id)))
            self._notifier.deliver(thread_id)
        try:
            await running.finished()
        except asyncio.CancelledError:
            error = running.spent
            outcome.stopped = error is None
            current = asyncio.current_task()
            if current and current.cancelling():
                task.cancel()
                await asyncio.wait({task}, timeout=ENDING_SECONDS)
                raise
        except LeaseLost:
            raise
        except RlmError as failure:
            error = failure
        except GraphDrained:
            outcome.stopped = True
            raise
        except Exception as failure:
            error = unexpected(failure)
            raise
        finally:
            for watch in watches:
                watch.cancel()
            self._running.pop(thread_id, None)
            self._active_runs.options_by_thread.pop(thread_id, None)
            outcome.error = error
            run = self._active_runs.find(thread_id)
            seconds, outcome.restore = (run.ledger.seconds, run.restore_report) if run else (None, None)
            suspends = run is not None and not run.shares and await self._waits(thread_id)
            if not suspends:
                await self._active_runs.close(thread_id)
            outcome.unsaved = await self._settle(thread_id, stopped=outcome.stopped, error=error, seconds=seconds)
            if thread_id not in self._callers:
                self._notifier.deliver(thread_id)
            if suspends:
                self._active_runs.suspend(thread_id, await self._saved(thread_id))
        return outcome

    async def _waits(self, thread_id: str) -> bool:
        """Return whether the thread waits for a reviewer, who may decide soon and then needs its kernel as it is."""
        with contextlib.suppress(StoreError):
            return bool((await self._graph.aget_state(config_of(thread_id))).interrupts)
        return False

    async def _saved(self, thread_id: str) -> Any:
        """Return the number of steps and the spending of a run, which together identify its saved state."""
        steps = await self._stores.threads.count_steps(thread_id)
        return steps, replace(await self._stores.spending.by(thread_id), reused_calls=0)

    async def _go_traced(self, thread_id: str, resume_point: ResumePoint, streaming: Streaming) -> None:
        # All runs of the graph start here, those of sub-RLMs too, and what they start inherits this context.
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
        await self._begin(row, resume_point)
        place = config_of(thread_id, resume_point.checkpoint_id)
        change, start = resume_point.change, resume_point.start
        if change and start is not None:
            start, change = change.start(row.start), None
        changes = {
            **({"status": "running", "last": False, "note": None, "spent": None} if resume_point.reopen else {}),
            **(change.values if change else {}),
            **resume_point.withdraws,
        }
        if changes:
            # This step, too, is the caller's, who may take it back.
            about: RunnableConfig = {**place, "metadata": streaming.config.get("metadata") or {}}
            await self._graph.aupdate_state(about, changes, as_node=resume_point.as_node)
            place = config_of(thread_id)
        config = for_caller(place, streaming.config)
        async for chunk in self._graph.astream(start, config, durability="sync", **streaming.options):
            await streaming.on_chunk(chunk)

    async def _begin(self, row: Thread, resume_point: ResumePoint) -> None:
        """Enter into the index that the run is executed, with its limits and its models."""
        start = resume_point.change.start(row.start) if resume_point.change else row.start
        decided = isinstance(resume_point.start, Command)
        facts = cast(dict[str, Any], start)
        await self._stores.threads.begin(row.thread_id, resume_point.limits, facts, decided=decided)

    async def _keep_leases(self, thread_id: str, task: asyncio.Task[None]) -> None:
        """Renew the leases periodically; cancel the run when another process has taken it over."""
        while True:
            await asyncio.sleep(RENEW_AFTER)
            try:
                for name in await self._names_to_hold(thread_id):
                    await self._stores.leases.renew(name)
            except LeaseLost:
                task.cancel()
                return
            except StoreError:
                # The run meets the same error and reports it, or it has ended by then.
                continue

    async def _watch_time(self, thread_id: str, resume_point: ResumePoint, running: Execution) -> None:
        """End the execution when the time of its run is over, whatever it waits for."""
        limit, batch = resume_point.limits.max_time, self._active_runs.batches.get(thread_id)
        row = await self._stores.threads.get(thread_id)
        left = None if limit is None else max(0.0, limit - row.seconds)
        of_batch = batch.ledger.seconds_left if batch else None
        if batch and of_batch is not None and (left is None or of_batch < left):
            left, limit = of_batch, batch.ledger.limits.max_time
        if left is None:
            return
        while left:
            await asyncio.sleep(left)
            # A reviewer may have raised the limit meanwhile, and the clock of the account is the one that counts.
            run = self._active_runs.find(thread_id)
            left = run.ledger.seconds_left if run else 0.0
            limit = run.ledger.limits.max_time if run and not batch else limit
        running.spent = TimeSpent(f"The time of {limit:g} s is over, and work under way was ended.")
        running.end()

    async def _settle(
        self, thread_id: str, *, stopped: bool, error: RlmError | None, seconds: float | None
    ) -> StoreError | None:
        """Record the outcome of an execution in the index of runs. Return the error that prevented it."""
        threads = self._stores.threads
        facts = error_facts(error) if error else None
        try:
            row = await threads.get(thread_id)
            spent = isinstance(error, TimeSpent | HomeFull)
            status, waits = await self._standing(thread_id, stopped=stopped, failed=error is not None, spent=spent)
            seconds = row.seconds if seconds is None else seconds
            units = [*await self._notifier.ending(row, status, seconds=seconds, error=facts)]
            if row.caller is not None and thread_id not in self._callers:
                # Executed alone, it has spent what belongs to turns of runs that are not executed.
                units.append(partial(refresh_callers, thread_id=thread_id))
            detail = error.message if error else waits
            shown = None if detail is None else one_line(detail, _LONGEST_DETAIL)
            await threads.set_status(thread_id, status, seconds=seconds, error=facts, detail=shown, together=units)
        except LeaseLost:
            # The process that has the thread now records its status.
            return None
        except StoreError as failure:
            return error if isinstance(error, StoreError) else failure
        return None

    async def _standing(self, thread_id: str, *, stopped: bool, failed: bool, spent: bool) -> tuple[Status, str | None]:
        """Return the status of a run whose execution has ended, and what it waits for."""
        try:
            snapshot = await self._graph.aget_state(config_of(thread_id))
        except StoreError:
            if failed:
                return "failed", None
            raise
        status: Status = snapshot.values.get("status", "running")
        if status != "running":
            return status, None
        if spent:
            return "budget", None
        if failed and not stopped:
            # Also when it waits: a decision that could not be read or saved has failed, and is reported as a failure.
            return "failed", None
        return ("paused", waits_for(snapshot.interrupts)) if snapshot.interrupts else ("stopped", None)


def config_of(thread_id: str, checkpoint_id: str | None = None) -> RunnableConfig:
    """Return LangGraph's config for a thread, and for one of its steps if not the last one."""
    place = {"thread_id": thread_id} | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})
    return {"configurable": place, "recursion_limit": _NO_RECURSION_LIMIT}


def for_caller(place: RunnableConfig, config: RunnableConfig) -> RunnableConfig:
    """Return the caller's config with the place inserted, and with only `FORWARDED_KEYS` of its `configurable`.

    The rest may be secret (a server puts headers there) and would be saved with every step, or it would bypass
    our checks, as `__pregel_resume_map` does, which answers interrupts.
    """
    own = {name: value for name, value in config.get("configurable", {}).items() if name in FORWARDED_KEYS}
    return {**config, **place, "configurable": {**own, **place.get("configurable", {})}}


def _events_for(on_event: OnEvent) -> Streaming:
    async def on_chunk(chunk: Any) -> None:
        on_event(cast(Event, chunk))

    return Streaming(on_chunk)
