"""Implement the keywords of JSON Schema so that each counts its work (`work_limit`).

They are jsonschema's, wrapped, and replacements where a keyword's work grows faster than what it looks at, or is not
visible from outside.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, cast

from . import json_schema
from .work_limit import current, take

Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]

_VALUES_A_STEP = 16
"""Values of a keyword's list or mapping a step; C code mostly goes through them."""
_ITEMS_A_STEP = 4
"""Values of an answer's list or mapping a step; they are gone through one by one."""
_COMPILING = 3
"""Steps for each character of a regular expression whose form is checked."""
_ERROR = 5
_CHARACTERS_A_STEP = 100
_MESSAGE_LENGTH = 1_000
"""Characters of a message, which repeats the value that it is about, however large."""
_OF_ITEMS = frozenset({"contains", "items", "prefixItems", "propertyNames", "additionalProperties"}) | {
    *("patternProperties", "unevaluatedItems", "unevaluatedProperties"),
}
_CHEAP = frozenset({"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) | {
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
}
"""Keywords that are counted with the schema that they are in."""


def counted(keywords: Mapping[str, Keyword]) -> dict[str, Keyword]:
    """Return these keywords so that they count their work, with some replaced."""
    own: dict[str, Keyword] = {
        **json_schema.keywords(),
        "anyOf": _any_of,
        "const": _const,
        "enum": _enum,
        "multipleOf": _multiple_of(keywords["multipleOf"]),
        "oneOf": _one_of,
        "uniqueItems": _unique_items,
        "unevaluatedItems": _unevaluated_items,
        "unevaluatedProperties": _unevaluated_properties,
    }
    costly = keywords.keys() - _CHEAP
    return {**keywords, **{name: _counted(name, own.get(name, keywords[name])) for name in costly}}


def _counted(name: str, keyword: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        take(_cost(name, value, instance))
        return keyword(validator, value, instance, schema)

    return check


def passes(errors: Iterable[Any]) -> bool:
    """Return whether there are no errors; the first one is counted."""
    return not counted_errors(errors, 1)


def counted_errors(errors: Iterable[Any], most: int | None = None) -> list[Any]:
    """Return at most `most` of the errors, counting the work of making their messages."""
    made: list[Any] = []
    for error in itertools.islice(errors, most):
        take(_ERROR + len(error.message) // _CHARACTERS_A_STEP)
        if len(error.message) > _MESSAGE_LENGTH:
            error.message = error.message[:_MESSAGE_LENGTH]
            error.args = (error.message,)
        made.append(error)
    return made


def _cost(name: str, value: Any, instance: Any) -> int:
    """Return the steps of a keyword without those of the schemas in it."""
    steps = 1
    if isinstance(value, list | dict | str):
        steps += len(cast("list[Any]", value)) // _VALUES_A_STEP
    if name in _OF_ITEMS and isinstance(instance, list | dict):
        steps += len(cast("list[Any]", instance)) // _ITEMS_A_STEP
    elif name == "dependentRequired":
        lists = cast("dict[str, list[str]]", value).values()
        steps += sum(map(len, lists)) // _VALUES_A_STEP
    elif name == "format" and isinstance(instance, str):
        # Only schemas themselves are checked for `format`; the form of a regular expression is checked by compiling it.
        steps += len(instance) * _COMPILING
    return steps


def _multiple_of(keyword: Keyword) -> Keyword:
    def check(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        try:
            yield from keyword(validator, factor, instance, schema) or ()
        except OverflowError:
            if (Fraction(instance) / Fraction(factor)).denominator != 1:
                yield ValidationError(f"{instance!r} is not a multiple of {factor}")

    return check


def _any_of(validator: Any, any_of: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del schema
    wrong: list[Any] = []
    for index, below in enumerate(any_of):
        errors = counted_errors(validator.descend(instance, below, schema_path=index))
        if not errors:
            return
        wrong += errors
    yield ValidationError(f"{instance!r} is not valid under any of the given schemas", context=wrong)


def _one_of(validator: Any, one_of: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del schema
    wrong: list[Any] = []
    fitting: list[Any] = []
    for index, below in enumerate(one_of):
        errors = counted_errors(validator.descend(instance, below, schema_path=index), 1 if fitting else None)
        if not errors:
            fitting.append(below)
        wrong += errors
    if not fitting:
        yield ValidationError(f"{instance!r} is not valid under any of the given schemas", context=wrong)
    elif len(fitting) > 1:
        yield ValidationError(f"{instance!r} is valid under each of {', '.join(map(repr, fitting))}")


def _const(validator: Any, const: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del validator, schema
    if _written(instance) not in _all_written([const], id(const)):
        yield ValidationError(f"{const!r} was expected")


def _enum(validator: Any, enum: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del validator, schema
    if _written(instance) not in _all_written(enum, id(enum)):
        yield ValidationError(f"{instance!r} is not one of {enum!r}")


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    del schema
    if unique and validator.is_type(instance, "array") and len({*map(_written, instance)}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


def _all_written(values: list[Any], key: int) -> frozenset[str]:
    # The schema lives longer than the check, so that no other value can get the same id.
    memo = current().memo
    if key not in memo:
        memo[key] = frozenset(map(_written, values))
    return memo[key]


def _written(value: Any) -> str:
    """Return a text that is the same for values that are equal in JSON Schema, and for no others.

    Texts are used because numbers can be chosen so that their hashes are all the same.
    """
    match value:
        case str():
            take(1 + len(value) // _CHARACTERS_A_STEP)
            return repr(value)
        case bool() | None:
            return str(value)
        case int():
            return f"{value:x}"
        case float():
            return f"{int(value):x}" if value.is_integer() else repr(value)
        case list():
            items = cast("list[Any]", value)
            take(1 + len(items))
            return f"[{','.join(map(_written, items))}]"
        case _:
            pairs = cast("dict[str, Any]", value)
            take(1 + len(pairs))
            return f"{{{','.join(f'{name!r}:{_written(pairs[name])}' for name in sorted(pairs))}}}"


def _unevaluated_items(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(instance, "array"):
        return
    seen = _evaluated_items(validator, instance, schema)
    left = [item for index, item in enumerate(instance) if index not in seen]
    if left:
        yield ValidationError(f"Unevaluated items are not allowed ({', '.join(map(repr, left))})")


def _unevaluated_properties(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(instance, "object"):
        return
    seen = _evaluated_properties(validator, instance, schema)
    left = [name for name in instance if name not in seen and not _is_valid(validator, below, instance[name])]
    if left:
        yield ValidationError(f"Unevaluated properties are not allowed ({', '.join(map(repr, left))})")


def _evaluated_items(validator: Any, instance: list[Any], schema: Any) -> set[int]:
    """Return the indexes of the items that other keywords of the schema look at."""
    if isinstance(schema, bool):
        return set()
    take(1 + len(instance) // _ITEMS_A_STEP)
    if "items" in schema:
        return set(range(len(instance)))
    seen = set(range(len(schema.get("prefixItems", []))))
    for keyword in {"contains", "unevaluatedItems"} & schema.keys():
        take(len(instance) // _ITEMS_A_STEP)
        seen |= {index for index, item in enumerate(instance) if _is_valid(validator, schema[keyword], item)}
    for inner, below in _applied(validator, instance, schema):
        seen |= _evaluated_items(inner, instance, below)
    return seen


def _evaluated_properties(validator: Any, instance: dict[str, Any], schema: Any) -> set[str]:
    """Return the names of the properties that other keywords of the schema look at."""
    if isinstance(schema, bool):
        return set()
    take(1 + len(instance) // _ITEMS_A_STEP)
    seen = {name for name in schema.get("properties", {}) if name in instance}
    for keyword in {"additionalProperties", "unevaluatedProperties"} & schema.keys():
        take(len(instance) // _ITEMS_A_STEP)
        seen |= {name for name, value in instance.items() if _is_valid(validator, schema[keyword], value)}
    for pattern in schema.get("patternProperties", {}):
        seen |= {name for name in instance if json_schema.found(pattern, name)}
    dependent = schema.get("dependentSchemas", {})
    applied = [(validator, below) for name, below in dependent.items() if name in instance]
    for inner, below in (*applied, *_applied(validator, instance, schema)):
        seen |= _evaluated_properties(inner, instance, below)
    return seen


def _applied(validator: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the schemas that apply to the same instance, each with the validator that resolves its references."""
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            resolved = validator._resolver.lookup(schema[keyword])
            yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver), resolved.contents
    for keyword in ("allOf", "oneOf", "anyOf"):
        for below in schema.get(keyword, []):
            if _is_valid(validator, below, instance):
                yield validator, below
    if "if" in schema:
        holds = _is_valid(validator, schema["if"], instance)
        branches = ("if", "then") if holds else ("else",)
        yield from ((validator, schema[branch]) for branch in branches if branch in schema)


def _is_valid(validator: Any, schema: Any, instance: Any) -> bool:
    return passes(validator.descend(instance, schema))
