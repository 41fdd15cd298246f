"""Resumes runs: finds what is left to do, has it executed, and reads the outcome. For `Runner` and for batches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from langgraph.types import Command

from ..nodes.runtime.active_runs import ExecutionOptions
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.events import OnEvent
from ..state.checkpointer import RunSaver
from ..state.errors import UsageError, cli_command
from ..state.run_options import LimitOptions, ModelOptions, ResumeOptions, limits_among
from ..state.run_state import RestoreRecord, RunState
from ..state.settings import saved_settings
from ..state.threads import Thread
from .approvals import check_answer, check_asked_here, check_undecided, raising, waiting_one
from .build import Graph
from .create import make_ready
from .executor import FindResumePoint, RunExecutor, config_of
from .model_changes import change_at, check_change, given_models
from .notifying import Notifier
from .resume_points import ResumePoint, limits_for, resume_point_of, with_change
from .run import Run, error_facts
from .saved_runs import saved_run
from .shown_requests import ShownRequests


class Resuming:
    """Resumes and reads the runs of one process. `thread_id` is a run's whole name."""

    def __init__(
        self,
        deps: Dependencies,
        executor: RunExecutor,
        graph: Graph,
        saver: RunSaver,
        notifier: Notifier,
    ) -> None:
        self._deps = deps
        self._stores = deps.stores
        self._executor = executor
        self._graph = graph
        self._saver = saver
        self._notifier = notifier
        self._requests = ShownRequests(deps.stores, whole=True)

    async def resume(
        self,
        thread_id: str,
        changes: ResumeOptions,
        on_event: OnEvent,
        *,
        strict: bool = False,
        unsandboxed: bool = False,
        more_time: bool = False,
    ) -> Run:
        """Resume a run as `Runner.resume` does. `more_time`: a run whose time was over has time again."""
        models, raises = given_models(changes), limits_among(changes)
        waiting = (await self._graph.aget_state(config_of(thread_id))).interrupts
        if waiting and models:
            raise UsageError(
                f"{thread_id} waits for a reviewer, so its models cannot be changed now.",
                hint=f"Decide first: {cli_command('review', thread_id)}. Or change them in a fork.",
            )
        if decisions := raising(waiting, raises):
            answer = {"decisions": [dict(one) for one in decisions]}
            return await self.decide(thread_id, answer, None, on_event, unsandboxed=unsandboxed)
        find = partial(self._resume_point, thread_id, raises, models, more_time)
        if (point := await find()) is None:
            return await self.answered(thread_id, on_event)
        if point.change:
            await check_change(point.change.settings, point.limits, self._deps)
        return await self._execute(thread_id, find, on_event, await self._ready(thread_id, strict, unsandboxed))

    async def decide(
        self,
        thread_id: str,
        answer: Mapping[str, Sequence[Mapping[str, Any]] | str],
        interrupt: str | None,
        on_event: OnEvent,
        *,
        unsandboxed: bool = False,
    ) -> Run:
        """Decide what a paused run waits for, and resume it, as `Runner.decide` does."""

        async def decided() -> ResumePoint:
            row = await self._stores.threads.get(thread_id)
            await check_asked_here(self._stores.threads, row)
            snapshot = await self._graph.aget_state(config_of(thread_id))
            chosen = waiting_one(thread_id, snapshot.interrupts, interrupt)
            check_answer(await self._requests.value(chosen.value), answer)
            await check_undecided(self._saver, snapshot, chosen, answer)
            limits = await limits_for(self._stores.threads, row, {})
            return ResumePoint(Command(resume={chosen.id: answer}), limits)

        # Called here, too, to report an invalid decision before kernels are made ready.
        await decided()
        return await self._execute(thread_id, decided, on_event, await self._ready(thread_id, False, unsandboxed))

    async def answered(self, thread_id: str, on_event: OnEvent) -> Run:
        """Return a run of which nothing is to be executed, and send the notifications about it that are left."""
        self._notifier.deliver(thread_id, on_event)
        return await self.read(thread_id)

    async def read(self, thread_id: str) -> Run:
        """Return a run's current status and result from what is saved. Raises UnknownThread."""
        return await self._outcome(await self._stores.threads.get(thread_id))

    async def _ready(self, thread_id: str, strict: bool, unsandboxed: bool) -> ExecutionOptions:
        """Prepare kernels for an execution and return its options. Raises NoSandbox, UsageError."""
        start = (await self._stores.threads.get(thread_id)).start
        settings = saved_settings(start.get("settings", {}))
        execution_options = ExecutionOptions(strict, unsandboxed=unsandboxed or settings.unsandboxed)
        await make_ready(self._deps.kernels, settings.model_copy(update={"unsandboxed": execution_options.unsandboxed}))
        return execution_options

    async def _execute(
        self, thread_id: str, find: FindResumePoint, on_event: OnEvent, execution_options: ExecutionOptions
    ) -> Run:
        async def found() -> ResumePoint | None:
            if point := await find():
                on_event({"event": "begun", "thread_id": thread_id})
            return point

        with self._notifier.reporting(thread_id, on_event):
            outcome = await self._executor.execute(thread_id, found, on_event, execution_options=execution_options)
        if outcome.busy:
            return Run(thread_id, "busy", error=error_facts(outcome.busy))
        run = await self._outcome(await self._stores.threads.get(thread_id), outcome.restore)
        if outcome.unsaved:
            return replace(run, status="stopped" if outcome.stopped else "failed", error=error_facts(outcome.unsaved))
        return run

    async def _resume_point(
        self, thread_id: str, raises: LimitOptions, models: ModelOptions, more_time: bool
    ) -> ResumePoint | None:
        """Return where to resume a run; None when it is answered, its budget is spent and not raised, or it waits.

        Raises StoreError for a run of another version that this one cannot resume.
        """
        row = await self._stores.threads.get(thread_id)
        limits = await limits_for(self._stores.threads, row, raises)
        snapshot = await self._graph.aget_state(config_of(thread_id))
        if models and row.caller:
            top = await self._stores.threads.top_of(row.thread_id)
            raise UsageError(f"{row.thread_id} is a part of {top}, whose models it uses.", hint="Change them there.")
        change = change_at(row.start, cast(RunState, snapshot.values), models)
        return with_change(resume_point_of(row, snapshot, limits, more_time=more_time), change, snapshot)

    async def _outcome(self, row: Thread, restore: RestoreRecord | None = None) -> Run:
        return await saved_run(self._stores, self._graph, row, restore)
