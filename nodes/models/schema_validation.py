"""Validate by JSON Schema 2020-12 what models and model code answer, within a limit of work (`work_limit`).

Nothing here trusts the schema: it may come from model code. Nothing is fetched for a `$ref`.
"""

import json
import math
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn, cast

from .client import without_surrogates
from .schema_keywords import counted, counted_errors, passes
from .schema_wrapper import unwrapped
from .work_limit import CheckStopped, SchemaInvalid, limited, take

_OPENING = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[^\n]*+\n", re.MULTILINE)
_MOST_STARTS = 200
"""Brackets in prose, and fences, at which a JSON value is searched."""
_MOST_ERRORS = 100
_REASON_LENGTH = 300
_WRITTEN_A_STEP, _READ_A_STEP = 100, 1_000
"""Characters a step: of a schema, and of a reply in which JSON is searched."""
_PREPARING = 10_000
"""Steps of making a validator: more than the event loop's limit, so that it is always made in a thread."""
_KEPT = 64
_SAMPLES: tuple[Any, ...] = (None, True, 0, "", [], {})
"""A value of each kind: a schema that takes too much work for one of them is refused before anything is sent."""


class SchemaMismatch(ValueError):
    """Raised when a reply holds no JSON value that is valid against the schema; says why in a few words."""


def check_schema(schema: dict[str, Any]) -> None:
    """Raise SchemaInvalid unless answers can be checked against the schema."""
    with limited():
        _validator(schema)


def parse(text: str, schema: dict[str, Any], *, wrapped: bool = False) -> Any:
    """Return the value in `text`: the whole text, a fenced block, or the first fitting value within prose.

    `wrapped`: the value was asked for within an object (`schema_wrapper`), and is taken out of it.
    Raises SchemaMismatch when none fits and SchemaInvalid when the schema cannot be used.
    """
    problem = "it is not JSON"
    with limited() as limit:
        validator = _validator(schema)
        # Imported late, and by now in a thread: it takes 0.1 s, and most runs never need it.
        from jsonschema.exceptions import best_match

        found = _values(text)
        for number, value in enumerate(one for each in found for one in (unwrapped(each) if wrapped else [each])):
            limit.grow(value)
            with _refusing():
                errors = counted_errors(validator.iter_errors(value), _MOST_ERRORS)
                if not errors:
                    return value
                if number == 0 and (error := best_match(errors)):
                    place = "".join(f"[{part!r}]" for part in error.absolute_path)
                    problem = f"{place or 'the value'}: {error.message}"[:_REASON_LENGTH]
    raise SchemaMismatch(problem)


def mismatch(value: Any, schema: dict[str, Any]) -> str:
    """Return why `value` does not match, in a few words; empty when it matches.

    Raises SchemaInvalid when the schema cannot be used.
    """
    with limited() as limit:
        validator = _validator(schema)
        from jsonschema.exceptions import best_match

        limit.grow(value)
        with _refusing():
            error = best_match(counted_errors(validator.iter_errors(value), _MOST_ERRORS))
            return "" if error is None else f"{error.json_path}: {error.message}"[:_REASON_LENGTH]


@contextmanager
def _refusing() -> Generator[None]:
    """Raise SchemaInvalid for any error that a hostile schema causes."""
    from referencing.exceptions import Unresolvable

    try:
        yield
    except (SchemaInvalid, CheckStopped):
        raise
    except Unresolvable as error:
        raise SchemaInvalid(f"its $ref leads nowhere ({error})"[:_REASON_LENGTH]) from None
    except RecursionError:
        raise SchemaInvalid("it refers to itself for ever, or is nested too deeply") from None
    except Exception as error:
        # A reference may lead to something that is not a schema, which nothing has checked.
        raise SchemaInvalid(f"it cannot be checked ({type(error).__name__}: {error})"[:_REASON_LENGTH]) from None


_prepared: dict[str, Any] = {}
"""By a schema's text, its validator or the reason why it has none: a schema is given again with every call."""


def _validator(schema: dict[str, Any]) -> Any:
    """Return the schema's validator.

    Raises SchemaInvalid if it is not valid, or if no answer could be checked against it.
    """
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise SchemaInvalid("it is no plain JSON, or nested too deeply") from None
    take(len(text) // _WRITTEN_A_STEP)
    ready = _prepared.get(text)
    if ready is None:
        take(_PREPARING)
        try:
            ready = _prepare(text)
        except SchemaInvalid as error:
            ready = str(error)
        while len(_prepared) >= _KEPT:
            _prepared.pop(next(iter(_prepared)), None)
        _prepared[text] = ready
    if isinstance(ready, str):
        raise SchemaInvalid(ready)
    return ready


def _prepare(text: str) -> Any:
    with _refusing():
        schema = json.loads(text)
        for error in _form_of_schemas().iter_errors(schema):
            raise SchemaInvalid(error.message[:_REASON_LENGTH])
        validator = _validator_of(schema)
        for value in _SAMPLES:
            counted_errors(validator.iter_errors(value))
        return validator


def _validator_of(schema: dict[str, Any]) -> Any:
    from jsonschema_specifications import REGISTRY
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    uri = root.id() or ""
    # Crawled once: otherwise each look-up of an anchor would go through the whole schema. What the registry does not
    # have is not fetched; jsonschema's own registry would fetch it.
    registry = REGISTRY.with_resource(uri, root).crawl()
    return _counting()(schema, registry=registry, _resolver=registry.resolver(uri))


@lru_cache(maxsize=1)
def _form_of_schemas() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema_specifications import REGISTRY

    schema = Draft202012Validator.META_SCHEMA
    resolver = REGISTRY.resolver(str(schema["$id"]))
    checker = Draft202012Validator.FORMAT_CHECKER
    return _counting()(schema, registry=REGISTRY, _resolver=resolver, format_checker=checker)


@lru_cache(maxsize=1)
def _counting() -> Any:
    """Return the class of validators that count their work."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    kind = cast(Any, extend(Draft202012Validator, counted(Draft202012Validator.VALIDATORS)))

    def evolve(self: Any, schema: Any = None, _resolver: Any = None) -> Any:
        # jsonschema's own method uses another class where a schema has `$schema`, and that class would not count.
        take(1)
        resolver = self._resolver if _resolver is None else _resolver
        return kind(schema, format_checker=self.format_checker, registry=self._registry, _resolver=resolver)

    def is_valid(self: Any, instance: Any) -> bool:
        return passes(self.iter_errors(instance))

    kind.evolve = evolve
    kind.is_valid = is_valid
    return kind


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON values in `text`, the likeliest first."""
    decoder = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite, strict=False)
    take(len(text) // _READ_A_STEP)
    for part in (text, *_fenced(text)):
        try:
            yield _storable(decoder.decode(part.strip()))
        except (ValueError, RecursionError):
            continue
    position = 0
    for _ in range(_MOST_STARTS):
        start = re.compile(r"[{\[]").search(text, position)
        if not start:
            return
        position = start.end()
        try:
            value, position = decoder.raw_decode(text, start.start())
        except RecursionError:
            continue
        except ValueError as error:
            # Each may be read to the text's end without success.
            take((getattr(error, "pos", len(text)) - start.start()) // _READ_A_STEP)
        else:
            yield _storable(value)


def _fenced(text: str) -> Iterator[str]:
    """Yield the contents of fenced blocks."""
    position = 0
    for _ in range(_MOST_STARTS):
        opening = _OPENING.search(text, position)
        if not opening:
            return
        position = opening.end()
        closing = re.compile(rf"^[ \t]*+{opening[1]}", re.MULTILINE).search(text, position)
        take(((closing.end() if closing else len(text)) - position) // _READ_A_STEP)
        if closing:
            yield text[position : closing.start()]
            position = closing.end()


def _storable(value: Any) -> Any:
    """Return `value` without the lone surrogates that `\\ud800` in JSON becomes: UTF-8 cannot carry them."""
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
