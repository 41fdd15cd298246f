"""Reads values without running code of cells: no `__repr__`, `__len__`, `__iter__` or property of theirs is used.

What a container holds is read by the methods of the built-in type that it derives from; what an object holds from its
own dict and slots. So nothing here raises, hangs or recurses because a class of a cell does.
"""

import datetime as dt
import math
import re
import sys
import types
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from pathlib import PosixPath, PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from .snapshot.object_graph import MAIN, is_a

EXACT_INT = 1 << 53
"""JSON numbers are exact up to it."""
_MOST_BITS = 4_000
_MOST_READ = 1_000
"""Items that are read of a container: more of them are in no form."""
_DIGITS_A_BIT = math.log10(2)
_PACKAGE = __name__.rpartition(".")[0]
_CUT_REPR = 3
_DEEP = 2

_name = type.__dict__["__name__"].__get__
_said_module = type.__dict__["__module__"].__get__
_mro = type.__dict__["__mro__"].__get__
_names = type.__dict__["__dict__"].__get__
_args = BaseException.__dict__["args"].__get__

# By id: the hash of a class may be code of its metaclass.
_BY_STR = frozenset(map(id, (float, dt.date, dt.timedelta, Decimal, UUID, Fraction, PosixPath, PurePosixPath)))
_BY_REPR = frozenset(map(id, (complex, range, re.Pattern, type(None), bool, type(...), type(NotImplemented))))
_TIMES = (dt.datetime, dt.time)
_ZONES = frozenset(map(id, (type(None), dt.timezone, ZoneInfo)))
_RECORDS = ("__dataclass_fields__", "__pydantic_fields__", "__attrs_attrs__")
_FUNCTIONS = frozenset(map(id, (types.FunctionType, types.BuiltinFunctionType)))


def type_name(value: Any) -> str:
    """Return the name of a value's true class."""
    return str.__str__(_name(type(value)))


def items_of(value: Any) -> "tuple[Iterator[Any], int] | None":
    """Return an iterator over the items of a list, tuple, deque or set, and their number; None for other values.

    The items of a small set come in their order, if they have one: a set's own order has no meaning.
    """
    if is_a(value, list):
        return _by_index(value, list.__getitem__), list.__len__(value)
    if is_a(value, tuple):
        return _by_index(value, tuple.__getitem__), tuple.__len__(value)
    if is_a(value, deque):
        return iter(list(islice(deque.__iter__(value), _MOST_READ))), deque.__len__(value)
    for kind in (set, frozenset):
        if is_a(value, kind):
            return iter(_in_order(list(islice(kind.__iter__(value), _MOST_READ)))), kind.__len__(value)
    return None


def pairs_of(value: Any) -> "tuple[Iterator[tuple[Any, Any]], int] | None":
    """Return an iterator over the pairs of a dict and their number; None for other values."""
    if not is_a(value, dict):
        return None
    return iter(list(islice(dict.items(value), _MOST_READ))), dict.__len__(value)


def fields_of(value: Any) -> "dict[str, Any] | None":
    """Return the public fields of a record by name; None for other values.

    Records are named tuples, dataclasses, models of pydantic, classes of attrs, simple namespaces, and objects of
    classes that cells or this package have defined.
    """
    kind = type(value)
    classes = _mro(kind)
    if is_a(value, tuple):
        names = next((_names(one)["_fields"] for one in classes if "_fields" in _names(one)), None)
        return _named(names, value) if type(names) is tuple else None
    if is_a(value, type) or is_a(value, Enum) or is_a(value, BaseException):
        return None
    module = _module(kind)
    own = kind is types.SimpleNamespace or module == MAIN or module.startswith(_PACKAGE)
    if not own and not any(mark in _names(one) for one in classes for mark in _RECORDS):
        return None
    fields = _slots(value, classes)
    if is_a(found := _own_dict(value, classes), dict):
        fields.update(islice(dict.items(found), _MOST_READ))
    return {name: held for name, held in fields.items() if type(name) is str and not name.startswith("_")} or None


def scalar_text(value: Any) -> "str | None":
    """Return the text of a number, a time or another value that holds no others; None for other values.

    The text may be long where the value is.
    """
    kind = type(value)
    if id(kind) in _BY_REPR:
        return repr(value)
    if id(kind) in _BY_STR:
        return str(value)
    if kind is _TIMES[0] or kind is _TIMES[1]:
        return str(value if id(type(value.tzinfo)) in _ZONES else value.replace(tzinfo=None))
    if is_a(value, Enum):
        return f"{type_name(value)}.{_member(value)}"
    if is_a(value, int):
        return _int_text(value)
    if is_a(value, float):
        return float.__repr__(value)
    for bytes_like in (bytes, bytearray):
        if is_a(value, bytes_like):
            return repr(bytes(bytes_like.__getitem__(value, slice(0, 200))))
    return str(value) if _is_of(kind, "pandas") else None


def plain(value: Any) -> Any:
    """Return a scalar of numpy as Python's own value, and every other value as it is."""
    kind = type(value)
    if not _is_of(kind, "numpy"):
        return value
    own = value.item()
    whole = type(own) is kind or (type(own) is int and type_name(value).startswith(("datetime", "time")))
    return str(value) if whole else own


def library(name: str) -> "dict[str, Any] | None":
    """Return the names of an imported library; None when it is not imported, or something stands in its place."""
    module = sys.modules.get(name)
    return vars(module) if type(module) is types.ModuleType else None


def _is_of(kind: type, name: str) -> bool:
    """Return whether a class is one of the scalars of a library."""
    # Asked for each object of a table: most are not of the library, as their module says.
    if _module(kind).partition(".")[0] != name:
        return False
    module = library(name) or {}
    own = str.__str__(_name(kind))
    if name == "numpy":
        return module.get(own) is kind and issubclass(kind, module.get("generic", ()))
    return own in ("NaTType", "NAType") or (own in ("Timestamp", "Timedelta", "Period") and module.get(own) is kind)


def brief(value: Any, most: int = 60, level: int = 0) -> str:
    """Return a short text of any value, of about `most` characters at most."""
    value = plain(value)
    if is_a(value, str):
        text = repr(str.__getitem__(value, slice(0, most)))
        return shortened(text, most) if str.__len__(value) <= most else f"{text[: most - 1]}…"
    if (text := scalar_text(value)) is not None:
        return shortened(text, most)
    if is_a(value, BaseException):
        return shortened(f"{type_name(value)}{brief(_args(value), most, level + 1)}", most)
    if id(type(value)) in _FUNCTIONS:
        return shortened(f"<function {getattr(value, '__name__', '')}>", most)
    if is_a(value, type):
        return shortened(f"<class {_name(value)}>", most)
    fields = fields_of(value)
    pairs = list(fields.items()) if fields is not None else None
    if pairs is None and (found := pairs_of(value)) is not None:
        pairs = list(islice(found[0], _CUT_REPR + 1))
    if pairs is not None:
        return _brief_pairs(value, pairs, fields is not None, most, level)
    if (listed := items_of(value)) is None:
        return shortened(f"<{type_name(value)}>", most)
    shown = [brief(one, most // 2, level + 1) for one in islice(listed[0], _CUT_REPR)] if level < _DEEP else []
    more = ["…"] if listed[1] > len(shown) else []
    left, right = ("[", "]") if is_a(value, list) else ("(", ")") if is_a(value, tuple) else ("{", "}")
    return shortened(f"{left}{', '.join([*shown, *more])}{right}", most)


def _brief_pairs(value: Any, pairs: "list[tuple[Any, Any]]", named: bool, most: int, level: int) -> str:
    if level >= _DEEP:
        return f"{type_name(value)}(…)" if named else "{…}"
    shown = [
        f"{key if named else brief(key, most // 3)}{'=' if named else ': '}{brief(one, most // 2, level + 1)}"
        for key, one in pairs[:_CUT_REPR]
    ]
    inner = ", ".join([*shown, *(["…"] if len(pairs) > _CUT_REPR else [])])
    return shortened(f"{type_name(value)}({inner})" if named else f"{{{inner}}}", most)


def shortened(text: str, most: int) -> str:
    """Return a text cut to `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _int_text(value: Any) -> str:
    bits = int.bit_length(value)
    return int.__repr__(value) if bits <= _MOST_BITS else f"<int of about {int(bits * _DIGITS_A_BIT):,} digits>"


def _by_index(value: "list[Any] | tuple[Any, ...]", get: Any) -> "Iterator[Any]":
    # A slice is taken at once, while another thread may change the list.
    return iter(get(value, slice(0, _MOST_READ)))


def _in_order(items: "list[Any]") -> "list[Any]":
    whole = all(type(one) is str for one in items) or all(type(one) is int for one in items)
    return sorted(items) if whole else items


def _named(names: "tuple[Any, ...]", value: "tuple[Any, ...]") -> "dict[str, Any] | None":
    if not all(type(name) is str for name in names):
        return None
    return dict(zip(names, tuple.__iter__(value), strict=False)) or None


def _member(value: Any) -> str:
    """Return the name of a member of an Enum."""
    own = _own_dict(value, _mro(type(value)))
    name: Any = dict.get(own, "_name_") if is_a(own, dict) else ""
    return str.__str__(name) if is_a(name, str) else ""


def _own_dict(value: Any, classes: "tuple[type, ...]") -> Any:
    """Return the dict of an object; None when it has none. A property of that name is not used."""
    for one in classes:
        held = _names(one).get("__dict__")
        if type(held) is types.GetSetDescriptorType:
            return held.__get__(value)
    return None


def _module(kind: type) -> str:
    """Return the name of the module of a class, as it says itself; empty when it says no text."""
    module = _said_module(kind)
    return module if type(module) is str else ""


def _slots(value: Any, classes: "tuple[type, ...]") -> "dict[Any, Any]":
    fields: dict[Any, Any] = {}
    for one in classes:
        for name, slot in _names(one).items():
            if type(slot) is types.MemberDescriptorType:
                try:
                    fields[name] = slot.__get__(value)
                except AttributeError:
                    continue  # it has no value
    return fields
