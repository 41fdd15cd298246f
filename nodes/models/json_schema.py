"""Match JSON Schema's regular expressions within a time limit: schemas come from model code, and one may never end.

Python's `re` cannot be interrupted and would block the whole process; `regex` can be.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .work_limit import SchemaInvalid, WorkLimit, current, take

_COMPILING, _COMPILING_A_CHARACTER = 10, 3
_CHARACTERS_A_STEP = 256
_SHOWN = 200


class PatternUnusable(SchemaInvalid):
    """Raised when a pattern is not a regular expression or takes too long; says which."""


def found(pattern: str, text: str) -> bool:
    """Return whether the pattern is found in the text. Raises PatternUnusable, SchemaTooCostly."""
    # Imported late, as most runs need no schema.
    import regex

    limit = current()
    take(1 + len(text) // _CHARACTERS_A_STEP)
    try:
        compiled = _compiled(pattern, limit)
    except regex.error as error:
        raise PatternUnusable(f"its pattern {_shown(pattern)} is no regular expression ({error})") from None
    began = limit.clock()
    try:
        # In a thread the event loop runs meanwhile.
        return compiled.search(text, timeout=max(limit.pattern_seconds, 0.001), concurrent=limit.grows) is not None
    except TimeoutError:
        # On the event loop this is no verdict yet: when time is up there, the check is made again in a thread.
        limit.look()
        raise PatternUnusable(f"its pattern {_shown(pattern)} takes too long to match") from None
    finally:
        limit.pattern_seconds -= limit.clock() - began


def _compiled(pattern: str, limit: WorkLimit) -> Any:
    import regex

    compiled = limit.memo.get(pattern)
    if compiled is None:
        take(_COMPILING + _COMPILING_A_CHARACTER * len(pattern))
        compiled = limit.memo[pattern] = regex.compile(pattern)
    return compiled


def _shown(pattern: str) -> str:
    return repr(pattern[:_SHOWN])


def keywords() -> dict[str, Any]:
    """Return the keywords of JSON Schema that match patterns, for `jsonschema.validators.extend`."""
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
        take(len(extra))
        yield ValidationError(f"Additional properties are not allowed ({', '.join(map(repr, extra))})")
