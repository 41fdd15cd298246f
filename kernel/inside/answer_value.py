"""A final value as plain JSON, without loss: every row and field, and in words what has no form in JSON.

`Plain` converts what has an equal form: tuples, sets and arrays are lists; dataclasses, models of pydantic, named
tuples and mappings are objects, with the text of a key that is not a text; dates, times and durations are ISO 8601;
Decimal, UUID and Path are texts; a member of an Enum is its value; NaN is null, a missing value.

What has none (bytes, complex and infinite numbers, any other object) is noted as a problem, with its place and what to
write, and stands as its text; an infinite number as null. The host refuses an answer with problems once.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

from .answer_keys import LARGEST_INT, key_text, unique
from .answer_texts import NONE, numpy_plain, scalar_text

MOST_VALUES = 1_000_000
"""Values of an answer that is no table, at most: the host reads as many."""
MOST_CHARACTERS = 48 << 20
DEEPEST = 100
_SHOWN = 3
_PLAIN = {str, bool, type(None)}

HOOKS: "dict[type, Callable[[Any], Any]]" = {}
"""Functions that return the form of a value of a type, which comes before every other form."""


class AnswerTooLarge(ValueError):
    """The value of FINAL is larger than an answer may be. The variable is kept."""


class Plain:
    """One conversion: its problems, and what it may still take."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.unnamed = 0
        """Problems beyond those that are named."""
        self.formless = False
        """True when the value itself has no form."""
        self._path: list[str] = []
        self.values = self.characters = 0

    def problem(self) -> str:
        """Return what has no form in JSON and what to write instead; empty if everything has one."""
        more = f"; and {self.unnamed:,} more" if self.unnamed else ""
        return "; ".join(self.problems) + more

    def at(self, place: str, value: Any) -> Any:
        """Return the form of a value that stands at `place` of the whole."""
        self._path.append(place)
        try:
            return self.of(value)
        finally:
            self._path.pop()

    def of(self, value: Any) -> Any:
        """Return the form of a value. Raises AnswerTooLarge."""
        kind = type(value)
        self._count(1, len(value) if kind is str else 0)
        if kind in _PLAIN and kind not in HOOKS:
            return value
        if hook := HOOKS.get(kind):
            return hook(value)
        if kind is int:
            return self._int(value)
        if kind is float:
            return self._float(value)
        if len(self._path) >= DEEPEST:
            return self._without(value, f"is nested more than {DEEPEST} deep", "make it flatter")
        if kind is list:
            return self._list(value)
        if isinstance(value, Enum):
            return self.of(value.value)
        if isinstance(value, str):
            return self.of(str.__str__(value))
        if isinstance(value, int):
            return self._int(int(value))
        if isinstance(value, float):
            return self._float(float(value))
        return self._of_object(value)

    def _of_object(self, value: Any) -> Any:
        if (text := scalar_text(value)) is not NONE:
            return text
        if isinstance(value, Mapping):
            return self._object(list(value.items()), attributes=False)
        if (plain := numpy_plain(value)) is not NONE:
            return self.of(plain)
        if (fields := _fields(value)) is not None:
            return self._object(fields, attributes=True)
        if (items := _items(value)) is not None:
            return self._list(items)
        if isinstance(value, set | frozenset):
            return _ordered(self._list(list(value)))
        for method in ("model_dump", "tolist", "item"):
            if callable(getattr(value, method, None)) and not isinstance(value, type):
                return self.at("", getattr(value, method)())
        return self._formless(value)

    def _formless(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return self._infinite()
        if isinstance(value, bytes | bytearray | memoryview):
            return self._without(value, "is bytes, which have no JSON form", ".decode() it, or base64")
        if isinstance(value, complex):
            return self._without(value, "is a complex number, which has no JSON form", "give [x.real, x.imag]")
        name = type(value).__name__
        return self._without(value, f"is {_a(name)}, which has no JSON form", "give its fields, or str()")

    def _int(self, value: int) -> Any:
        if -LARGEST_INT < value < LARGEST_INT:
            return value
        self._note("is an int of more than 4,000 digits", "give hex(x)")
        return hex(value)

    def _float(self, value: float) -> Any:
        if math.isinf(value):
            return self._infinite()
        return value if value == value else None

    def _infinite(self) -> None:
        self.formless = self.formless or not self._path
        self._note("is infinite, which no JSON number is", "give null or a text, or it becomes null")

    def _list(self, value: "list[Any]") -> "list[Any]":
        kinds = set(map(type, value))
        if kinds <= _PLAIN and not kinds & HOOKS.keys():
            self._count(len(value), sum(map(len, (one for one in value if type(one) is str))))
            return value
        if kinds == {int}:
            self._count(len(value), 0)
            if min(value) > -LARGEST_INT and max(value) < LARGEST_INT:
                return value
        if kinds == {float} and all(map(math.isfinite, value)):
            self._count(len(value), 0)
            return value
        return [self.at(f"[{place}]", one) for place, one in enumerate(value)]

    def _object(self, fields: "list[tuple[Any, Any]]", *, attributes: bool) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in fields:
            place = f".{key}" if attributes and isinstance(key, str) else f"[{_short(key)}]"
            name = key if type(key) is str else self._key(key, place)
            if name in made:
                self._note(f"has several keys with the text {name!r}", "give them different texts", at=place)
                name = unique(name, made)
            self._count(1, len(name))
            made[name] = self.at(place, value)
        return made

    def _key(self, key: Any, place: str) -> str:
        text = key_text(key)
        if text is None:
            self._note(f"is a key of type {type(key).__name__}, which has no usual text", "give str keys", at=place)
            return _text(key)
        return text

    def _without(self, value: Any, what: str, instead: str) -> str:
        """Note a value that has no form, and return its text."""
        self.formless = self.formless or not self._path
        self._note(what, instead)
        text = _text(value)
        self._count(0, len(text))
        return text

    def _note(self, what: str, instead: str, *, at: str = "") -> None:
        if len(self.problems) >= _SHOWN:
            self.unnamed += 1
            return
        path = [*self._path, at] if at else self._path
        place = "".join(path) if len(path) < 12 else "".join([*path[:6], "…", *path[-3:]])
        self.problems.append(f"value{place} {what}: {instead}")

    def _count(self, values: int, characters: int) -> None:
        self.values += values
        self.characters += characters
        if self.values > MOST_VALUES:
            raise AnswerTooLarge(
                f"the answer has more than {MOST_VALUES:,} values; a table may have more: FINAL(df) with the "
                "DataFrame itself, or write a file to answer_files/"
            )
        if self.characters > MOST_CHARACTERS:
            raise AnswerTooLarge(
                f"the answer has more than {MOST_CHARACTERS >> 20} million characters; give less, a table, or write a "
                "file to answer_files/"
            )


def plain(value: Any) -> tuple[Any, str]:
    """Return a value as JSON, and what of it has no form there, in words. Raises AnswerTooLarge."""
    conversion = Plain()
    made = conversion.of(value)
    return made, conversion.problem()


def _fields(value: Any) -> "list[tuple[Any, Any]] | None":
    """Return the fields of an object by name; None for what has no fields of its own."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return [(one.name, getattr(value, one.name)) for one in dataclasses.fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=False))  # pyright: ignore
    if isinstance(value, SimpleNamespace):
        return list(vars(value).items())
    if hasattr(value, "__attrs_attrs__"):
        return [(one.name, getattr(value, one.name)) for one in getattr(value, "__attrs_attrs__")]  # noqa: B009
    return None


def _items(value: Any) -> "list[Any] | None":
    """Return the items of a value that is a list in JSON, a table's rows among them; None when it is not one."""
    from .answer_tables import nested_rows

    if (rows := nested_rows(value)) is not None:
        return rows
    kinds = {f"{one.__module__}.{one.__name__}" for one in type(value).__mro__}
    if isinstance(value, list | tuple | range) or kinds & _LISTS:
        return list(value)
    return None


_LISTS = {
    *("collections.deque", "collections.UserList", "array.array", "builtins.dict_keys", "builtins.dict_values"),
    *("builtins.dict_items",),
}


def _ordered(values: "list[Any]") -> "list[Any]":
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _short(key: Any) -> str:
    try:
        shown = repr(key)
    except Exception:
        shown = type(key).__name__
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def _a(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
