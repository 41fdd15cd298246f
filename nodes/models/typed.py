"""Typed answers: asks for JSON of a given schema, reads it out of the reply, and has it repaired once.

The schema is told in words, and to servers that have a feature for it by that too (`structured`): it is missing or
different on many, and what they promise is checked all the same. Everything we add to the messages goes into the
system message, so that the prompt stays the last user message, unchanged, in the repair too.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from .client import AfterAttempt, BeforeAttempt, ModelClient, NotSent, nothing_to_note, without_surrogates
from .failures import ModelCallFailed
from .patterns import PatternUnusable, keywords, within_time
from .reply import ModelReply, ModelRequest
from .retrying import OnRetry
from .tokens import estimate_messages, estimate_tokens

_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)^[ \t]*\1", re.DOTALL | re.MULTILINE)
_MOST_STARTS = 200
"""Brackets in prose at which a JSON value is looked for."""
_MOST_ERRORS = 100
_REASON_LENGTH = 300
_SHOWN_LENGTH = 8000
_CHARACTERS_A_TOKEN = 2
"""Of JSON, rather too few."""


class SchemaMismatch(ValueError):
    """The reply holds no JSON value that is valid against the schema; says why in a few words."""


class SchemaInvalid(ValueError):
    """The schema itself cannot be used; says why in a few words."""


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


def parse(text: str, schema: dict[str, Any]) -> Any:
    """The value in `text`: the whole text, a fenced block, or the first fitting value within prose.

    Validated by JSON Schema 2020-12; nothing is fetched for `$ref`. Raises SchemaMismatch when none fits and
    SchemaInvalid when the schema cannot be used.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    validator = _validator(schema)
    problem = "it is not JSON"
    try:
        with within_time():
            for number, value in enumerate(_values(text)):
                errors = list(itertools.islice(validator.iter_errors(value), _MOST_ERRORS))
                if not errors:
                    return value
                if number == 0 and (error := best_match(errors)):
                    place = "".join(f"[{part!r}]" for part in error.absolute_path)
                    problem = f"{place or 'the value'}: {error.message}"[:_REASON_LENGTH]
    except Unresolvable as error:
        raise SchemaInvalid(f"its $ref leads nowhere ({error})"[:_REASON_LENGTH]) from None
    except PatternUnusable as error:
        raise SchemaInvalid(str(error)[:_REASON_LENGTH]) from None
    except RecursionError:
        raise SchemaInvalid("it refers to itself for ever, or is nested too deeply") from None
    raise SchemaMismatch(problem)


def mismatch(value: Any, schema: dict[str, Any]) -> str:
    """Why `value` does not match, in a few words; empty when it does. Nothing is fetched for `$ref`.

    Raises SchemaInvalid when the schema cannot be used.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        with within_time():
            error = best_match(itertools.islice(_validator(schema).iter_errors(value), _MOST_ERRORS))
    except Unresolvable as problem:
        raise SchemaInvalid(f"its $ref leads nowhere ({problem})"[:_REASON_LENGTH]) from None
    except PatternUnusable as problem:
        raise SchemaInvalid(str(problem)[:_REASON_LENGTH]) from None
    except RecursionError:
        raise SchemaInvalid("it refers to itself for ever, or is nested too deeply") from None
    return "" if error is None else f"{error.json_path}: {error.message}"[:_REASON_LENGTH]


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
        _validator(schema)
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
        return TypedReply(first, parse(first.text, schema))
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
        return TypedReply(both, parse(second.text, schema))
    except SchemaMismatch as error:
        reason = _why(error, second, request)
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


def _validator(schema: dict[str, Any]) -> Any:
    return _validator_of(json.dumps(schema))


@lru_cache(maxsize=64)
def _validator_of(schema_text: str) -> Any:
    # Imported late: 0.1 s that most runs never need.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend
    from referencing import Registry

    schema = json.loads(schema_text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise SchemaInvalid(error.message[:_REASON_LENGTH]) from None
    except RecursionError:
        raise SchemaInvalid("it is nested too deeply") from None
    if '"unevaluatedProperties"' in schema_text and '"patternProperties"' in schema_text:
        raise SchemaInvalid("it has both unevaluatedProperties and patternProperties; use additionalProperties")
    # An empty registry: jsonschema's own would fetch a foreign `$ref` over the network.
    return extend(Draft202012Validator, keywords())(schema, registry=Registry())


def _values(text: str) -> Iterator[Any]:
    """The JSON values in `text`, the likeliest first."""
    decoder = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite, strict=False)
    for part in (text, *(match[2] for match in _FENCED.finditer(text))):
        try:
            yield _storable(decoder.decode(part.strip()))
        except (ValueError, RecursionError):
            continue
    position = 0
    for _ in range(_MOST_STARTS):
        start = re.compile(r"[{\[]").search(text, position)
        if not start:
            return
        try:
            value, position = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
        else:
            yield _storable(value)


def _storable(value: Any) -> Any:
    """`value` without the lone surrogates that `\\ud800` in JSON becomes: UTF-8 cannot carry them."""
    text = json.dumps(value, ensure_ascii=False)
    clean = without_surrogates(text)
    return value if clean is text else json.loads(clean)


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number
