"""The modules that the kernel itself uses, kept as they were: what cells patch is in place only while a cell runs.

A cell may replace `json.dumps`, `time.time` or `builtins.len`, on purpose (a test double, a wrapper that counts) or to
mislead. Cells see what they have set, also in later cells; the code around them, which runs the event loop and saves
the variables, does not:

- `give_builtins`: cells have a `builtins` module of their own.
- `OwnModules`: attributes of modules, and of classes in them, are exchanged before and after the code of each cell.
- `keep_copies`: modules whose functions run in other threads during a cell refer to copies of the modules they use.
"""

import builtins
import importlib
import opcode
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from operator import is_
from typing import Any

from .ipykernel_compat import BETWEEN_CELLS

_modules = sys.modules
_PACKAGE = __name__.rpartition(".")[0]
_ALWAYS = (
    *("builtins", "sys", "json", "orjson", "pickle", "io", "re", "logging", "os", "time"),
    *("threading", "asyncio.events"),
    *("gc", "weakref", "types", "functools", "collections", "contextlib", "itertools", "hashlib", "struct", "random"),
)
"""Modules that are looked at after every cell."""
GUARDED = (
    *("json.encoder", "json.decoder", "copyreg", "copy", "cloudpickle", "cloudpickle.cloudpickle"),
    *("posixpath", "posix", "datetime", "locale", "decimal", "warnings", "_thread", "queue", "concurrent.futures"),
    *("asyncio", "asyncio.base_events", "asyncio.futures", "asyncio.tasks", "asyncio.locks", "asyncio.selector_events"),
    *("contextvars", "signal", "operator", "heapq", "inspect", "ast", "traceback", "linecache", "tokenize", "hmac"),
    *("uuid", "socket", "select", "selectors", "abc", "collections.abc", "enum", "numbers", "errno", "math", "codecs"),
    *("importlib", "reprlib", "subprocess", "string", "typing", "dataclasses", "numpy", "numpy.random"),
    *("zmq", "zmq.sugar.socket", "zmq.eventloop.zmqstream", "tornado.ioloop", "tornado.platform.asyncio"),
    *("jupyter_client.session", "jupyter_client.jsonutil", "traitlets", "traitlets.traitlets", "traitlets.config"),
    *BETWEEN_CELLS,
)
"""Other modules that the kernel uses between cells, beside its own: looked at after code that may have patched some."""
_STORING = frozenset(opcode.opmap[name] for name in ("STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME"))
_PATCHING = frozenset(
    (
        *("setattr", "delattr", "__setattr__", "__delattr__", "__dict__", "vars", "globals", "exec", "eval", "modules"),
        *("patch", "mock", "monkey", "monkeypatch", "get_ipython", "run_cell", "call", "reload", "import_module"),
    )
)
"""Names with which code may change modules without an assignment that shows."""
_STREAMS = frozenset(("stdout", "stderr", "stdin"))
_TABLES = frozenset((("sys", "modules"), ("linecache", "cache")))
"""Attributes that are no code, and without which no cell can be compiled or saved: modules and names."""
_COPIED = frozenset(
    (
        *("json", "orjson", "time", "os", "hmac", "hashlib", "random", "socket", "selectors", "select", "collections"),
        *("functools", "heapq", "itertools", "math", "struct", "re", "uuid", "copy", "errno", "weakref", "queue"),
        *("contextlib", "inspect", "traceback", "logging", "warnings", "threading", "datetime", "pickle", "types"),
    )
)
"""Modules without state that is assigned again, so that a copy of their names is as good as they are."""
_THREADS = ("asyncio", "tornado", "zmq", "jupyter_client", "ipykernel", "selectors", "traitlets", "threading", "queue")
"""Modules and packages that run in the kernel's own threads while a cell runs."""
_HEAP_TYPE, _IMMUTABLE = 1 << 9, 1 << 8

Owner = Any
"""A module, or a class."""


class Gone:
    """The value of an attribute that a cell deleted."""


@dataclass(frozen=True)
class _Owned:
    """A module or a class, and its attributes as they were."""

    owner: Owner
    get: Any
    """Returns an attribute by name, or a default."""
    names: list[str]
    values: list[Any]


def _may_patch(code: types.CodeType) -> "tuple[bool, bool]":
    """Return whether code may change a module when it runs, and whether functions that it makes may do so later."""
    inner = [_may_patch(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    own = not _STORING.isdisjoint(code.co_code[::2]) or not _PATCHING.isdisjoint(code.co_names)
    later = any(now or later for now, later in inner)
    return own or later, later


class OwnModules:
    """The attributes that cells have patched: exchanged by `put_in` and `take_out` around the code of a cell."""

    def __init__(self) -> None:
        """Record all functions and classes of the modules that are loaded now."""
        self._first, self._others = _table(_ALWAYS, classes=False), _table((*GUARDED, *_ours()), classes=True)
        self._others += _table(_ALWAYS, classes=True, modules=False)
        self._known = {(id(one.owner), name) for one in (*self._first, *self._others) for name in one.names}
        self._loaded = {name: module for name, module in _modules.items() if name.partition(".")[0] in _roots()}
        self._changed: dict[tuple[int, str], tuple[Owner, str, Any]] = {}
        self._replaced: dict[str, Any] = {}
        self._inside = False
        self._all = self._later = False
        """True when the running code, or functions that it has left, may change any module."""

    def look_at(self, code: types.CodeType) -> None:
        """Take note of what code may do that is about to run."""
        self._all, later = _may_patch(code)
        self._later |= later

    def put_in(self) -> bool:
        """Put what cells have patched in place, before the code of a cell. Return False when it is already."""
        if self._inside:
            return False
        self._inside = True
        for owner, name, value in self._changed.values():
            _set(owner, name, value)
        for name, module in self._replaced.items():
            _set_module(name, module)
        return True

    def take_out(self) -> None:
        """Put everything back as the kernel knows it, after the code of a cell, and keep what the cell has made of it.

        Calling it again before the next `put_in` does nothing.
        """
        if not self._inside:
            return
        self._inside = False
        changed, replaced = self._changed, self._replaced
        self._changed, self._replaced = {}, {}
        self._exchange(self._first)
        if self._all or self._later or changed or replaced or self._changed:
            self._exchange(self._others)
            if not all(map(is_, map(_modules.get, self._loaded), self._loaded.values())):
                self._exchange_modules()

    def _exchange(self, table: "list[_Owned]") -> None:
        for one in table:
            if all(map(is_, map(one.get, one.names), one.values)):
                continue
            for name, value in zip(one.names, one.values, strict=True):
                now = one.get(name, Gone)
                if now is not value:
                    self._changed[id(one.owner), name] = one.owner, name, now
                    _set(one.owner, name, value)

    def _exchange_modules(self) -> None:
        for name, module in self._loaded.items():
            now = _modules.get(name, Gone)
            if now is not module:
                self._replaced[name] = now
                _modules[name] = module

    # -- what the snapshots need (`snapshot.patches.Held`)

    def current(self, owner: Owner, attribute: str, default: Any) -> Any:
        """Return the value that a cell sees, `default` when there is none."""
        changed = self._changed.get((id(owner), attribute))
        if changed is None:
            return vars(owner).get(attribute, default)
        return default if changed[2] is Gone else changed[2]

    def put_back(self, owner: Owner, attribute: str, value: Any, *, deleted: bool = False) -> bool:
        """Have cells see this value. Return False for an attribute that is always in place."""
        if (id(owner), attribute) not in self._known:
            return False
        self._changed[id(owner), attribute] = owner, attribute, Gone if deleted else value
        return True

    def changed(self) -> "Iterable[tuple[Owner, str]]":
        """Return the owners and names of the attributes that cells have patched."""
        return [(owner, name) for owner, name, _ in self._changed.values()]


def give_builtins(namespace: "dict[str, Any]") -> None:
    """Give the code in this namespace, and whatever imports it from now on, a `builtins` module of its own."""
    own = types.ModuleType("builtins", builtins.__doc__)
    vars(own).update(vars(builtins))
    # ipykernel replaces this one in the true module for each cell.
    vars(own)["input"] = _input
    _modules["builtins"] = own
    namespace["__builtins__"] = namespace["__builtin__"] = own


def _input(prompt: object = "") -> str:
    return builtins.input(prompt)


def keep_copies() -> None:
    """Have the modules that run during cells refer to copies of the modules that cells may patch."""
    copies: dict[str, Any] = {}
    for name, module in list(_modules.items()):
        if name.partition(".")[0] not in (*_THREADS, _PACKAGE):
            continue
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, types.ModuleType) and value.__name__ in _COPIED and value is not module:
                if value.__name__ not in copies:
                    copies[value.__name__] = types.SimpleNamespace(**vars(value))
                setattr(module, attribute, copies[value.__name__])


def _roots() -> "set[str]":
    return {name.partition(".")[0] for name in (*_ALWAYS, *GUARDED)} | {_PACKAGE.partition(".")[0]}


def _ours() -> list[str]:
    return [name for name in _modules if name.startswith(f"{_PACKAGE}.")]


def _table(names: "Iterable[str]", *, classes: bool, modules: bool = True) -> "list[_Owned]":
    """Return the modules of these names that are loaded, and the classes in them that can be changed."""
    found: list[Owner] = []
    for name in names:
        module = _modules.get(name)
        if not isinstance(module, types.ModuleType):
            continue
        own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == name]
        found += [module] if modules else []
        found += [one for one in own if one.__flags__ & (_HEAP_TYPE | _IMMUTABLE) == _HEAP_TYPE] if classes else []
    table: list[_Owned] = []
    for owner in found:
        held = vars(owner)
        kept = [name for name, value in held.items() if _is_kept(owner, name, value)]
        table.append(_Owned(owner, held.get, kept, [held[name] for name in kept]))
    return table


def _is_kept(owner: Owner, name: str, value: Any) -> bool:
    """Return whether an attribute is one that the kernel relies on: functions, classes and modules, and the streams."""
    if isinstance(owner, types.ModuleType):
        if name.startswith("__"):
            return False
        if (owner.__name__, name) in _TABLES:
            return True
    if _modules.get("sys") is owner:
        # The others are set by IPython around each cell.
        return name in _STREAMS or (isinstance(value, types.BuiltinFunctionType) and "hook" not in name)
    return callable(value) or isinstance(value, types.ModuleType | staticmethod | classmethod | property)


def _set(owner: Owner, name: str, value: Any) -> None:
    try:
        if value is Gone:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    except (AttributeError, TypeError):
        return  # a class that refuses it


def _set_module(name: str, module: Any) -> None:
    if module is Gone:
        _modules.pop(name, None)
    else:
        _modules[name] = module


def load() -> None:
    """Import the modules of the table that a kernel imports only later, so that they are known in time."""
    for name in (*_ALWAYS, *GUARDED):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
