"""The counterpart of `pickler`: loads the bytes of a group, and has the functions that they call.

Only one load runs at a time in a process, and these functions work for that one.
"""

import importlib
import io
import pickle
import sys
import threading
import types
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import classes
from .cloudpickle_compat import ClassRecords, use_records
from .code_objects import PYTHON, SavedCode, generated_again, lost_function
from .object_graph import MAIN, is_a
from .placeholder import Lost, LostVariable
from .tracebacks import traceback_of


@dataclass
class Target:
    """The REPL that variables are loaded into."""

    namespace: MutableMapping[str, Any]
    given: Mapping[str, Any]
    """The objects that this kernel has by itself, by name."""
    need: Callable[[str], None]
    """Loads another variable first."""
    losses: "list[tuple[str, str]]" = field(default_factory=list["tuple[str, str]"])
    """Objects of the group being loaded that could not be restored: the kind and the reason."""
    source: Callable[[str], "str | None"] = lambda _: None
    """Returns the saved source of a file of code."""
    python: str = ""
    """The other Python that compiled the code of the group being loaded. Empty: it was one of the same bytecode."""
    without_code: "list[tuple[types.FunctionType, str]]" = field(default_factory=list[tuple[types.FunctionType, str]])
    """Functions of the group being loaded whose code could not be compiled again, and why."""
    order: classes.Order = field(default_factory=classes.Order)
    classes: ClassRecords = field(default_factory=ClassRecords)
    """cloudpickle's records of type variables. Two REPLs in one process must not share them."""


_one_at_a_time = threading.RLock()
_target: "Target | None" = None


@contextmanager
def working_on(target: Target) -> Generator[None]:
    """Direct all pickling and loading in this context to `target`."""
    global _target
    with _one_at_a_time:
        before, records = _target, use_records(target.classes)
        _target = target
        try:
            yield
        finally:
            _target = before
            use_records(records)


Persistent = Mapping[str, Callable[..., Any]]
"""Functions that return the objects that are saved apart, by the first word of the reference to them."""


def load(body: bytes, buffers: "Sequence[Any]", apart: Persistent) -> "dict[str, Any]":
    """Load the variables of one group, by name. Raises what loading raises: code of the run is executed here."""
    return _Unpickler(io.BytesIO(body), buffers, apart).load()


_RENAMED = {
    f"{(__package__ or '').rpartition('.')[0]}.{old}": f"{(__package__ or '').rpartition('.')[0]}.{new}"
    for old, new in (
        ("answer", "final"),
        ("app", "kernel_app"),
        ("calls", "queries"),
        ("handing", "child_context"),
        ("one_copy", "context_file"),
        ("pack", "context_file"),
        ("places", "child_context"),
        ("publishing", "kernel_app"),
        ("refusals", "restrictions"),
        ("snapshot.cuts", "snapshot.input_slices"),
        ("snapshot.group", "snapshot.groups"),
        ("snapshot.loader", "snapshot.unpickler"),
        ("snapshot.lost", "snapshot.placeholder"),
        ("snapshot.snapshots", "snapshot.snapshotter"),
    )
}
"""Modules of this package, by the older names under which existing snapshots refer to them."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: "Sequence[Any]", apart: Persistent) -> None:
        super().__init__(file, buffers=buffers)
        self._apart = apart

    def find_class(self, module_name: str, global_name: str) -> Any:
        module_name = _RENAMED.get(module_name, module_name)
        try:
            return super().find_class(module_name, global_name)
        except (AttributeError, ImportError):
            if not _now().python:
                raise
            return lost_here(f"{module_name}.{global_name}", f"it is not in Python {PYTHON}")

    def persistent_load(self, pid: Any) -> Any:
        match pid:
            case ("big" | "cut" as kind, *which):
                return self._apart[kind](*which)
            case ("given", str(name)):
                return given(name)
            case ("lost", str(what), str(why)):
                return Lost(what, why)
            case ("namespace",):
                return _now().namespace
            case _:
                raise pickle.UnpicklingError(f"no such reference: {pid!r}")


def _now() -> Target:
    assert _target is not None, "nothing is being loaded"
    return _target


def lost_here(what: str, why: str) -> Lost:
    """Return a placeholder, and record the loss."""
    _now().losses.append((what, why))
    return Lost(what, why)


def given(name: str) -> Any:
    """Return the object that every kernel has under this name."""
    return _now().given[name]


def variable(name: str) -> Any:
    """Return another variable of the REPL, loaded first if necessary."""
    target = _now()
    target.need(name)
    return target.namespace[name]


def code(arguments: "tuple[Any, ...]", span: Any) -> Any:
    """Make a code object, or a placeholder when another Python compiled it, which `function` compiles again."""
    target = _now()
    if not target.python:
        return types.CodeType(*arguments)
    saved = SavedCode(arguments, span, target.python)
    target.losses.append((saved.what, saved.why))
    return saved


def inner_code(arguments: "tuple[Any, ...]") -> "types.CodeType | None":
    """Make a code object that another one contains. Return None when another Python compiled it."""
    return None if _now().python else types.CodeType(*arguments)


def function(code: Any, cells: "tuple[Any, ...] | None", home: "str | dict[str, Any]") -> Any:
    """Make a function with the live namespace, a module's or its own globals, which `fill_function` completes."""
    target = _now()
    namespace: Any = home
    module = None
    if isinstance(home, str) and home != MAIN:
        module = importlib.import_module(_RENAMED.get(home, home))
    if isinstance(home, str):
        namespace = vars(module) if module else target.namespace
    if not isinstance(code, SavedCode):
        return types.FunctionType(code, namespace, code.co_name, None, cells)
    if (code.what, code.why) in target.losses:
        target.losses.remove((code.what, code.why))
    compiled = code.compiled(target.source(code.file), module)
    if compiled is not None:
        return types.FunctionType(compiled, namespace, compiled.co_name, None, code.in_order(compiled, cells))
    made = lost_function(code.name, f"{code.why}; its source is not known", namespace)
    target.without_code.append((made, f"{code.why}; its source is not known"))
    return made


def function_without_code(name: str, why: str, home: Any) -> Any:
    """Make a function again that was lost before."""
    return lost_function(name, why, _now().namespace if home == MAIN else {})


def cell() -> types.CellType:
    """Make an empty cell of a closure."""
    return types.CellType()


def fill_function(made: Any, state: "tuple[dict[str, Any], dict[str, Any], list[tuple[Any, Any]]]") -> None:
    """Set a function's attributes and the contents of its closure."""
    attributes, fields, contents = state
    for name, value in attributes.items():
        setattr(made, name, value)
    made.__dict__.update(fields)
    for cell, content in contents:
        cell.cell_contents = content


def order_of(kind: type) -> int:
    """Return the number of a class in the order of their definition."""
    return _now().order.of(kind)


def a_class(*arguments: Any) -> type:
    """Make a class without attributes, which `fill_class` adds."""
    return classes.make_class(*arguments)


def an_enum(*arguments: Any) -> type:
    """Make an enum with its members, to which `fill_class` adds everything else."""
    return classes.make_enum(*arguments)


def fill_class(kind: type, state: "tuple[Any, ...]") -> None:
    """Set the attributes of a class, past its metaclass."""
    attributes, registered, members, number = state
    classes.fill_class(kind, attributes, registered, members)
    target = _now()
    target.order.note(kind, number)
    if target.python:
        again = generated_again(kind)
        numbers = {id(one) for one in again}
        target.without_code = [(one, why) for one, why in target.without_code if id(one) not in numbers]
        replaced = {(one.what, one.why) for one in again if is_a(one, Lost)}
        target.losses = [loss for loss in target.losses if loss not in replaced]


def instance(kind: Any, base: type, arguments: "tuple[Any, ...]") -> Any:
    """Make an instance of a class of a cell without calling the class, which `fill_instance` completes."""
    if is_a(kind, Lost):
        raise LostVariable(f"its class was lost ({kind.why})")
    return base.__new__(kind, *arguments)


def fill_slots(made: Any, slots: "dict[str, Any]") -> None:
    """Set the slots of an object of the standard library that its class has in this Python too."""
    for name, value in slots.items():
        if hasattr(type(made), name):
            setattr(made, name, value)


def fill_instance(made: Any, state: "tuple[Any, ...]") -> None:
    """Set an instance's attributes, and its content as the built-in class that it builds on."""
    base, fields, slots, content, *rest = state
    if True in rest:  # something else holds its dictionary too
        object.__setattr__(made, "__dict__", fields)
    elif fields:
        made.__dict__.update(fields)
    for name, value in (slots or {}).items():
        object.__setattr__(made, name, value)
    if content is None:
        return
    if issubclass(base, BaseException):
        _set_about(made, content)
    elif issubclass(base, dict):
        factory, items = content
        if is_a(made, defaultdict):
            made.default_factory = factory
        for key, value in items:
            base.__setitem__(made, key, value)
    elif base is deque:
        deque.__init__(made, *content)
    elif base is set:
        set.update(made, content)
    else:
        base.extend(made, content)


def view(base: Any, offset: int, shape: Any, strides: Any, dtype: Any) -> Any:
    """Make an array in the memory of another one, taken as bytes: an array of dates has no buffer of its own."""
    import numpy

    return numpy.ndarray(shape, dtype, buffer=base.reshape(-1).view("u1"), offset=offset, strides=strides)


def array_of(kind: type, content: Any) -> Any:
    """Make an array of a class of a cell with a copy of this content, without its `__array_finalize__`."""
    plain: Any = type(content)
    order = "F" if content.flags.f_contiguous and not content.flags.c_contiguous else "C"
    with classes.quiet((kind,), {"__array_finalize__": plain.__array_finalize__}):
        made = plain.__new__(kind, content.shape, content.dtype, order=order)
    plain.view(made, plain)[...] = content
    return made


def array_of_view(kind: type, view: Any) -> Any:
    """Make an array of a class of a cell in the memory of another array."""
    with classes.quiet((kind,), {"__array_finalize__": type(view).__array_finalize__}):
        return view.view(kind)


def lock(locked: bool) -> Any:
    """Make a lock, held if `locked`."""
    made = threading.Lock()
    if locked:
        made.acquire()
    return made


def rlock() -> Any:
    """Make a free re-entrant lock."""
    return threading.RLock()


def reopened(path: str, mode: str, position: int, encoding: "str | None") -> Any:
    """Open a file for reading at its old position. Return a placeholder when it cannot be opened."""
    try:
        file = open(path, mode, encoding=encoding)  # noqa: PTH123, SIM115
        file.seek(position)
    except OSError as error:
        return lost_here("file", f"it cannot be opened again: {error.strerror}")
    return file


def module(name: str) -> Any:
    """Import a module. Return a placeholder when it cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        return lost_here("module", f"it cannot be imported: {error}")


def named(module_name: str, name: str) -> Any:
    """Return the object that a module has under this name."""
    return getattr(importlib.import_module(module_name), name)


def cached(wrapped: Any, parameters: "dict[str, Any]") -> Any:
    """Wrap a function in `functools.lru_cache`, with an empty cache."""
    return lru_cache(**parameters)(wrapped)


def proxy(mapping: "Mapping[Any, Any]") -> Any:
    """Make a read-only view of a mapping."""
    return types.MappingProxyType(mapping)


def dict_view(mapping: "dict[Any, Any]", method: str) -> Any:
    """Make the live view of a mapping's keys, values or items."""
    return getattr(mapping, method)()


def stream(name: str) -> Any:
    """Return standard output or standard error of this kernel."""
    return getattr(sys, name)


def weak_reference(held: Any, callback: Any) -> Any:
    """Make a weak reference. With None it is one whose object is gone."""
    return weakref.ref(classes.Order() if held is None else held, callback)


def weak_proxy(held: Any) -> Any:
    """Make a weak proxy."""
    return weakref.proxy(held)


def match(pattern: Any, text: Any, start: int, end: int, regs: Any) -> Any:
    """Match again. Return a placeholder when that comes to another match, as for the later ones of `finditer`."""
    for method in (pattern.search, pattern.match, pattern.fullmatch):
        found = method(text, start, end)
        if found is not None and found.regs == regs:
            return found
    return lost_here("Match", "matching again found another place")


def made_traceback(entries: Any) -> Any:
    """Make a traceback that names these places."""
    return traceback_of(entries)


def exception(kind: Any, arguments: "tuple[Any, ...]") -> Any:
    """Make an exception as its own pickling says, which `fill_exception` completes."""
    return kind(*arguments)


def fill_exception(made: Any, state: "tuple[Any, Any]") -> None:
    """Set an exception's state, and how it came about."""
    own, about = state
    if own and hasattr(made, "__setstate__"):
        made.__setstate__(own)
    _set_about(made, about)


def _set_about(made: Any, about: "tuple[Any, ...]") -> None:
    made.__cause__, made.__context__, made.__suppress_context__, *traceback = about
    if traceback:
        made.__traceback__ = traceback[0]


def weak(kind: type, content: "list[Any]") -> Any:
    """Make a weak container. Objects that nothing else holds disappear from it."""
    return kind(content)
