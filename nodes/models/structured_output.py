"""Ask for JSON of a given schema, read it from the reply, and have it repaired once.

The schema is in the system message. It is also sent in the form of OpenAI's chat completions (which vLLM, llama.cpp,
Ollama and others take) to servers that have that feature. The feature is missing or different on many servers, so its
refusal is distinguished from other faults, and the reply is parsed and validated like any answer. Everything that is
added to the messages goes into the call's key, so a recorded answer is found again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, cast

from .client import AfterAttempt, BeforeAttempt, ModelClient, NotSent, nothing_to_count, nothing_to_note
from .errors import ModelCallFailed
from .provider_protocol import ModelReply, ModelRequest
from .retry import OnRetry
from .schema_validation import SchemaMismatch, check_schema, parse
from .schema_wrapper import WORDS, wrapped, wraps
from .tokens import estimate_messages, estimate_tokens
from .work_limit import SchemaInvalid, off_loop

_NAME = "answer"
_REFUSAL_STATUS = frozenset({400, 404, 422, 500, 501})
_REFUSAL = re.compile(
    r"response.?format|json.?schema|structured.?output|guided.?(json|decoding)|grammar", re.IGNORECASE
)
_THIS_SCHEMA = re.compile(r"invalid schema|schema .{0,80}(not supported|unsupported|not permitted)", re.IGNORECASE)

_ANNOTATIONS = frozenset({"title", "description", "$schema"})
_STRICT_KEYS = _ANNOTATIONS | {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "pattern"),
}
_MOST_LEVELS = 10
_MOST_PROPERTIES = 5_000


def response_format(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the request's `response_format` for an answer of this schema; None when the format cannot express it.

    Its top level must be an object: any other value is put into one. `strict` is asked for where the schema is
    within OpenAI's strict subset.
    """
    sent = wrapped(schema) if wraps(schema) else dict(schema)
    if sent is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": _NAME, "schema": sent, "strict": is_strict(sent)}}


def with_words_for_form(request: ModelRequest) -> ModelRequest:
    """Return a request that says in words what its `response_format` asks for, where a value is put into an object."""
    if request.schema is None or not wraps(request.schema):
        return request
    return _with_system(request, WORDS)


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether OpenAI's strict mode takes the schema.

    All properties must be required and no others allowed, and rare keywords are not taken.
    """
    return 0 <= _count(schema, 1) <= _MOST_PROPERTIES


def refuses_form(status: int | None, said: str) -> bool:
    """Return whether an error answer to a request with `response_format` is about that."""
    return status in _REFUSAL_STATUS and _REFUSAL.search(said) is not None


def refuses_schema(said: str) -> bool:
    """Return whether such a refusal is of this one schema, and not of every schema."""
    return _THIS_SCHEMA.search(said) is not None


def _count(schema: Any, level: int) -> int:
    """Return the number of properties of the schema and of those in it; -1 when one of them is not strict."""
    if not isinstance(schema, Mapping) or level > _MOST_LEVELS:
        return -1
    here = cast("Mapping[str, Any]", schema)
    if not here.keys() <= _STRICT_KEYS or ("$ref" in here and not str(here["$ref"]).startswith("#")):
        return -1
    properties = _mapping(here.get("properties"))
    if here.get("type") == "object" or properties:
        closed = here.get("additionalProperties") is False
        if not closed or set(_listed(here.get("required"))) != set(properties):
            return -1
    elif not here.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        return -1
    inner = [*properties.values(), *_mapping(here.get("$defs")).values(), *_listed(here.get("anyOf"))]
    if "items" in here:
        inner.append(here["items"])
    counts = [_count(one, level + 1) for one in inner]
    return -1 if -1 in counts else len(properties) + sum(counts)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


_REASON_LENGTH = 300
_SHOWN_LENGTH = 8000
_CHARACTERS_A_TOKEN = 2
"""Characters of JSON a token, rather too few."""


class TypedReply(NamedTuple):
    """The reply, with a repair's tokens, cost and attempts included, and the valid value read from it."""

    reply: ModelReply
    value: Any


def instruction(schema: dict[str, Any]) -> str:
    """Return the system message that asks for an answer of this schema."""
    return (
        "Answer with exactly one JSON value that is valid against the JSON Schema below. "
        "Write nothing else: no explanation, no code fence.\n\n" + json.dumps(schema, ensure_ascii=False)
    )


def estimate_request(request: ModelRequest) -> int:
    """Estimate the input tokens of the largest request that asking this makes: what a reservation must hold.

    With a schema that is a repair, which has the schema in words and in the provider's form, and the answer.
    """
    tokens = estimate_messages(request.messages)
    if request.schema is None:
        return tokens
    shown = min(request.max_output_tokens, _SHOWN_LENGTH // _CHARACTERS_A_TOKEN)
    return tokens + 2 * estimate_tokens(f"{instruction(request.schema)} {WORDS}") + shown + _REASON_LENGTH


def estimate_first_request(request: ModelRequest) -> int:
    """Estimate the input tokens of the first request that asking this makes."""
    tokens = estimate_messages(request.messages)
    return tokens if request.schema is None else tokens + estimate_tokens(f"{instruction(request.schema)} {WORDS}")


def repair(request: ModelRequest, text: str, reason: str) -> ModelRequest:
    """Return the one request that follows an answer that does not match: the prompt, the answer and its fault."""
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
    after_attempt: AfterAttempt = nothing_to_count,
    not_sent: NotSent = nothing_to_note,
    on_retry: OnRetry | None = None,
) -> TypedReply:
    """Return a value that is valid against `request.schema`, after one repair at most.

    `before_attempt`, `after_attempt`, `not_sent` and `on_retry` are as in `ModelClient.ask`; attempts are numbered
    through. Raises ModelCallFailed: kind `schema` when the repaired answer does not match either, `bad_request` when
    the schema itself is not valid (then usually nothing was sent), and those of `ModelClient.ask`.
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
        return TypedReply(first, await off_loop(parse, first.text, schema, wrapped=first.wrapped))
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
        error.seconds += first.seconds
        error.input_tokens += first.input_tokens
        error.output_tokens += first.output_tokens
        error.cost_usd = _sum(error.cost_usd, first.cost_usd)
        raise
    both = _together(first, second)
    try:
        return TypedReply(both, await off_loop(parse, second.text, schema, wrapped=second.wrapped))
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
        thought_tokens=first.thought_tokens + second.thought_tokens,
        cached_tokens=first.cached_tokens + second.cached_tokens,
        cache_write_tokens=first.cache_write_tokens + second.cache_write_tokens,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _with_system(request: ModelRequest, text: str) -> ModelRequest:
    """Return the request with `text` in its one system message: many chat templates refuse a second one."""
    messages = list(request.messages)
    if messages and messages[0]["role"] == "system":
        text = f"{messages.pop(0)['content']}\n\n{text}"
    return replace(request, messages=[{"role": "system", "content": text}, *messages])
