"""Make one model request, paid at most once: look it up in the journal, else reserve, record, send and settle it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ...state.call_records import CUT, Attempt, Entry, Outcome, RecordedCall, RequestKind
from ...state.errors import ModelFailed
from ...state.evidence.places import Cut
from ...state.reservations import NOTHING, CostEstimate, Reservation, plus
from ..models.client import AttemptEnd, ModelClient
from ..models.errors import ModelCallFailed
from ..models.provider_protocol import ModelReply, ModelRequest
from ..models.structured_output import ask_typed, estimate_first_request, estimate_request
from ..runtime.active_runs import ActiveRun
from ..runtime.dependencies import Dependencies
from ..runtime.output_limits import LEAST_OUTPUT


@dataclass(frozen=True)
class ModelCall:
    """A request with its place in the journal. `prompt` is the text that `rlm calls` shows."""

    key: str
    kind: RequestKind
    turn: int
    prompt: str
    model: ModelClient
    request: ModelRequest
    last_turn: bool = False
    least_output: int = LEAST_OUTPUT
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters that are asked for beside the prompt, as far as they were given."""
    digest: str = ""
    """The request's digest."""
    line: int | None = None
    """The line of the block of code that led to it."""
    messages: Sequence[tuple[str, str]] = ()
    """Of a root turn, the roles of its messages and the hashes of their texts."""
    cuts: Sequence[Cut] = ()
    """The parts of documents that the prompt was cut from, as the kernel says or as this program knows."""
    record_failure: bool = True
    """False for root turns: a failure that no code has seen is asked again on resume."""


@dataclass(frozen=True)
class CallResult:
    """The result of a call: an answer, or the reason why there is no answer."""

    digest: str
    """The hash of what was recorded."""
    text: str | None = None
    value: Any = None
    truncated: bool = False
    error: str | None = None
    error_kind: str | None = None
    reused: bool = False
    thoughts: str = ""
    """The model's thoughts, as far as the server shows them."""
    window: int | None = None
    """The model's window in tokens, where the request was too long for it."""


@dataclass
class _Spending:
    """The attempts of one call: each is reserved and recorded before it is sent, and settled when it has ended."""

    run: ActiveRun
    call: ModelCall
    entry: Entry
    """The request, with the reservation for each attempt; that for the first one is made already."""
    opened: bool = False
    """True when there is a row in the journal."""
    attempts: int = 0
    """Number of requests that were sent, as far as is known."""
    known: int = 0
    """Number of those requests whose outcome is known."""
    used: Reservation = NOTHING
    """Usage of the requests with a known outcome, all together."""
    attempts_log: list[Attempt] = field(default_factory=list[Attempt])
    begun: float = 0.0
    """The time at which the attempt under way was sent."""
    streamed_calls: int = 0
    """Requests with an unknown outcome of whose answers a part had arrived."""
    streamed_output: int = 0
    """The output tokens of those parts."""
    places: str | None = None
    """The parts of the input that the prompt holds, as recorded."""
    held: bool = True
    """True while a reservation is neither settled nor given back."""

    async def before_attempt(self, number: int) -> None:
        if not self.held:
            granted = self.entry.reserved
            tokens, limit = granted.input_tokens, granted.output_tokens
            again = CostEstimate(tokens, limit, limit, lambda _in, _out: granted.cost)
            await self.run.ledger.reserve(again, last_turn=self.call.last_turn)
            self.held = True
        self.attempts += 1
        self.opened = True
        self.begun = self.run.journal.now()
        await self.run.journal.open(self.entry)

    def after_attempt(self, end: AttemptEnd) -> None:
        """Settle an attempt that has ended."""
        self.held = False
        used = end.used
        took = used and Reservation(used.input_tokens, used.output_tokens, used.cost_usd, details=used.details)
        self.run.ledger.settle(self.entry.reserved, took, streamed=end.streamed)
        self.attempts_log.append(Attempt(self.begun, self.run.journal.now(), end.outcome))
        if took is None and end.streamed:
            self.streamed_calls, self.streamed_output = self.streamed_calls + 1, self.streamed_output + end.streamed
        if took is not None:
            self.used = plus(self.used, took)
            self.known += 1

    async def not_sent(self) -> None:
        """Undo an attempt that reached no server: neither the budget nor the journal keeps anything of it."""
        self.run.ledger.give_back(self.entry.reserved)
        self.held = False
        self.attempts -= 1
        await self.run.journal.correct(self.entry, Outcome(known=0, unsent=1, cost=0.0))

    def outcome(self, **facts: Any) -> Outcome:
        """Return the outcome for the journal, with what was used."""
        used = self.used
        return Outcome(
            known=self.known,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost=used.cost,
            details=used.details,
            attempts=self.attempts_log,
            streamed_calls=self.streamed_calls,
            streamed_output=self.streamed_output,
            places=self.places,
            **facts,
        )

    def end(self) -> None:
        """Settle what is left: a request sent without an answer that was seen, or one that was never sent."""
        if self.held and self.attempts:
            self.after_attempt(AttemptEnd("cancelled", None))
        elif self.held:
            self.run.ledger.give_back(self.entry.reserved)


async def call_once(run: ActiveRun, deps: Dependencies, call: ModelCall) -> CallResult:
    """Return the recorded answer to `call`, or a new one, which is on disk when this returns.

    The output limit of the request may be lowered to what the budget has left. Raises BudgetSpent, or HomeFull when the
    home has no room for more, with nothing sent and nothing recorded. When it is cancelled while the request is under
    way, the journal row stays open: the request is uncertain, "may have been billed".
    """
    recorded = run.journal.find(call.key)
    if recorded is not None:
        return await replayed(run, deps, recorded, typed=call.request.schema is not None)
    queued = run.journal.now()
    # Before its prompt is stored, because code may make calls without end.
    await run.tree.room.need()
    prompt = await deps.stores.texts.put(call.prompt, source=run.pack)
    with ExitStack() as under_way:
        async with run.tree.slots:
            spending = await _reserved(run, call, prompt, queued)
            try:
                await run.tree.room.begin()
                under_way.callback(run.tree.room.ended)
                placing, outcome = await _sent(run, deps, call, spending)
            finally:
                spending.end()
        spending.places = await run.placing.soon(placing)
        if isinstance(outcome, ModelCallFailed):
            result = await _record_failure(deps, spending, outcome)
        else:
            result = await _record(deps, spending, *outcome)
        if spending.places is None:
            run.placing.later(placing, partial(run.journal.place, call.key))
        return result


async def _sent(
    run: ActiveRun, deps: Dependencies, call: ModelCall, spending: _Spending
) -> tuple["asyncio.Future[str | None]", tuple[ModelReply, Any] | ModelCallFailed]:
    """Send the request. Return what places its prompt in the input, and the reply or why there is none."""
    placing = run.placing.begin(call.prompt, call.cuts)
    try:
        deps.failpoint("request-before")
        reply = await _send(call, spending)
        deps.failpoint("request-after")
    except ModelCallFailed as failure:
        return placing, failure
    except BaseException:
        placing.cancel()
        raise
    return placing, reply


def wanted(model: ModelClient, request: ModelRequest, least_output: int = LEAST_OUTPUT) -> CostEstimate:
    """Return what the budget must have for a request."""
    tokens = estimate_request(request)
    return CostEstimate(
        tokens,
        request.max_output_tokens,
        min(least_output, request.max_output_tokens),
        model.cost_usd,
        estimate_first_request(request),
    )


async def _reserved(run: ActiveRun, call: ModelCall, prompt: str, queued: float) -> _Spending:
    estimate = wanted(call.model, call.request, call.least_output)
    granted = await run.ledger.reserve(estimate, last_turn=call.last_turn)
    entry = Entry(
        key=call.key,
        kind=call.kind,
        turn=call.turn,
        depth=run.depth,
        model=call.model.name,
        prompt=prompt,
        reserved=granted,
        request=call.digest,
        parameters=call.parameters,
        messages=call.messages,
        line=call.line,
        queued=queued,
    )
    return _Spending(run, call, entry)


async def _send(call: ModelCall, spending: _Spending) -> tuple[ModelReply, Any]:
    def on_retry(reason: str, seconds: float) -> None:
        spending.run.emit({"event": "retry", "model": call.model.name, "reason": reason, "seconds": seconds})

    request = replace(call.request, max_output_tokens=spending.entry.reserved.output_tokens)
    before, after, not_sent = spending.before_attempt, spending.after_attempt, spending.not_sent
    if request.schema is not None:
        return await ask_typed(
            call.model, request, before_attempt=before, after_attempt=after, not_sent=not_sent, on_retry=on_retry
        )
    reply = await call.model.ask(
        request, before_attempt=before, after_attempt=after, not_sent=not_sent, on_retry=on_retry
    )
    return reply, reply.text


async def _record(deps: Dependencies, spending: _Spending, reply: ModelReply, value: Any) -> CallResult:
    typed = spending.call.request.schema is not None
    text = json.dumps(value) if typed else value
    # A value that matches its schema is whole, wherever the reply ended.
    cut = reply.finish == "length" and not typed
    digest = await deps.stores.texts.put(text)
    deps.failpoint("journal-before")
    outcome = spending.outcome(
        answer=digest,
        error_kind=CUT if cut else None,
        seconds=reply.seconds,
        thoughts=await _thoughts(deps, reply.thoughts),
    )
    await spending.run.journal.settle(spending.entry, outcome)
    deps.failpoint("journal-after")
    return CallResult(digest, text=reply.text, value=value, truncated=cut, thoughts=reply.thoughts)


async def _thoughts(deps: Dependencies, thoughts: str) -> str | None:
    return await deps.stores.texts.put(thoughts) if thoughts else None


async def _record_failure(deps: Dependencies, spending: _Spending, failure: ModelCallFailed) -> CallResult:
    message = str(failure)
    if spending.opened:
        journal = spending.run.journal
        thoughts = await _thoughts(deps, failure.thoughts)
        outcome = spending.outcome(error_kind=failure.kind, error=message, seconds=failure.seconds, thoughts=thoughts)
        await (journal.settle if spending.call.record_failure else journal.correct)(spending.entry, outcome)
    return CallResult(
        failure_digest(message),
        error=message,
        error_kind=failure.kind,
        thoughts=failure.thoughts,
        window=failure.window,
    )


async def replayed(run: ActiveRun, deps: Dependencies, recorded: RecordedCall, *, typed: bool) -> CallResult:
    """Return a recorded answer, counted as reused. `typed`: it is the JSON of a value."""
    run.ledger.count_reused()
    run.journal.reuse(recorded.key)
    if recorded.answer is None:
        message = recorded.error or "it failed"
        return CallResult(failure_digest(message), error=message, error_kind=recorded.error_kind, reused=True)
    text = await deps.stores.texts.get(recorded.answer)
    value = json.loads(text) if typed else text
    # Code sees no thoughts, so only those of a root turn are read.
    thoughts = await deps.stores.texts.get(recorded.thoughts) if recorded.thoughts and recorded.kind == "root" else ""
    cut = recorded.error_kind == CUT
    return CallResult(recorded.answer, text=text, value=value, truncated=cut, reused=True, thoughts=thoughts)


def root_failed(got: CallResult, hint: str = "") -> ModelFailed:
    """Return the error that ends a run whose root model gave no answer. `hint`: what to do before resuming."""
    if got.error_kind in ("not_found", "garbage"):
        hint = "Another one can be named with --model and --base-url."
    return ModelFailed(got.error or "The root model gave no answer.", hint=hint)


def failure_digest(message: str) -> str:
    """Return what represents a failed call among the answers of a cell."""
    return f"failed:{message}"
