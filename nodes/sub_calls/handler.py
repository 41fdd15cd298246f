"""Answer one sub-call of a cell: form its key and request, and deliver the answer to the waiting code."""

import asyncio
from typing import Any

from ...kernel.session import Answered, Failed, FailureKind, KernelSession, Outcome, PostedCall
from ...state.budget import BudgetSpent
from ...state.call_records import RecordedCall
from ...state.errors import HomeFull
from ...state.input.child_context import HandedBadly, context_digest, hand_over
from ...state.input.context import ContextRef, no_context
from ...state.settings import with_numbers_that_can_be_saved
from ..models.client import ModelClient
from ..models.provider_protocol import ModelRequest
from ..models.schema_validation import check_schema
from ..models.work_limit import SchemaInvalid, off_loop
from ..runtime.active_runs import ActiveRun
from ..runtime.call_decisions import ChildDecision
from ..runtime.child_protocol import ChildCall, child_event, descendant_events
from ..runtime.dependencies import Dependencies
from ..runtime.output_limits import SUB_OUTPUT_TOKENS, output_limit
from ..runtime.parked_calls import WaitingChild
from ..runtime.repl import CellCalls
from ..runtime.untrusted_text import one_line
from .call_gate import REJECTED, CallGate
from .keys import CallKeys
from .model_call import CallResult, ModelCall, call_once, failure_digest, replayed
from .sub_rlm_call import ask_child

_KEPT_OF_PROMPTS = 400
"""Characters of a prompt that are kept for the report of a replay that diverged."""
BETWEEN_REPORTS = 0.05
"""Seconds between two events about the progress of the calls; the last one is sent when the cell has ended."""


class SubCallHandler:
    """A handler that answers the calls of one cell. Safe for many calls at once."""

    def __init__(
        self,
        run: ActiveRun,
        deps: Dependencies,
        session: KernelSession,
        calls: CellCalls,
        turn: int,
        *,
        recorded_only: bool = False,
    ) -> None:
        """Set up the handler. `recorded_only`: calls without a recorded answer fail, and nothing is paid."""
        self._run = run
        self._deps = deps
        self._session = session
        self._calls = calls
        self._turn = turn
        self._recorded_only = recorded_only
        self._keys = CallKeys(run.journal, turn, run.settings, run.former_models)
        self._blobs = deps.stores.blobs.within(run.tree.room.limit, "What a sub-RLM is handed")
        self._shared: dict[str, asyncio.Task[CallResult]] = {}
        self._taken = self._posted = self._answered = self._failed = self._reused = 0
        self._next_report = 0.0

    async def __call__(self, call: PostedCall) -> bool:
        """Answer `call` and deliver the answer. Return whether the code got an answer rather than an error.

        Raises HomeFull once no request of the tree is under way.
        """
        try:
            return await self._answered_and_delivered(call)
        except HomeFull as full:
            await self._run.tree.room.end(full)

    async def _answered_and_delivered(self, call: PostedCall) -> bool:
        self._taken += 1
        try:
            handed = await self._handed(call)
        except HandedBadly as error:
            return await self._deliver(call, self._keys.key_of(call, None), Failed("usage", str(error)))
        key = self._keys.key_of(call, handed and context_digest(handed))
        self._calls.requested.add(key)
        try:
            got = await self._answer(call, key, handed)
        except BudgetSpent as spent:
            return await self._deliver(call, key, Failed("budget", str(spent)))
        except _Refused as refused:
            return await self._deliver(call, key, Failed("usage", str(refused)))
        self._calls.truncated += got.truncated
        return await self._deliver(call, key, _outcome(got), got.digest)

    async def _deliver(self, call: PostedCall, key: str, outcome: Outcome, digest: str = "") -> bool:
        ok = isinstance(outcome, Answered)
        self._deps.failpoint("deliver-before")
        self._calls.answers.add(key, digest if isinstance(outcome, Answered) else failure_digest(outcome.message))
        await self._session.deliver(call.id, outcome)
        self._deps.failpoint("deliver-after")
        self._report(ok)
        return ok

    async def _handed(self, call: PostedCall) -> ContextRef | None:
        """Return the stored context that a sub-RLM is handed; None for a plain call. Raises HandedBadly."""
        if not self.starts_a_run(call):
            return None
        if call.context is None:
            return no_context()
        return await asyncio.to_thread(hand_over, call.context, self._run.context, self._blobs)

    def starts_a_run(self, call: PostedCall) -> bool:
        """Return whether a child run answers the call, rather than a model."""
        return call.kind == "rlm" and self._run.settings.max_depth > 1

    async def _answer(self, call: PostedCall, key: str, handed: ContextRef | None) -> CallResult:
        if not call.cache:
            return await self._answer_now(call, key, handed)
        # Equal cached calls that are under way wait for the first of them.
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.ensure_future(self._answer_now(call, key, handed))
        return await task

    async def _answer_now(self, call: PostedCall, key: str, handed: ContextRef | None) -> CallResult:
        """Return the recorded answer, else ask for one. Raises BudgetSpent, _Refused."""
        recorded = self._run.journal.find(key)
        if recorded is not None:
            self._reused += 1
            if recorded.child_thread and not self._recorded_only:
                await self._emit_child(call, recorded, recorded.child_thread)
            return await replayed(self._run, self._deps, recorded, typed=call.schema is not None)
        self._calls.unrecorded[key] = call.prompt[:_KEPT_OF_PROMPTS]
        if self._recorded_only:
            raise _Refused("no answer to this call is recorded")
        if self._run.settings.max_depth < 1:
            raise _Refused("sub-calls are switched off for this run (--max-depth 0)")
        model = self._run.models.named(call.model)
        if model is None:
            there = ", ".join(self._run.models.names)
            raise _Refused(f"no model named {one_line(call.model or '', 60)!r} is configured; there are {there}")
        if handed is not None and call.schema is not None:
            await _check_schema(call.schema)
        gate = CallGate(self._run, self._deps, self._calls.parked, key, self._turn, call, handed)
        if handed is not None:
            return await gate.pass_through(
                lambda call, decided: self._ask_child(call, key, model.name, handed, decided)
            )
        return await gate.pass_through(lambda call, _: self._ask_model(call, key, model))

    async def _ask_model(self, call: PostedCall, key: str, model: ModelClient) -> CallResult:
        request = ModelRequest(
            messages=[{"role": "user", "content": call.prompt}],
            max_output_tokens=call.max_tokens or output_limit(model, SUB_OUTPUT_TOKENS),
            role="sub",
            schema=call.schema,
        )
        return await call_once(
            self._run,
            self._deps,
            ModelCall(
                *(key, call.recorded_kind, self._turn, call.prompt, model, request),
                parameters=await self._keys.parameters_of(call, self._deps.stores.texts),
                digest=self._keys.request_of(call, None),
                line=call.origin.line,
                cuts=call.origin.ranges,
            ),
        )

    async def _ask_child(
        self, call: PostedCall, key: str, name: str, handed: ContextRef, decided: ChildDecision | None
    ) -> CallResult | WaitingChild:
        request = self._keys.request_of(call, context_digest(handed))
        child = ChildCall(
            *(key, self._turn, call.prompt, name, handed, call.schema, decided, request),
            line=call.origin.line,
            cuts=call.origin.ranges,
        )
        return await ask_child(self._run, self._deps, child)

    async def _emit_child(self, call: PostedCall, recorded: RecordedCall, thread_id: str) -> None:
        """Send events about a child run that ended in an earlier execution, and about the runs below it."""
        depth = self._run.depth + 1
        status = "failed" if recorded.answer is None else "answered"
        told = [{**child_event(thread_id, depth, call.prompt), "status": status}]
        if self._run.settings.max_depth > 2:
            told += await descendant_events(self._deps.stores.threads, thread_id)
        for event in told:
            self._run.emit({**event, "usage": self._run.usage})

    def _report(self, ok: bool) -> None:
        self._answered += ok
        self._failed += not ok
        now = self._deps.clock()
        if now >= self._next_report:
            self._next_report = now + BETWEEN_REPORTS
            self.report()

    def report(self) -> None:
        """Send an event about the progress of the calls."""
        if not self._taken:
            return
        # A call that was just taken from the kernel may be in neither number.
        self._posted = max(self._posted, self._taken + self._session.waiting)
        told = {
            "turn": self._turn,
            "answered": self._answered,
            "failed": self._failed,
            "reused": self._reused,
            # Other calls that were taken wait for a free request slot, or for their answer to be saved.
            "in_flight": min(self._taken - self._answered - self._failed, self._run.settings.concurrency),
            "posted": self._posted,
            "usage": self._run.usage,
        }
        self._run.emit({"event": "calls", **told})


_KIND_FOR_CODE: dict[str, FailureKind] = {"budget": "budget", REJECTED: "rejected"}
"""Kinds of errors, as the code gets them, for failures that are not the model's."""


class _Refused(Exception):
    """Raised for a call that cannot be answered and is not sent."""


async def _check_schema(schema: dict[str, Any]) -> None:
    """Raise _Refused for an unusable schema: a run could spend all its turns on an answer that can never match."""
    try:
        with_numbers_that_can_be_saved(schema)
        await off_loop(check_schema, schema)
    except (SchemaInvalid, ValueError) as error:
        raise _Refused(f"the schema is not a usable JSON Schema: {error}") from None


def _outcome(got: CallResult) -> Outcome:
    if got.error is None:
        return Answered(got.value)
    return Failed(_KIND_FOR_CODE.get(got.error_kind or "", "model"), got.error)
