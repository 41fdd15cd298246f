"""Typed answers: asks for JSON of a given schema, reads it out of the reply, and has it repaired once.

The schema is told in words, and to servers that have a feature for it by that too (`structured`): it is missing or
different on many, and what they promise is checked all the same. Everything we add to the messages goes into the
system message, so that the prompt stays the last user message, unchanged, in the repair too.
"""

import json
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from .client import AfterAttempt, BeforeAttempt, ModelClient, NotSent, nothing_to_note
from .errors import ModelCallFailed
from .reply import ModelReply, ModelRequest
from .retry import OnRetry
from .schema_validation import SchemaMismatch, check_schema, parse
from .tokens import estimate_messages, estimate_tokens
from .work_limit import SchemaInvalid, off_loop

_REASON_LENGTH = 300
_SHOWN_LENGTH = 8000
_CHARACTERS_A_TOKEN = 2
"""Of JSON, rather too few."""


class TypedReply(NamedTuple):
    """The reply, with a repair's tokens, cost and attempts included, and the valid value read from it."""

    reply: ModelReply
    value: Any


def instruction(schema: dict[str, Any]) -> str:
    """The system message that asks for an answer of this schema."""
    return (
        "Answer with exactly one JSON value that is valid against the JSON Schema below. "
        "Write nothing else: no explanation, no code fence.\n\n" + json.dumps(schema, ensure_ascii=False)
    )


def estimate_request(request: ModelRequest) -> int:
    """About how many input tokens the largest request is that asking this makes: what a reservation must hold.

    With a schema that is a repair, which carries the schema in words and in the provider's form, and the answer.
    """
    tokens = estimate_messages(request.messages)
    if request.schema is None:
        return tokens
    shown = min(request.max_output_tokens, _SHOWN_LENGTH // _CHARACTERS_A_TOKEN)
    return tokens + 2 * estimate_tokens(instruction(request.schema)) + shown + _REASON_LENGTH


def estimate_first_request(request: ModelRequest) -> int:
    """Estimate the input tokens of the first request that asking this makes."""
    tokens = estimate_messages(request.messages)
    return tokens if request.schema is None else tokens + estimate_tokens(instruction(request.schema))


def repair(request: ModelRequest, text: str, reason: str) -> ModelRequest:
    """The one request that follows an answer which does not fit: the same prompt, the answer and its fault told."""
    return _with_system(
        request,
        f"{instruction(request.schema or {})}\n\nAn earlier answer was not accepted, because {reason}. "
        f"Correct it. It was:\n\n{text[:_SHOWN_LENGTH]}",
    )


async def ask_typed(
    client: ModelClient,
    request: ModelRequest,
    *,
    before_attempt: BeforeAttempt | None = None,
    after_attempt: AfterAttempt = lambda _: None,
    not_sent: NotSent = nothing_to_note,
    on_retry: OnRetry | None = None,
) -> TypedReply:
    """A value that is valid against `request.schema`, after one repair at most.

    `before_attempt`, `after_attempt`, `not_sent` and `on_retry` as in `ModelClient.ask`; attempts are numbered
    through. Raises ModelCallFailed: kind `schema` when the repaired answer does not fit either, `bad_request` when the
    schema itself is not valid (then mostly nothing was sent), and those of `ModelClient.ask`.
    """
    schema = request.schema or {}
    try:
        await off_loop(check_schema, schema)
    except SchemaInvalid as error:
        _refuse(client, error, None)
    first = await client.ask(
        _with_system(request, instruction(schema)),
        before_attempt=before_attempt,
        after_attempt=after_attempt,
        not_sent=not_sent,
        on_retry=on_retry,
    )
    try:
        return TypedReply(first, await off_loop(parse, first.text, schema))
    except SchemaInvalid as error:
        _refuse(client, error, first)
    except SchemaMismatch as error:
        reason = _why(error, first, request)

    async def numbered_through(number: int) -> None:
        if before_attempt:
            await before_attempt(first.attempts + number)

    try:
        second = await client.ask(
            repair(request, first.text, reason),
            before_attempt=numbered_through,
            after_attempt=after_attempt,
            not_sent=not_sent,
            on_retry=on_retry,
        )
    except ModelCallFailed as error:
        error.attempts += first.attempts
        error.input_tokens += first.input_tokens
        error.output_tokens += first.output_tokens
        error.cost_usd = _sum(error.cost_usd, first.cost_usd)
        raise
    both = _together(first, second)
    try:
        return TypedReply(both, await off_loop(parse, second.text, schema))
    except SchemaMismatch as error:
        reason = _why(error, second, request)
    except SchemaInvalid as error:
        _refuse(client, error, both)
    raise client.failed("schema", reason, both)


def _why(error: SchemaMismatch, reply: ModelReply, request: ModelRequest) -> str:
    cut = f"it was cut off at {request.max_output_tokens} tokens" if reply.finish == "length" else ""
    return cut or str(error)


def _refuse(client: ModelClient, error: SchemaInvalid, paid: ModelReply | None) -> NoReturn:
    raise ModelCallFailed(
        f"The schema given for {client.name} is not a usable JSON Schema: {error}; correct it.",
        kind="bad_request",
        attempts=paid.attempts if paid else 0,
        input_tokens=paid.input_tokens if paid else 0,
        output_tokens=paid.output_tokens if paid else 0,
        cost_usd=paid.cost_usd if paid else 0.0,
    ) from None


def _together(first: ModelReply, second: ModelReply) -> ModelReply:
    return replace(
        second,
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cost_usd=_sum(first.cost_usd, second.cost_usd),
        estimated=first.estimated or second.estimated,
        attempts=first.attempts + second.attempts,
        seconds=first.seconds + second.seconds,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _with_system(request: ModelRequest, text: str) -> ModelRequest:
    """The request with `text` in its one system message: many chat templates refuse a second one."""
    messages = list(request.messages)
    if messages and messages[0]["role"] == "system":
        text = f"{messages.pop(0)['content']}\n\n{text}"
    return replace(request, messages=[{"role": "system", "content": text}, *messages])
