"""Attributes of modules, and of classes of libraries, that code of cells set or deleted.

Each is saved like a variable under a name that no variable can have: `json.dumps`, `pandas.core.frame:DataFrame.total`.
Some are found in the code of the cell, others because they hold functions of cells (`find_code`), which also finds
what a library set by itself (a registered accessor).
"""

import gc
import importlib
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from .code_names import patched
from .object_graph import MAIN, is_a, named_in

_modules = sys.modules
_MODULE = types.ModuleType
_PACKAGE = __name__.rpartition(".snapshot.")[0] + "."
_STEPS = 3
_MOST_HOLDERS = 10_000


class Deleted:
    """The value of an attribute that code deleted."""


class Held(Protocol):
    """The values that code gave to attributes which are in place only while a cell runs (`own_modules.py`)."""

    def current(self, owner: Any, attribute: str, default: Any) -> Any:
        """Return the value that a cell sees, `default` when there is none."""
        ...

    def put_back(self, owner: Any, attribute: str, value: Any, *, deleted: bool = False) -> bool:
        """Have cells see this value. Return False for an attribute that is always in place."""
        ...

    def changed(self) -> "Iterable[tuple[Any, str]]":
        """Return the owners and names of the attributes with such a value."""
        ...


class _NothingHeld:
    def current(self, owner: Any, attribute: str, default: Any) -> Any:
        return vars(owner).get(attribute, default)

    def put_back(self, owner: Any, attribute: str, value: Any, *, deleted: bool = False) -> bool:
        del owner, attribute, value, deleted
        return False

    def changed(self) -> "Iterable[tuple[Any, str]]":
        return ()


class Patches:
    """The patched attributes of one process."""

    def __init__(self, held: "Held | None" = None) -> None:
        self._held: Held = held or _NothingHeld()
        self._owners: dict[str, tuple[Any, str]] = {}

    def notice(self, blocks: Sequence[str], namespace: Mapping[str, Any]) -> None:
        """Record the attributes that the code sets, or would set when its functions are called."""
        for dotted, attribute in patched(blocks):
            first, *rest = dotted.split(".")
            found: Any = namespace.get(first, _modules.get(first))
            for part in rest:
                found = _attribute(found, part)
            self._record(found, attribute)
        for owner, attribute in self._held.changed():
            self._record(owner, attribute)

    def find_code(self, code: "Iterable[Any]") -> None:
        """Record the attributes that hold one of these objects, directly or in an object that was made for it."""
        wanted = {id(one): one for one in code}
        newest = list(wanted.values())
        for _ in range(_STEPS):
            # What was there before the first cell is not found by this: modules and classes are searched below.
            newest = [one for one in gc.get_referrers(*newest) if id(one) not in wanted and _is_holder(one)]
            wanted.update((id(one), one) for one in newest)
            if not newest or len(wanted) > _MOST_HOLDERS:
                break
        for owner in _owners():
            held = vars(owner)
            if not wanted.keys().isdisjoint(map(id, held.values())):
                for attribute, value in list(held.items()):
                    if id(value) in wanted:
                        self._record(owner, attribute)

    def _record(self, owner: Any, attribute: str) -> None:
        if name := _name_of(owner):
            self._owners[f"{name}.{attribute}"] = owner, attribute

    def values(self) -> "dict[str, Any]":
        """Return the values by name, without those of attributes that are gone."""
        nothing = Deleted
        found = {name: self._held.current(*place, nothing) for name, place in self._owners.items()}
        gone = {(id(owner), attribute) for owner, attribute in self._held.changed()}
        return {
            name: value
            for name, value in found.items()
            if value is not nothing or (id(self._owners[name][0]), self._owners[name][1]) in gone
        }

    def put_back(self, name: str, value: Any) -> None:
        """Restore one attribute. Raises what importing its module or setting it raises."""
        place, _, attribute = name.rpartition(".")
        module, _, kind = place.partition(":")
        owner: Any = importlib.import_module(module)
        if kind:
            owner = named_in(owner, kind)
        self._owners[name] = owner, attribute
        if self._held.put_back(owner, attribute, value, deleted=value is Deleted):
            return
        if value is Deleted:
            delattr(owner, attribute)
        else:
            setattr(owner, attribute, value)


def _name_of(owner: Any) -> str:
    """Return the name under which a module, or a class of a library, is found again; empty for anything else."""
    if is_a(owner, _MODULE):
        name = owner.__name__
        return name if name != MAIN and _modules.get(name) is owner else ""
    if not is_a(owner, type) or owner.__module__ == MAIN:
        return ""
    found = named_in(_modules.get(owner.__module__), owner.__qualname__)
    return f"{owner.__module__}:{owner.__qualname__}" if found is owner else ""


def _attribute(owner: Any, name: str) -> Any:
    """Return an attribute of a module or a class, without running code of the code's own objects."""
    if is_a(owner, _MODULE):
        return getattr(owner, name, None)
    return vars(owner).get(name) if is_a(owner, type) else None


def _is_holder(one: Any) -> bool:
    """Return whether an object may have been made to hold code: no frame, no module, nothing of cells or of ours."""
    module = type(one).__module__
    if module == MAIN or module.startswith(_PACKAGE):
        return False
    return not is_a(one, (types.FrameType, types.ModuleType, type))


def _owners() -> "Iterable[Any]":
    """Yield the modules of libraries, and the classes that they define."""
    seen: set[int] = set()
    loaded: list[tuple[str, Any]] = list(_modules.items())
    for name, module in loaded:
        if name == MAIN or name.startswith(_PACKAGE) or not is_a(module, _MODULE) or id(module) in seen:
            continue
        seen.add(id(module))
        yield module
        for one in list(vars(module).values()):
            if is_a(one, type) and id(one) not in seen and one.__module__ != MAIN:
                seen.add(id(one))
                yield one
