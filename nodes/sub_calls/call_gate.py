"""A sub-call at the gates: it is made when nothing stops it, or when a person has let it; else it waits for one."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...kernel.session import PostedCall
from ...state.budget import BudgetSpent, NotAllowed
from ...state.call_journal import Entry, Outcome
from ..approval.budget import asks_about
from ..models.schema_validation import SchemaMismatch, parse
from ..models.work_limit import SchemaInvalid, off_loop
from ..runtime.call_decisions import ToChild
from ..runtime.parked_calls import ChildWaits, Hold, Why
from .model_call import Got, failure_digest

if TYPE_CHECKING:
    from ..runtime.active_runs import LiveRun
    from ..runtime.dependencies import Hands

REJECTED = "rejected"
"""The kind of error of a call that a person did not let be made."""


@dataclass(frozen=True)
class Passing:
    """A call that comes to the gates of its run."""

    run: "LiveRun"
    hands: "Hands"
    hold: Hold
    key: str
    turn: int
    call: PostedCall

    async def through(self, ask: Callable[[PostedCall, ToChild | None], Awaitable[Got | ChildWaits]]) -> Got:
        """The answer that `ask` gives, once it may; or what a person said instead. Raises BudgetSpent.

        `ask` is given the call with the prompt that was approved, and what is to be handed down to a sub-RLM.
        """
        while True:
            verdicts = self.hold.verdicts
            if self.key in verdicts.rejected:
                return await self._rejected(verdicts.rejected[self.key])
            if self.key in verdicts.answered:
                return await self._answered(verdicts.answered[self.key])
            if not self.hold.lets_pass(self.key, self.call):
                await self.hold.park(self.key, self.call)
                continue
            call = replace(self.call, prompt=verdicts.edited.get(self.key, self.call.prompt))
            got = await self._asked(partial(ask, call, verdicts.to_child.get(self.key)))
            if isinstance(got, Got):
                return got
            await self.hold.park(self.key, self.call, got)

    async def _asked(self, ask: Callable[[], Awaitable[Got | ChildWaits]]) -> Got | Why:
        """The answer, or what the call has to wait for. Raises BudgetSpent where nobody is to be asked about it."""
        try:
            with self.hold.active():
                return await ask()
        except NotAllowed as refused:
            return refused
        except BudgetSpent as spent:
            if asks_about(self.run, spent.resource):
                return spent
            raise

    async def _rejected(self, words: str) -> Got:
        await self._record(Outcome(error_kind=REJECTED, error=words, known=0, cost=0.0))
        return Got(failure_digest(words), error=words, error_kind=REJECTED)

    async def _answered(self, words: str) -> Got:
        """The person's words as the call's answer; of a call with a schema they must be JSON that fits it."""
        value: Any = words
        schema = self.call.schema
        if schema is not None:
            try:
                value = await off_loop(parse, words, schema)
            except (SchemaMismatch, SchemaInvalid) as error:
                return await self._rejected(f"A reviewer answered, but not as the schema asks ({error}): {words}")
        # What is recorded of a typed call is read as JSON again.
        text = words if schema is None else json.dumps(value)
        digest = await self.hands.stores.texts.put(text)
        await self._record(Outcome(answer=digest, known=0, cost=0.0))
        return Got(digest, text=text, value=value)

    async def _record(self, outcome: Outcome) -> None:
        prompt = await self.hands.stores.texts.put(self.call.prompt, source=self.run.pack)
        entry = Entry(self.key, self.call.kind, self.turn, self.run.depth, "", prompt, 0, 0, 0.0)
        await self.run.journal.decide(entry, outcome)
