"""Ask one configured model: send the request, check the reply, retry, count tokens and price them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from ...state.usage import NO_DETAILS, TokenDetails
from ..replies.repetition import repeats_itself
from ..replies.thoughts import take_off_thoughts
from .arriving import ArrivingOutput
from .errors import AttemptFailed, Failure, FailureKind, ModelCallFailed, Target, classify, explain
from .pricing import Price, cost_usd
from .provider_protocol import Finish, ModelReply, ModelRequest, RawReply, Role, Sender
from .retry import OnRetry, RetryPolicy, with_retries
from .server_limits import window_in
from .tokens import estimate_messages, estimate_tokens, size, surely_fits_not

BeforeAttempt = Callable[[int], Awaitable[None]]
"""Awaited before every request, with its number from 1; reserves budget there, and may raise to stop."""

_LONGEST_ERROR = 10_000
"""Characters of an error's message: a script may raise any text."""
_FINISHES: dict[str, Finish] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "complete", "completed", "eos"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(
        ("content_filter", "content_filtered", "refusal", "safety", "blocklist", "prohibited_content", "recitation",
         "spii", "guardrail_intervened"),
        "refusal",
    ),
    "error": "error",
}  # fmt: skip
"""Finish reasons of OpenAI, Anthropic, Gemini, Bedrock, Mistral, Cohere and Ollama, in lower case."""


AfterAttempt = Callable[["AttemptEnd"], None]
"""Called when a request that was sent has ended."""
NotSent = Callable[[], Awaitable[None]]
"""Awaited in place of `AfterAttempt` when it is certain that no server was sent the request."""


def nothing_to_count(_end: "AttemptEnd") -> None:
    """Do nothing about an attempt that has ended."""


async def nothing_to_note() -> None:
    """Do nothing about an attempt that reached no server."""


@dataclass(frozen=True)
class Used:
    """Usage of one request. `cost_usd` is None when no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    details: TokenDetails = NO_DETAILS


@dataclass(frozen=True)
class AttemptEnd:
    """The end of one request that was sent."""

    outcome: str
    """`answered`, or the kind of the failure."""
    used: Used | None
    """None when it is not known whether the request was billed."""
    streamed: int = 0
    """The output tokens that had arrived when the answer of such a request was lost."""


@dataclass
class _Tally:
    """Usage of the answered attempts of one call so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    estimated: bool = False
    attempts: int = 0
    thought_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True)
class _Answer:
    """The text of a reply that can be used."""

    text: str
    thoughts: str
    finish: Finish
    wrapped: bool


class ModelClient:
    """A client of one configured model.

    Safe to use from many tasks at once; close it when done (`aclose`, `async with`).
    """

    def __init__(
        self,
        target: Target,
        sender: Sender,
        *,
        price: Price | None = None,
        window: int | None = None,
        max_output: int | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._sender = sender
        self._price = price
        self.window = window
        """Tokens that the model can read and write together; None when that is not known."""
        self.max_output = max_output
        """The most output tokens of a reply, as the option `max_output` says; None when it is not given."""
        self._retry = retry or RetryPolicy()
        self._clock = clock

    @property
    def name(self) -> str:
        """`provider:model`, as it was configured."""
        return self._target.name

    @property
    def server(self) -> str:
        """The server's address without credentials; empty for the provider's own."""
        return self._target.where

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return US dollars for these tokens; None when no price is known."""
        return cost_usd(self.name, input_tokens, output_tokens, price=self._price)

    async def ask(
        self,
        request: ModelRequest,
        *,
        before_attempt: BeforeAttempt | None = None,
        after_attempt: AfterAttempt = nothing_to_count,
        not_sent: NotSent = nothing_to_note,
        on_retry: OnRetry | None = None,
    ) -> ModelReply:
        """Return the model's answer, whose text is never empty.

        `before_attempt` is awaited before every request that is sent, retries included; what it raises is passed on and
        nothing is sent. `after_attempt` is called with how each ended; `not_sent` is awaited in its place when
        it reached no server. `on_retry` is called with the reason and the seconds to wait. `finish="length"` means that
        the text was cut. Raises ModelCallFailed, and nothing else of its own; of kind `too_long` before anything is
        sent, when the request is clearly more than the window.
        """
        started = self._clock()
        request = replace(request, messages=[_sendable(message) for message in request.messages])
        tally = _Tally()
        if surely_fits_not(request.messages, request.max_output_tokens, self.window):
            raise self._failed(self._beyond_window(request), tally, request.role)

        async def attempt(number: int) -> _Answer:
            if before_attempt:
                await before_attempt(number)
            tally.attempts = number
            try:
                raw = await self._send(request)
            except AttemptFailed as error:
                failure = error.failure
                if failure.unsent:
                    await not_sent()
                else:
                    after_attempt(AttemptEnd(failure.kind, Used() if failure.unbilled else None, failure.streamed))
                raise
            used = self._count(raw, request, tally)
            try:
                answer = _judged(raw, request)
            except AttemptFailed as error:
                lost = error.failure.kind == "server" and raw.output_tokens is None
                after_attempt(AttemptEnd(error.failure.kind, None if lost else used))
                raise
            after_attempt(AttemptEnd("answered", used))
            return answer

        try:
            answer = await with_retries(attempt, self._retry, on_retry)
        except AttemptFailed as error:
            failure = error.failure
            if failure.kind == "too_long":
                failure = replace(failure, detail="; ".join(filter(None, (size(request.messages), failure.detail))))
        else:
            return _reply(answer, tally, self._clock() - started)
        # Raised outside the handler on purpose: inside it the provider's error, with the request and its Authorization
        # header, would become part of tracebacks.
        raise self._failed(failure, tally, request.role, self._clock() - started)

    async def aclose(self) -> None:
        """Close the model's connections. Safe to call twice."""
        await self._sender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.aclose()

    def failed(self, kind: FailureKind, detail: str, reply: ModelReply | None = None) -> ModelCallFailed:
        """Return a ModelCallFailed of this model for a fault found in its answer later; `reply` has been paid for."""
        tally = _Tally()
        if reply:
            tally = _Tally(reply.input_tokens, reply.output_tokens, reply.cost_usd, reply.estimated, reply.attempts)
        return self._failed(Failure(kind, detail), tally, seconds=reply.seconds if reply else 0.0)

    def _beyond_window(self, request: ModelRequest) -> Failure:
        window = f"its window is {self.window:,} tokens, the answer included"
        return Failure("too_long", f"{size(request.messages)}; {window}; not sent")

    def _failed(self, failure: Failure, tally: _Tally, role: Role = "sub", seconds: float = 0.0) -> ModelCallFailed:
        return ModelCallFailed(
            without_surrogates(explain(failure, self._target, tally.attempts, role)[:_LONGEST_ERROR]),
            kind=failure.kind,
            retryable=failure.retryable,
            attempts=tally.attempts,
            input_tokens=tally.input_tokens,
            output_tokens=tally.output_tokens,
            cost_usd=tally.cost_usd,
            thoughts=failure.thoughts,
            window=window_in(failure.detail) or self.window if failure.kind == "too_long" else None,
            seconds=seconds,
        )

    async def _send(self, request: ModelRequest) -> RawReply:
        arriving = ArrivingOutput(request.on_output, self._clock)
        try:
            # The transport limits connecting and each read; only this limits a server that keeps sending slowly.
            async with asyncio.timeout(self._target.seconds):
                return await self._sender.send(request, arriving.add)
        except Exception as error:
            failure = replace(classify(error), streamed=arriving.count())
        raise AttemptFailed(failure)

    def _count(self, raw: RawReply, request: ModelRequest, tally: _Tally) -> Used:
        sent, received = raw.input_tokens, raw.output_tokens
        if sent is None or received is None:
            tally.estimated = True
        sent = estimate_messages(request.messages) if sent is None else sent
        received = estimate_tokens(f"{raw.thoughts}{raw.text or raw.refusal}") if received is None else received
        cached = min(raw.cached_tokens, sent)
        written = min(raw.cache_write_tokens, sent - cached)
        cost = cost_usd(self.name, sent, received, cached_tokens=cached, cache_write_tokens=written, price=self._price)
        tally.input_tokens += sent
        tally.output_tokens += received
        thought = min(raw.thought_tokens, received)
        tally.thought_tokens += thought
        tally.cached_tokens += cached
        tally.cache_write_tokens += written
        tally.cost_usd = None if cost is None or tally.cost_usd is None else tally.cost_usd + cost
        return Used(sent, received, cost, TokenDetails(cached, written, thought))


def _reply(answer: _Answer, tally: _Tally, seconds: float) -> ModelReply:
    return ModelReply(
        text=answer.text,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cost_usd=tally.cost_usd,
        finish=answer.finish,
        estimated=tally.estimated,
        attempts=tally.attempts,
        seconds=seconds,
        thoughts=answer.thoughts,
        thought_tokens=tally.thought_tokens,
        cached_tokens=tally.cached_tokens,
        cache_write_tokens=tally.cache_write_tokens,
        wrapped=answer.wrapped,
    )


def _judged(raw: RawReply, request: ModelRequest) -> _Answer:
    """Return the reply without its thoughts. Raises AttemptFailed for a refusal and for a reply without an answer."""
    finish = _FINISHES.get(raw.finish.lower(), "other")
    if finish == "refusal" or raw.refusal:
        raise AttemptFailed(Failure("refused", " ".join(raw.refusal[:240].split())))
    if finish == "error":
        raise AttemptFailed(Failure("server", raw.error or "its answer broke off", True))
    text = raw.text if raw.text.strip() or request.role == "sub" or not raw.code else f"```repl\n{raw.code}\n```"
    spoken = take_off_thoughts(without_surrogates(text))
    thoughts = "\n\n".join(filter(None, (without_surrogates(raw.thoughts).strip(), *spoken.thoughts)))
    if spoken.text.strip():
        return _Answer(spoken.text, thoughts, finish, raw.wrapped)
    raise AttemptFailed(_without_answer(finish, thoughts, request, endless=repeats_itself(raw.text or thoughts)))


def _without_answer(finish: Finish, thoughts: str, request: ModelRequest, *, endless: bool) -> Failure:
    if finish == "length" and endless:
        return Failure("cut", "it repeated itself without end", thoughts=thoughts)
    if finish == "length":
        # Asked again, it would think as long and be cut again.
        limit = request.max_output_tokens
        return Failure("cut", f"all {limit} output tokens were used up before the answer began", thoughts=thoughts)
    if thoughts:
        # The root model is sent a note about it, and so asked again in its next turn.
        return Failure("thoughts", "", request.role == "sub", retry_after=0.0, thoughts=thoughts)
    return Failure("empty", retryable=True, retry_after=0.0)


def without_surrogates(text: str) -> str:
    """Return `text` as UTF-8 can carry it: surrogate pairs joined to their character, lone ones replaced by U+FFFD."""
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _sendable(message: dict[str, str]) -> dict[str, str]:
    return {"role": message["role"], "content": without_surrogates(message["content"])}
