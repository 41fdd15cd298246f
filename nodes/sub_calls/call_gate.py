"""Pass a sub-call through the gates: it is made when no gate stops it or a reviewer has approved it; else it waits."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...kernel.session import PostedCall
from ...state.budget import ApprovalNeeded, BudgetSpent
from ...state.call_records import Entry, Outcome
from ...state.input.context import ContextRef
from ..approval.budget_gate import asks_about
from ..models.schema_validation import SchemaMismatch, parse
from ..models.work_limit import SchemaInvalid, off_loop
from ..runtime.call_decisions import ChildDecision
from ..runtime.parked_calls import ParkedCalls, WaitingChild, Why
from .keys import parameters_of, recorded
from .model_call import CallResult, failure_digest

if TYPE_CHECKING:
    from ..runtime.active_runs import ActiveRun
    from ..runtime.dependencies import Dependencies

REJECTED = "rejected"
"""The kind of error of a call that a reviewer rejected."""


@dataclass(frozen=True)
class CallGate:
    """A sub-call at the gates of its run."""

    run: "ActiveRun"
    deps: "Dependencies"
    parked_calls: ParkedCalls
    key: str
    turn: int
    call: PostedCall
    context: ContextRef | None = None
    """The input that a sub-RLM is handed."""

    async def pass_through(
        self, make: Callable[[PostedCall, ChildDecision | None], Awaitable[CallResult | WaitingChild]]
    ) -> CallResult:
        """Return the answer that `make` gives once the call may be made, or what a reviewer answered instead.

        Raises BudgetSpent.

        `make` gets the call with the approved prompt, and the decision that is handed down to a sub-RLM.
        """
        while True:
            call_decisions = self.parked_calls.call_decisions
            if self.key in call_decisions.rejected:
                return await self._rejected(call_decisions.rejected[self.key])
            if self.key in call_decisions.answered:
                return await self._answered(call_decisions.answered[self.key])
            if not self.parked_calls.lets_pass(self.key, self.call):
                await self.parked_calls.park(self.key, self.call, context=self.context)
                continue
            call = replace(self.call, prompt=call_decisions.edited.get(self.key, self.call.prompt))
            got = await self._made(partial(make, call, call_decisions.to_child.get(self.key)))
            if isinstance(got, CallResult):
                return got
            await self.parked_calls.park(self.key, self.call, got)

    async def _made(self, make: Callable[[], Awaitable[CallResult | WaitingChild]]) -> CallResult | Why:
        """Return the answer, or what the call has to wait for.

        Raises BudgetSpent when no reviewer is to be asked about it.
        """
        try:
            with self.parked_calls.active():
                return await make()
        except ApprovalNeeded as refused:
            return refused
        except BudgetSpent as spent:
            if asks_about(self.run, spent.resource):
                return spent
            raise

    async def _rejected(self, words: str) -> CallResult:
        await self._record(Outcome(error_kind=REJECTED, error=words, known=0, cost=0.0))
        return CallResult(failure_digest(words), error=words, error_kind=REJECTED)

    async def _answered(self, words: str) -> CallResult:
        """Return the reviewer's words as the call's answer. With a schema they must be JSON that matches it."""
        value: Any = words
        schema = self.call.schema
        if schema is not None:
            try:
                value = await off_loop(parse, words, schema)
            except (SchemaMismatch, SchemaInvalid) as error:
                return await self._rejected(f"A reviewer answered, but not as the schema asks ({error}): {words}")
        # The recorded answer of a typed call is read as JSON again.
        text = words if schema is None else json.dumps(value)
        digest = await self.deps.stores.texts.put(text)
        await self._record(Outcome(answer=digest, known=0, cost=0.0))
        return CallResult(digest, text=text, value=value)

    async def _record(self, outcome: Outcome) -> None:
        prompt = await self.deps.stores.texts.put(self.call.prompt, source=self.run.pack)
        parameters = await recorded(parameters_of({}, self.call), self.call.schema, self.deps.stores.texts)
        entry = Entry(self.key, self.call.recorded_kind, self.turn, self.run.depth, "", prompt, parameters=parameters)
        await self.run.journal.decide(entry, outcome)
