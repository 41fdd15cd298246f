"""Put the value of a schema into an object: `response_format` takes only schemas whose top level is one."""

from collections.abc import Mapping
from typing import Any, cast

FIELD = "value"
WORDS = f'Write the value as the one field of a JSON object: {{"{FIELD}": …}}'
"""For the model, beside the words about the schema of the value, where it is asked for in an object."""

_MOVED = ("$schema", "$defs", "definitions")
"""Keywords that belong to the top level, where references look for them."""
_DATA = frozenset({"const", "enum", "default", "examples"})
_OF_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords whose value is an object of schemas under any names."""


def wraps(schema: Mapping[str, Any]) -> bool:
    """Return whether a value of this schema is asked for within an object."""
    return schema.get("type") != "object" or "anyOf" in schema


def wrapped(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of an object with a value of `schema` in its one field; its references lead to the same places.

    None for a schema whose references could not be kept: one that names itself by `$id`, or is nested too deeply.
    """
    try:
        moved = cast("dict[str, Any]", _moved(schema))
    except (_NamesItself, RecursionError):
        return None
    top = {name: moved.pop(name) for name in _MOVED if name in moved}
    return {
        "type": "object",
        "properties": {FIELD: moved},
        "required": [FIELD],
        "additionalProperties": False,
        **top,
    }


def unwrapped(value: Any) -> list[Any]:
    """Return the values that an answer may mean, the likelier first: models also answer without the object."""
    if isinstance(value, dict) and cast("dict[str, Any]", value).keys() == {FIELD}:
        return [value[FIELD], value]
    return [value]


class _NamesItself(Exception):
    """Raised for a schema that has `$id`."""


def _moved(schema: Any) -> Any:
    """Return a schema whose references to itself lead to the field."""
    if not isinstance(schema, Mapping):
        return schema
    here = cast("Mapping[str, Any]", schema)
    if "$id" in here:
        raise _NamesItself
    return {name: _keyword(name, value) for name, value in here.items()}


def _keyword(name: str, value: Any) -> Any:
    if name in _DATA:
        return value
    if name in ("$ref", "$dynamicRef") and isinstance(value, str):
        return _reference(value)
    if name in _OF_SCHEMAS and isinstance(value, Mapping):
        return {key: _moved(one) for key, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_moved(one) for one in cast("list[Any]", value)]
    return _moved(value)


def _reference(target: str) -> str:
    stays = target.startswith(tuple(f"#/{name}/" for name in _MOVED))
    return target if stays or not (target == "#" or target.startswith("#/")) else f"#/properties/{FIELD}{target[1:]}"
