"""The form of the values that `map_query` asks for: in words for the prompt, and as a check of each value."""

import json
import re
from collections.abc import Mapping
from typing import Any

from .variables import quoted

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_MOST_LEVELS = 50
_MOST_LABELS = 1_000


class NotTheForm(Exception):
    """A value is not of the form; says why."""


class Form:
    """The form that code gave as `schema=`: a JSON Schema, a pydantic class, a list of labels, or None for texts."""

    def __init__(self, schema: Any) -> None:
        """Raises TypeError, ValueError for what is no schema."""
        self._model = schema if hasattr(schema, "model_validate") else None
        self._labels: dict[str, Any] = {}
        if schema is None:
            self.schema: Any = {"type": "string"}
        elif self._model is not None:
            self.schema = self._model.model_json_schema()
        elif isinstance(schema, list | tuple | set | frozenset):
            labels = sorted(schema, key=str) if isinstance(schema, set | frozenset) else list(schema)
            if not labels or len(labels) > _MOST_LABELS or not all(type(one) in (str, int, bool) for one in labels):
                raise TypeError(f"schema= as a list has labels, 1 to {_MOST_LABELS:,} str or int, not {quoted(schema)}")
            self.schema = {"enum": labels}
        elif isinstance(schema, dict):
            self.schema = schema
        else:
            kind = type(schema).__name__
            raise TypeError(f"schema= is a list of labels, a JSON Schema dict or a pydantic class, not a {kind}")
        enum = self.schema.get("enum")
        for label in enum if isinstance(enum, list) else []:
            key = _folded(label)
            self._labels[key] = None if key in self._labels else label
        try:
            self._text = json.dumps(self.schema, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"this schema is no plain JSON: {error}") from None

    def words(self) -> str:
        """Return the form in words."""
        if self.schema.keys() == {"enum"}:
            return "exactly one of " + ", ".join(json.dumps(one, ensure_ascii=False) for one in self.schema["enum"])
        if self.schema == {"type": "string"}:
            return "a text"
        return f"a JSON value that is valid against this JSON Schema: {self._text}"

    def checked(self, value: Any) -> Any:
        """Return the value, as an instance of the pydantic class if there is one. Raises NotTheForm."""
        if self._model is not None:
            try:
                return self._model.model_validate(value)
            except ValueError as error:
                raise NotTheForm(" ".join(str(error).split())[:200]) from None
        if self._labels and not isinstance(value, list | dict):
            # `Complaint.` is the label `complaint`, as far as only one is meant.
            label = self._labels.get(_folded(value))
            value = value if label is None else label
        _check(value, self.schema, self.schema, 0)
        return value


def _folded(label: Any) -> str:
    return str(label).strip(" \t\n\"'`.").casefold()


def _check(value: Any, schema: Any, root: Any, level: int) -> None:
    """Raise NotTheForm unless a value fits the usual keywords of a schema. Others are not checked."""
    if level > _MOST_LEVELS or schema is False:
        raise NotTheForm(f"{quoted(value)} is not allowed here")
    if not isinstance(schema, Mapping):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found: Any = root
        for name in reference[2:].split("/"):
            found = found.get(name, {}) if isinstance(found, Mapping) else {}
        _check(value, found, root, level + 1)
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(kinds, list) and not any(_is(value, kind) for kind in kinds):
        raise NotTheForm(f"{quoted(value)} is not of type {' or '.join(map(str, kinds))}")
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(choices, list) and not any(type(one) is type(value) and one == value for one in choices):
        raise NotTheForm(f"{quoted(value)} is not one of {', '.join(map(quoted, choices[:10]))}")
    _check_size(value, schema)
    _check_parts(value, schema, root, level + 1)
    for one in schema.get("allOf", ()):
        _check(value, one, root, level + 1)
    for name in ("anyOf", "oneOf"):
        if isinstance(ways := schema.get(name), list) and not any(_fits(value, one, root, level) for one in ways):
            raise NotTheForm(f"{quoted(value)} fits none of the forms that are allowed")


def _fits(value: Any, schema: Any, root: Any, level: int) -> bool:
    try:
        _check(value, schema, root, level + 1)
    except NotTheForm:
        return False
    return True


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _check_size(value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        size, least, most = value, schema.get("minimum"), schema.get("maximum")
    elif isinstance(value, str):
        size, least, most = len(value), schema.get("minLength"), schema.get("maxLength")
        if isinstance(pattern := schema.get("pattern"), str) and not re.search(pattern, value):
            raise NotTheForm(f"{quoted(value)} does not match {quoted(pattern)}")
    elif isinstance(value, list):
        size, least, most = len(value), schema.get("minItems"), schema.get("maxItems")
    else:
        return
    if isinstance(least, int | float) and size < least:
        raise NotTheForm(f"{quoted(value)} is less than {least}")
    if isinstance(most, int | float) and size > most:
        raise NotTheForm(f"{quoted(value)} is more than {most}")


def _check_parts(value: Any, schema: Mapping[str, Any], root: Any, level: int) -> None:
    if isinstance(value, list) and "items" in schema:
        for one in value:
            _check(one, schema["items"], root, level)
    if not isinstance(value, dict):
        return
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        raise NotTheForm(f"the field {quoted(missing[0])} is missing")
    fields = schema.get("properties", {})
    for name, one in value.items():
        if name in fields:
            _check(one, fields[name], root, level)
        elif "additionalProperties" in schema:
            if schema["additionalProperties"] is False:
                raise NotTheForm(f"the field {quoted(name)} is not expected")
            _check(one, schema["additionalProperties"], root, level)
