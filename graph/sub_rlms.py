"""Child runs: a sub-RLM is a thread of its own, executed by this process beside the run that called it.

Its name is made from its caller's name and the call's key, so that a caller that runs its cell again finds the child
as it was saved: ended, or at some step. A caller that is a fork finds the child that the same call of the original has
started, and resumes a fork of it.
"""

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from langgraph.types import Command, StateSnapshot

from ..nodes.evidence.citations import citations_of
from ..nodes.runtime.active_runs import ActiveRun, ActiveRuns
from ..nodes.runtime.answers import MOST_CHECKED, load_answer, open_table
from ..nodes.runtime.child_protocol import ChildAnswer, ChildCall, child_event, descendant_events
from ..nodes.runtime.parked_calls import WaitingChild
from ..nodes.sub_calls.keys import recorded
from ..state.approval_policy import without_final
from ..state.budget import Limits
from ..state.call_keys import digest
from ..state.call_records import Entry
from ..state.checkpointer import RunSaver
from ..state.db.connection import Unit
from ..state.db.lineage import Child, child_thread, enter_child
from ..state.errors import (
    HomeFull,
    KernelStartFailed,
    ReplayDiverged,
    RlmError,
    StoredDataDamaged,
    StoreError,
    cli_command,
)
from ..state.evidence.footnotes import with_words
from ..state.records import AnswerRef
from ..state.run_state import RunInput, RunState, Status
from ..state.settings import RunSettings, saved_settings
from ..state.stores import Stores
from .build import Graph
from .checkpoints import state_at
from .executor import ExecutionOutcome, RunExecutor, config_of
from .fork import make_fork
from .fork_edits import Changes
from .model_changes import model_change, with_models_of
from .resume_points import ResumePoint, resume_point_of, with_change

T = TypeVar("T")
PassOn = Callable[[Mapping[str, Any]], None]
"""Passes an event of a child, or of one below it, to the caller."""

BETWEEN_TRIES = 1.0
"""Seconds between two tries to take a child that another process runs."""
_STOPS_THE_CALLER = (StoreError, KernelStartFailed, ReplayDiverged, HomeFull)


class ChildRuns:
    """The child runs of one process's runs. See `nodes.runtime.active_runs.Children`."""

    def __init__(
        self,
        stores: Stores,
        active_runs: ActiveRuns,
        executor: RunExecutor,
        graph: Graph,
        compiled: Callable[[RunSaver], Graph],
    ) -> None:
        self._stores = stores
        self._active_runs = active_runs
        self._executor = executor
        self._graph = graph
        self._compiled = compiled

    async def answer(self, caller: ActiveRun, call: ChildCall) -> ChildAnswer:
        thread_id = child_thread(caller.thread_id, call.key)
        on_event = _passing_on(thread_id, caller, call)
        settings = child_settings(caller.settings, call)
        async with caller.tree.kernels.taken(max(0, settings.max_depth - 1)):
            await _apart(self._ensure(thread_id, caller, call, settings))
            while True:
                with self._active_runs.called_by(caller, thread_id):
                    outcome = await _apart(self._sat(thread_id, caller, call, settings, on_event))
                if outcome.busy is None:
                    break
                await asyncio.sleep(BETWEEN_TRIES)
        if isinstance(outcome.error or outcome.unsaved, _STOPS_THE_CALLER):
            raise cast(RlmError, outcome.error or outcome.unsaved)
        answer, status = await _apart(self._came_to(thread_id, call, outcome))
        if answer.waiting:
            on_event({"event": "waits"})
            return answer
        on_event({"event": "ended", "status": status})
        return answer

    async def _sat(
        self, thread_id: str, caller: ActiveRun, call: ChildCall, settings: RunSettings, on_event: PassOn
    ) -> ExecutionOutcome:
        """Resume the child if anything is left to do that does not wait for a reviewer."""

        async def resume_point() -> ResumePoint | None:
            snapshot = await self._graph.aget_state(config_of(thread_id))
            state = cast(RunState, snapshot.values)
            if state and caller.settings.max_depth > 2:
                for event in await descendant_events(self._stores.threads, thread_id):
                    on_event(event)
            if snapshot.interrupts:
                return _decided(snapshot, call, caller.ledger.limits)
            row = await self._stores.threads.get(thread_id)
            point = resume_point_of(row, snapshot, caller.ledger.limits)
            # Its caller may have been resumed with other models since.
            own = saved_settings(state.get("settings") or row.start.get("settings", {}))
            return with_change(point, model_change(state, own, with_models_of(own, settings)), snapshot)

        return await self._executor.execute(
            thread_id, resume_point, on_event, execution_options=caller.execution_options, caller=caller.thread_id
        )

    async def _came_to(self, thread_id: str, call: ChildCall, outcome: ExecutionOutcome) -> tuple[ChildAnswer, Status]:
        snapshot = await self._graph.aget_state(config_of(thread_id))
        state = cast(RunState, snapshot.values)
        status: Status = state.get("status", "running")
        if child := _waiting_child(thread_id, snapshot):
            return ChildAnswer(waiting=child), "paused"
        if status == "answered" and (large := await self._too_large(state)):
            return ChildAnswer(error=f"the sub-RLM failed: {large} ({cli_command('show', thread_id)})"), "failed"
        if status == "answered":
            return ChildAnswer(await self._value(state, call)), status
        if status == "budget" and state.get("spent") != "turns":
            return ChildAnswer(error=state.get("note") or "the budget is spent", spent=True), status
        turns = f"its {state.get('turn', 0)} turns gave no answer" if status == "budget" else ""
        why = turns or (outcome.error.message if outcome.error else "it did not end")
        return ChildAnswer(error=f"the sub-RLM failed: {why} ({cli_command('show', thread_id)})"), "failed"

    async def _too_large(self, state: RunState) -> str:
        """Return why a table is not handed to the caller's code; empty for other answers."""
        answer = state.get("answer")
        table = await open_table(answer, self._stores) if answer else None
        if table is None or table.size <= MOST_CHECKED:
            return ""
        return f"its answer is a table of {table.size >> 20:,} MB, and a call takes {MOST_CHECKED >> 20} MB at most"

    async def _value(self, state: RunState, call: ChildCall) -> Any:
        """Return what the caller's code gets: a value when the call has a schema, else a text.

        Markers of citations become the words that they stand for: the caller has other numbers.
        """
        texts = self._stores.texts
        reference: AnswerRef | None = state.get("answer")
        if reference is None:
            return None if call.schema is not None else ""
        citations = await citations_of(reference, texts)
        if call.schema is not None:
            return with_words(await load_answer(reference, texts), citations)
        if reference.get("table") is not None:
            value = with_words(await load_answer(reference, texts), citations)
            return json.dumps(value, ensure_ascii=False)
        return with_words(await texts.get(reference["text"]), citations)

    async def _ensure(self, thread_id: str, caller: ActiveRun, call: ChildCall, settings: RunSettings) -> None:
        """Create the child thread and the caller's record of it in one transaction, unless the thread exists.

        Raises BudgetSpent, and StoredDataDamaged when a run of that name is not the child of this call.
        """
        child = Child(thread_id, caller.thread_id, call.key, caller.depth + 1)
        prompt = await self._stores.texts.put(call.question, source=caller.pack)
        entry = Entry(
            *(call.key, "rlm", call.turn, caller.depth, call.model, prompt),
            request=call.request,
            parameters=await recorded({}, call.schema, self._stores.texts),
            line=call.line,
        )
        record = partial(caller.journal.open_child, entry, thread_id)
        there = await self._stores.threads.find(thread_id)
        if there is not None:
            if (there.caller, there.call) != (caller.thread_id, call.key):
                verify = cli_command("verify", caller.thread_id)
                raise StoredDataDamaged(
                    f"The run {thread_id} has the name of a sub-RLM of {caller.thread_id} and is not known as one.",
                    hint=f"{verify} says what is damaged; delete that run if it is another one.",
                )
            # A record that is damaged, or of a child that was deleted, is replaced by a valid one.
            await record(lambda _: None)
        elif not await self._forked(child, settings, caller.ledger.limits, record):
            # No thread is created for a child that could not send a request: code may make calls without end.
            caller.ledger.check()
            await caller.tree.room.need()
            await record(self._entering(child, call, settings))

    def _entering(self, child: Child, call: ChildCall, settings: RunSettings) -> Unit:
        start: RunInput = {
            "question": call.question,
            "context_ref": call.context,
            "settings": settings.frozen(),
        }
        enter = self._stores.threads.entering(
            child.thread_id,
            question=call.question,
            input_digest=digest("child", child.caller, child.call),
            start=cast(dict[str, Any], start),
            model=settings.model,
            limits=Limits.of(settings),
        )

        def unit(connection: Any) -> None:
            enter(connection)
            enter_child(connection, child)

        return unit

    async def _forked(
        self, child: Child, settings: RunSettings, limits: Limits, record: Callable[[Unit], Awaitable[None]]
    ) -> bool:
        """Fork the child that an original of the caller has started for the same call. Return whether there was one."""
        found = await self._stores.journal.unfinished_child(child.caller, child.call)
        original = await self._stores.threads.find(found[0]) if found else None
        if found is None or original is None:
            return False
        steps = [step for step in await self._stores.threads.steps(found[0]) if step.settled <= found[1]]
        if not steps:
            return False
        step_state = await state_at(self._stores, self._graph, original, steps[-1].step)
        whole = len(steps) == await self._stores.threads.count_steps(found[0])

        async def together(make: Unit) -> None:
            def unit(connection: Any) -> None:
                make(connection)
                enter_child(connection, child)

            await record(unit)

        changes = Changes(fresh=not whole)
        await make_fork(self._stores, self._compiled, step_state, child.thread_id, changes, limits, commit=together)
        return True


def _decided(snapshot: StateSnapshot, call: ChildCall, limits: Limits) -> ResumePoint | None:
    """Return the resume point for a reviewer's decision about what the child waits for now.

    Return None when there is no such decision: then nothing is left to do.
    """
    decided = call.decided
    for found in snapshot.interrupts:
        if decided and (found.id, found.value.get("shown")) == (decided.wait["interrupt"], decided.wait["shown"]):
            answer = {"decisions": decided.decisions, "shown": decided.wait["shown"]}
            return ResumePoint(Command(resume={found.id: answer}), limits)
    return None


def _waiting_child(thread_id: str, snapshot: StateSnapshot) -> WaitingChild | None:
    """Return what a child waits for; None when it waits for nothing."""
    if not snapshot.interrupts:
        return None
    [waiting, *_] = snapshot.interrupts
    actions = [{**action, "description": _of_child(thread_id, action)} for action in waiting.value["action_requests"]]
    return WaitingChild(thread_id, waiting.id, waiting.value["shown"], cast(Any, actions))


def _of_child(thread_id: str, action: dict[str, Any]) -> str:
    whose = f"Sub-RLM {thread_id[:8]}: " if action.get("thread_id") == thread_id else ""
    return f"{whose}{action['description']}"


def child_settings(settings: RunSettings, call: ChildCall) -> RunSettings:
    """Return the settings of a child run: its caller's, one level deeper, with those of the call.

    Its gates are its caller's except the gate on the answer, which concerns only the run at the top of the tree, as
    required citations do.
    """
    model, sub = settings.spec_of(call.model) or settings.sub_spec, settings.sub_spec
    own = {
        **{"model": model.name, "base_url": model.base_url, "price": model.price},
        **{"sub_model": sub.name, "sub_base_url": sub.base_url, "sub_price": sub.price},
        **{"option": dict(model.options), "sub_option": dict(sub.options)},
        **{"then": "", "then_base_url": ""},
        "answer_schema": call.schema,
        "mode": "rlm",
        "approve": without_final(settings.approve),
        "require_citations": False,
    }
    return settings.model_copy(update={**own, "max_depth": settings.max_depth - 1})


def _passing_on(thread_id: str, caller: ActiveRun, call: ChildCall) -> PassOn:
    """Return a function that passes a child's events to its caller, as events about that child."""
    about = child_event(thread_id, caller.depth + 1, call.question)

    def pass_on(event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "turn":
                passed = {**about, "turn": event["turn"], "status": "running", "usage": caller.usage}
            case "waits":
                passed = {**about, "status": "paused", "usage": caller.usage}
            case "ended":
                passed = {**about, "status": event["status"], "usage": caller.usage}
            case "child":
                passed = {**event, "usage": caller.usage}
            case "retry" | "indexing":
                passed = event
            case _:
                return
        caller.emit(passed)

    return pass_on


async def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` outside of the calling node's context: LangGraph would take it for a part of the caller's thread."""
    task = asyncio.create_task(work, context=contextvars.Context())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
