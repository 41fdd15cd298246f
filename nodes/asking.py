"""One model request, paid at most once: looked up in the journal, reserved, recorded, asked, settled."""

import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..state.journal import Entry, Outcome, Recorded, RequestKind
from ..state.ledger import NOTHING, Reservation, Wanted
from .events import emit
from .hands import Hands
from .live import LiveRun
from .models.client import ModelClient
from .models.failures import ModelCallFailed
from .models.prices import cost_usd
from .models.reply import ModelReply, ModelRequest
from .models.tokens import estimate_messages
from .models.typed import ask_typed

LEAST_OUTPUT = 512
"""Tokens that an answer must have room for, or it is not asked for."""


@dataclass(frozen=True)
class Ask:
    """A request with its place in the journal. `prompt` is the text that `rlm calls` shows."""

    key: str
    kind: RequestKind
    turn: int
    prompt: str
    model: ModelClient
    request: ModelRequest
    last_turn: bool = False
    record_failure: bool = True
    """False for root turns: a failure that no code was told of is asked again on resume."""


@dataclass(frozen=True)
class Got:
    """What came of it: an answer, or why there is none."""

    digest: str
    """The hash of what was recorded."""
    text: str | None = None
    value: Any = None
    truncated: bool = False
    error: str | None = None
    error_kind: str | None = None
    reused: bool = False


@dataclass
class _Spending:
    """The attempts of one ask: each is reserved and recorded before it is sent."""

    run: LiveRun
    ask: Ask
    entry: Entry
    granted: Reservation
    """What is reserved for each attempt; for the first one it is already."""
    attempts: int = field(default=0)

    async def before_attempt(self, number: int) -> None:
        if self.attempts:
            granted = self.granted
            again = Wanted(granted.input_tokens, granted.output_tokens, 0, lambda _in, _out: granted.cost)
            await self.run.ledger.reserve(again, last_turn=self.ask.last_turn, again=True)
        self.attempts += 1
        await self.run.journal.open(self.entry)

    def settle(self, used: "ModelReply | ModelCallFailed | None") -> None:
        """Give back what was reserved; `used` is what the server says it took, None when nobody knows."""
        ledger = self.run.ledger
        if not self.attempts:
            ledger.give_back(self.granted)
        for attempt in range(self.attempts):
            if used is None:
                ledger.settle(self.granted, None)
            elif attempt == 0:
                ledger.settle(self.granted, Reservation(used.input_tokens, used.output_tokens, used.cost_usd))
            else:
                ledger.settle(self.granted, NOTHING)


async def ask_once(run: LiveRun, hands: Hands, ask: Ask) -> Got:
    """The recorded answer to `ask`, or a new one, which is on disk when this returns.

    The output limit of the request may be lowered, where the budget has no more. Raises BudgetSpent, with nothing
    sent and nothing recorded. Cancelled while the request is under way, its journal row stays open: "may have been
    billed".
    """
    recorded = run.journal.find(ask.key)
    if recorded is not None:
        return await served(run, hands, recorded, typed=ask.request.schema is not None)
    prompt = await hands.stores.texts.put(ask.prompt)
    async with run.tree.slots:
        spending = await _reserved(run, ask, prompt)
        used: ModelReply | ModelCallFailed | None = None
        value: Any = None
        try:
            hands.probe("request-before")
            used, value = await _send(ask, spending)
            hands.probe("request-after")
        except ModelCallFailed as failure:
            used = failure
        finally:
            spending.settle(used)
    if isinstance(used, ModelCallFailed):
        return await _record_failure(run, spending, used)
    assert used is not None, "neither an answer nor a failure"
    return await _record(run, hands, ask, spending, used, value)


def wanted(model: ModelClient, run: LiveRun, request: ModelRequest, *, least_output: int = LEAST_OUTPUT) -> Wanted:
    """What the budget must have for a request."""
    tokens = estimate_messages(request.messages)
    return Wanted(
        tokens,
        request.max_output_tokens,
        min(least_output, request.max_output_tokens),
        partial(cost_usd, model.name, price=run.settings.price),
    )


async def _reserved(run: LiveRun, ask: Ask, prompt: str) -> _Spending:
    granted = await run.ledger.reserve(wanted(ask.model, run, ask.request), last_turn=ask.last_turn)
    tokens, limit, cost = granted.input_tokens, granted.output_tokens, granted.cost
    entry = Entry(ask.key, ask.kind, ask.turn, run.depth, ask.model.name, prompt, tokens, limit, cost)
    return _Spending(run, ask, entry, granted)


async def _send(ask: Ask, spending: _Spending) -> tuple[ModelReply, Any]:
    def on_retry(reason: str, seconds: float) -> None:
        emit("retry", model=ask.model.name, reason=reason, seconds=seconds)

    request = replace(ask.request, max_output_tokens=spending.granted.output_tokens)
    if request.schema is not None:
        return await ask_typed(ask.model, request, before_attempt=spending.before_attempt, on_retry=on_retry)
    reply = await ask.model.ask(request, before_attempt=spending.before_attempt, on_retry=on_retry)
    return reply, reply.text


async def _record(run: LiveRun, hands: Hands, ask: Ask, spending: _Spending, reply: ModelReply, value: Any) -> Got:
    text = value if ask.request.schema is None else json.dumps(value)
    digest = await hands.stores.texts.put(text)
    hands.probe("journal-before")
    await run.journal.settle(
        spending.entry,
        Outcome(
            answer=digest,
            attempts=spending.attempts,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cost=reply.cost_usd,
            seconds=reply.seconds,
        ),
    )
    hands.probe("journal-after")
    return Got(digest, text=reply.text, value=value, truncated=reply.finish == "length")


async def _record_failure(run: LiveRun, spending: _Spending, failure: ModelCallFailed) -> Got:
    message = str(failure)
    if spending.ask.record_failure and spending.attempts:
        await run.journal.settle(
            spending.entry,
            Outcome(
                error_kind=failure.kind,
                error=message,
                attempts=spending.attempts,
                input_tokens=failure.input_tokens,
                output_tokens=failure.output_tokens,
                cost=failure.cost_usd,
            ),
        )
    return Got(failure_digest(message), error=message, error_kind=failure.kind)


async def served(run: LiveRun, hands: Hands, recorded: Recorded, *, typed: bool) -> Got:
    """A recorded answer, counted as reused. `typed`: it is the JSON of a value."""
    run.ledger.count_reused()
    run.journal.reuse(recorded.key)
    if recorded.answer is None:
        message = recorded.error or "it failed"
        return Got(failure_digest(message), error=message, error_kind=recorded.error_kind, reused=True)
    text = await hands.stores.texts.get(recorded.answer)
    return Got(recorded.answer, text=text, value=json.loads(text) if typed else text, reused=True)


def failure_digest(message: str) -> str:
    """What stands for the answer of a call that failed, in the set of a cell's answers."""
    return f"failed:{message}"
