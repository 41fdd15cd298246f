"""Descriptions of variables, for SHOW_VARS and for the root model's prompt."""

import re
import reprlib
import types
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from .snapshot.object_graph import is_a

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SHOWN = 200
"""Number of variables that are described, at most."""


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 4
        self.maxlevel = 3

    # By the name of the class: else the whole text would be quoted, and then cut.
    repr_TextDocument = repr_Page = reprlib.Repr.repr_str


class _Quoting(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 60
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 1
        self.maxlevel = 1

    repr_TextDocument = repr_Page = reprlib.Repr.repr_str


_short = _Short().repr
quoted = _Quoting().repr
"""Returns a value as an error message quotes it: its repr, with at most 60 characters of a text."""


def describe(namespace: Mapping[str, Any], hidden: Iterable[str]) -> list[dict[str, Any]]:
    """Return `{"name", "type", "size", "preview"}` of each variable of the user, sorted by name.

    The order of creation is not used: a restored kernel may have another, and descriptions must not depend on it.
    """
    skip = set(hidden)
    named = {name: value for name, value in list(namespace.items()) if name not in skip}
    described = (describe_one(name, named[name]) for name in sorted(named))
    return list(islice((one for one in described if one), _SHOWN))


def describe_one(name: str, value: Any) -> "dict[str, Any] | None":
    """Describe one variable. Return None when it is not shown (a module, or a name that begins with an underscore)."""
    if name.startswith("_") or is_a(value, types.ModuleType):
        return None
    return {"name": name, "type": type(value).__name__, "size": _size(value), "preview": _preview(value)}


def table(variables: list[dict[str, Any]]) -> str:
    """Return the variables as lines of text."""
    if not variables:
        return "No variables yet."
    lines = [f"{v['name']}: {v['type']}{_count(v['size'])} = {v['preview']}" for v in variables]
    return "\n".join(lines)


def _count(size: "int | None") -> str:
    return "" if size is None else f" ({size:,})"


def _size(value: Any) -> "int | None":
    if is_a(value, type):
        return None
    try:
        return len(value)
    except Exception:
        return None


def _preview(value: Any) -> str:
    try:
        text = _short(value)
    except Exception as error:
        text = f"<repr failed: {type(error).__name__}>"
    # An object's address has no meaning, and would be another one after every restore.
    text = _ADDRESS.sub(" at 0x…", text.replace("\n", " "))
    return text if len(text) <= 120 else text[:100] + "…"
