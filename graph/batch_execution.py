"""Batches: many questions over one input, each a run of its own, under one budget.

What would be made for each run is made once: the input, the clients of the models, the places for model calls and for
kernels, and an account beside those of the runs (`state/batch_budget.py`). A batch itself is not saved. The same call
again finds the runs by their names, returns the answered ones, and resumes the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from ..nodes.runtime.active_runs import ActiveRuns
from ..nodes.runtime.concurrency import BatchPart, Room, RunTree, most_kernels
from ..nodes.runtime.dependencies import Dependencies
from ..nodes.runtime.events import OnEvent
from ..state.batch_budget import BatchLedger, limits_of_batch
from ..state.budget import FLAGS, Limits, Resource
from ..state.errors import RlmError, RunBusy
from ..state.home_size import HomeLimit
from ..state.run_options import ResumeOptions
from ..state.settings import Resolved
from .batch import OnQuestionEvent, Question
from .batch_entering import Entered, Entering
from .executor import RunExecutor
from .exit_status import RunStatus
from .intake import Given
from .resuming import Resuming
from .run import Run, budget_error, error_facts, unexpected

_SAMPLE = 100
"""Runs from whose answers the usual length of one is known."""


@dataclass(frozen=True)
class _Asking:
    """One call of `ask_all`, once all of its questions are entered."""

    part: BatchPart
    at_once: int
    """The most questions that are asked at once."""
    limits: dict[str, float]
    """The limits that the user has set, which each run has as well."""
    stops: int
    """The number of times that everything had been stopped when it began."""
    on_event: OnQuestionEvent


class Batches:
    """Asks batches of questions in one process."""

    def __init__(self, deps: Dependencies, active_runs: ActiveRuns, executor: RunExecutor, resuming: Resuming) -> None:
        self._deps = deps
        self._active_runs = active_runs
        self._executor = executor
        self._resuming = resuming

    async def ask_all(
        self,
        questions: Sequence[Question],
        context: Given | None,
        prefix: str,
        on_event: OnQuestionEvent,
        resolved: Resolved,
    ) -> AsyncGenerator[tuple[Question, Run]]:
        """Yield each question with its run, as `Runner.ask_all` does."""
        begun, stops = self._deps.clock(), self._executor.stops_of_all
        entered = await Entering(self._deps, resolved.settings, on_event).enter(questions, context, prefix)
        on_event("", {"event": "begun", "thread_id": ""})
        for one in entered:
            if one.answered:
                report = partial(on_event, one.question.id)
                yield one.question, await _readable(one.thread_id, self._resuming.answered(one.thread_id, report))
        left = deque(one for one in entered if not one.answered)
        if not left:
            return
        ledger = await self._ledger(entered, resolved, self._deps.clock() - begun)
        levels = max(one.levels for one in left)
        kernels = max(most_kernels(resolved.settings), levels)
        at_once = min(resolved.settings.concurrency, kernels // levels if levels else len(left))
        home = HomeLimit(self._deps.stores.size, resolved.settings.max_home_size)
        await home.known()
        tree = RunTree(resolved.settings, self._deps.open_model, Room(home), kernels=kernels - at_once)
        limits = {name: getattr(resolved.settings, name) for name in resolved.chosen & set(Limits.model_fields)}
        asking = _Asking(BatchPart(tree, ledger), at_once, limits, stops, on_event)
        try:
            async with aclosing(self._asked(left, asking)) as asked:
                async for question, run in asked:
                    yield question, run
        finally:
            await tree.aclose()

    async def _ledger(self, entered: Sequence[Entered], resolved: Resolved, seconds: float) -> BatchLedger:
        """Return the account of all runs together, with what they have spent so far."""
        spending, known = self._deps.stores.spending, [one.thread_id for one in entered if not one.new]
        return BatchLedger(
            limits_of_batch(resolved.settings, resolved.chosen),
            [await spending.by(thread_id) for thread_id in known],
            outputs=sorted([tokens for thread_id in known[:_SAMPLE] for tokens in await spending.outputs(thread_id)]),
            seconds=seconds,
            clock=self._deps.clock,
        )

    async def _asked(self, left: deque[Entered], asking: _Asking) -> AsyncGenerator[tuple[Question, Run]]:
        """Execute the runs that are left, some at once, and yield each as it ends. Closed early, it stops them."""
        running: dict[asyncio.Task[Run], Question] = {}
        try:
            while left or running:
                while left and len(running) < asking.at_once and self._hindrance(asking) is None:
                    one = left.popleft()
                    running[asyncio.create_task(self._run(one, asking))] = one.question
                if not running:
                    # What hinders the next one hinders all that are left.
                    one = left.popleft()
                    yield one.question, await self._not_begun(one, asking)
                    continue
                for task in (await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED))[0]:
                    yield running.pop(task), await task
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _hindrance(self, asking: _Asking) -> Resource | RunStatus | None:
        """Return why no further question is begun now: `stopped`, or the resource that is spent; else None."""
        if self._executor.stops_of_all > asking.stops:
            return "stopped"
        return asking.part.ledger.spent_for_a_new_run()

    async def _run(self, one: Entered, asking: _Asking) -> Run:
        """Execute a run until it ends, waits or fails. What goes wrong concerns this run, and not the others."""
        thread_id, batches = one.thread_id, self._active_runs.batches
        if thread_id in batches:
            busy = RunBusy(f"{thread_id} is already running in this process.")
            return Run(thread_id, "busy", error=error_facts(busy))
        batches[thread_id] = asking.part
        on_event: OnEvent = partial(asking.on_event, one.question.id)
        try:
            changes = await self._raises(thread_id, asking)
            return await self._resuming.resume(thread_id, changes, on_event, more_time=True)
        except RlmError as error:
            return Run(thread_id, "failed", error=error_facts(error))
        except Exception as error:
            # An execution has recorded it with the run; what came before one is known here alone.
            run = await _readable(thread_id, self._resuming.read(thread_id))
            return run if run.error else replace(run, status="failed", error=error_facts(unexpected(error)))
        finally:
            del batches[thread_id]

    async def _raises(self, thread_id: str, asking: _Asking) -> ResumeOptions:
        """Return those limits of the batch that are above the run's own."""
        row = await self._deps.stores.threads.get(thread_id)
        raises: dict[str, float] = {}
        for name, limit in asking.limits.items():
            own = getattr(row.limits, name)
            # A run that has ended or waits, and had no such limit, has nothing to do because of one.
            if (limit > own) if own is not None else row.status not in ("budget", "paused"):
                raises[name] = limit
        return cast(ResumeOptions, raises)

    async def _not_begun(self, one: Entered, asking: _Asking) -> Run:
        """Return the run of a question that is not asked now, because all was stopped or the budget is spent."""
        run = Run(one.thread_id, "stopped")
        if not one.new:
            run = await _readable(one.thread_id, self._resuming.read(one.thread_id))
        hindrance = self._hindrance(asking)
        if run.status not in ("stopped", "failed") or hindrance in ("stopped", None):
            return run
        resource = cast(Resource, hindrance)
        budget = asking.part.ledger.limits.budget(resource)
        note = f"{budget} for all questions is spent, so this one was not begun; raise it with {FLAGS[resource]}"
        return replace(run, status="budget", error=budget_error(note))


async def _readable(thread_id: str, reading: Awaitable[Run]) -> Run:
    """Return the run that is read, or a failed one where what is saved of it is damaged or was deleted meanwhile.

    That concerns no other question.
    """
    try:
        return await reading
    except RlmError as error:
        return Run(thread_id, "failed", error=error_facts(error))
