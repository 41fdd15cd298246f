"""JSON Schema's regular expressions, within a time: schemas come from model code, and one may match for ever.

Python's `re` cannot be interrupted and would hold up the whole process; `regex` can.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

SECONDS = 1.0
"""For all matches of one validation."""
_deadline: ContextVar[float] = ContextVar("deadline")


class PatternUnusable(ValueError):
    """A pattern is no regular expression, or takes too long; says which."""


@contextmanager
def within_time() -> Generator[None]:
    """While this lasts, all matches together get `SECONDS`."""
    token = _deadline.set(time.monotonic() + SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def found(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. Raises PatternUnusable."""
    # Imported late, as most runs need no schema.
    import regex

    left = _deadline.get(time.monotonic() + SECONDS) - time.monotonic()
    try:
        return regex.search(pattern, text, timeout=max(left, 0.001)) is not None
    except TimeoutError:
        raise PatternUnusable(f"its pattern {pattern!r} takes too long to match") from None
    except regex.error as error:
        raise PatternUnusable(f"its pattern {pattern!r} is no regular expression ({error})") from None


def keywords() -> dict[str, Any]:
    """The keywords of JSON Schema that match, for `jsonschema.validators.extend`."""
    return {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del schema
    if validator.is_type(instance, "string") and not found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for pattern, below in patterns.items():
        for name, value in instance.items():
            if found(pattern, name):
                yield from validator.descend(value, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [name for name in instance if name not in known and not any(found(one, name) for one in patterns)]
    if validator.is_type(allowed, "object"):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and extra:
        yield ValidationError(f"Additional properties are not allowed ({', '.join(map(repr, extra))})")
