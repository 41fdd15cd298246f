"""The objects that a variable holds and could share with another, and the names that its functions may touch."""

import builtins
import datetime
import decimal
import fractions
import gc
import logging
import re
import sys
import threading
import types
import uuid
import weakref
from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .addresses import may_be_addressed
from .cloudpickle_compat import registered_with
from .code_names import ANY, DANGEROUS, names_of

ATOMS = frozenset(
    (
        *(int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice),
        *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
        *(decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern),
        *(types.BuiltinFunctionType, types.CodeType, types.ModuleType, types.TracebackType, types.FrameType),
        *(types.GetSetDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType),
    )
)
"""Types whose objects need no sharing: they never change, or are saved by name, or not at all."""
_PASSIVE = ATOMS - {types.BuiltinFunctionType}
"""Atoms that need not be examined: none of them is a function that reaches variables by itself."""
_CODES = {types.GeneratorType: "gi_code", types.CoroutineType: "cr_code", types.AsyncGeneratorType: "ag_code"}
WEAK = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)
WEAK_POINTERS = (weakref.ReferenceType, weakref.ProxyType, weakref.CallableProxyType)
_NOT_REPORTED = (*WEAK, *WEAK_POINTERS, re.Match)
_LOGGERS = (logging.Logger, logging.RootLogger)
"""Saved by name: their settings are part of the process's state."""
_MANY = 32
_BULK = 256
_PLAIN = (dict, list, set)
MAIN = "__main__"
_PACKAGE = __name__.rpartition(".snapshot.")[0]
_MACHINERY = (f"{_PACKAGE}.kernel", f"{_PACKAGE}.repl", f"{_PACKAGE}.snapshot.", "ipykernel.", "IPython.core.")
"""Modules whose objects hold the namespace and saved values."""


@dataclass
class Reached:
    """The objects and names found from one variable."""

    objects: dict[int, Any] = field(default_factory=dict[int, Any])
    """All objects that are not atoms, by id."""
    names: set[str] = field(default_factory=set[str])
    """Variables that functions in it may touch, and that it refers to by name."""
    keyed: list[Any] = field(default_factory=list[Any])
    """Containers that may be made of addresses of objects."""
    by_name: bool = False
    """True when it holds what can only be recognised one by one: the namespace itself, or a `given` container."""


def reach(root: Any, namespace: Mapping[str, Any], given: Mapping[int, Any]) -> Reached:
    """Traverse everything that `root` holds. `given` are objects that every kernel has, by id, which are leaves.

    Functions and classes that are bound in the namespace under their own name are leaves too: they are saved as
    variables of their own, and referred to by name.
    """
    found = Reached()
    todo = [root]
    while todo:
        one = todo.pop()
        kind = type(one)
        if kind in ATOMS:
            if kind is types.BuiltinFunctionType:
                if one.__self__ is builtins and one in DANGEROUS:
                    found.names.add(ANY)
                todo.append(one.__self__)  # such as the list of `items.append`
            continue
        if id(one) in found.objects:
            continue
        if one is namespace:
            found.names.add(ANY)
            found.by_name = True
            continue
        if kind in _LOGGERS and logging.Logger.manager.loggerDict.get(one.name, logging.root) is one:
            continue
        if id(one) in given:
            found.by_name |= kind in (list, dict)
            continue
        if one is not root and (name := bound_name(one, namespace)):
            found.names.add(name)
            continue
        held = _held(one, kind, namespace, found)
        todo += _without_plain(held, namespace, given, found) if len(held) > _BULK else held
    return found


def _without_plain(
    held: "list[Any]", namespace: Mapping[str, Any], given: Mapping[int, Any], found: Reached
) -> "list[Any]":
    """Return the objects that must be examined one by one. Plain dicts, lists and sets are counted all at once.

    A hundred thousand records are common, and each would take a microsecond or two.
    """
    plain = {id(one): one for one in held if type(one) in _PLAIN and id(one) not in found.objects}
    if not plain.keys().isdisjoint(given) or id(namespace) in plain:
        return held
    found.objects.update(plain)
    tuples = [one for one in held if type(one) is tuple]
    flat = set(map(type, gc.get_referents(*tuples))) <= _PASSIVE
    leaves = {*_PLAIN, *_PASSIVE, tuple} if flat else {*_PLAIN, *_PASSIVE}
    inner = [one for one in gc.get_referents(*plain.values()) if type(one) not in _PASSIVE]
    return [*(one for one in held if type(one) not in leaves), *inner]


def bound_name(one: Any, namespace: Mapping[str, Any]) -> "str | None":
    """Return the name of a function or class of a cell, if it is bound in the namespace under that name, else None."""
    if type(one) is types.FunctionType:
        own = one.__globals__ is namespace
    elif is_a(one, type):
        own = one.__module__ == MAIN
    else:
        return None
    return one.__name__ if own and namespace.get(one.__name__) is one else None


def referent(pointer: Any) -> Any:
    """Return the object of a weak reference or of a weak proxy, or None when it is gone."""
    if is_a(pointer, weakref.ReferenceType):
        return pointer()
    try:
        # A method that is looked up through the proxy is bound to the object itself.
        return pointer.__reduce_ex__.__self__
    except ReferenceError:
        return None


def is_a(one: Any, kinds: "type | tuple[type, ...]") -> bool:
    """Return whether an object is an instance, by its true class.

    `isinstance` also asks for `__class__`, which runs code of a cell, lies, or raises for a proxy without its object.
    """
    return issubclass(type(one), kinds)


OWN = "?"


def home_of(function: types.FunctionType, namespace: Mapping[str, Any]) -> "str | None":
    """Return the module whose globals a function uses, or None for a function that can be imported.

    A function with a home must be saved whole. MAIN is the namespace, OWN globals that belong to no module.
    """
    held = function.__globals__
    if held is namespace:
        return MAIN
    # A module's `__name__` may differ from the name under which it is found.
    for name in (held.get("__name__"), getattr(held.get("__spec__"), "name", None)):
        module = sys.modules.get(str(name))
        if module is not None and vars(module) is held:
            return None if named_in(module, function.__qualname__) is function else str(name)
    return OWN


def named_in(module: Any, name: str) -> Any:
    """Return the object that a module has under a dotted name, or None."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _held(one: Any, kind: type, namespace: Mapping[str, Any], found: Reached) -> "list[Any]":
    """Count `one` as reached unless it belongs to a library, and return the objects that it refers to."""
    if kind in _PLAIN:
        return _held_by_plain(one, found)
    if kind is types.FunctionType:
        return _held_by_function(one, namespace, found)
    if is_a(one, type):
        return _held_by_class(one, found) if one.__module__ == MAIN else []
    if kind is tuple or kind is frozenset:
        held = gc.get_referents(one)
        if set(map(type, held)) <= _PASSIVE:
            return []  # equal ones are interchangeable
        found.objects[id(one)] = one
        return held
    found.objects[id(one)] = one
    if is_a(one, threading.Thread) or kind.__module__.startswith(_MACHINERY):
        return []  # never saved, and it leads to everything
    if is_array(one):
        return held_by_array(one)
    if kind.__module__ == MAIN and is_array(one, exactly=False):
        return [kind, vars(one), *held_by_array(one)]
    if kind in _CODES:
        found.names |= names_of(getattr(one, _CODES[kind]))
    if kind in _NOT_REPORTED:
        return _held_unreported(one, kind)
    held = _held_by_plain(one, found)
    return [kind, *held] if kind.__module__ == MAIN else held


def _held_by_plain(one: Any, found: Reached) -> "list[Any]":
    found.objects[id(one)] = one
    if may_be_addressed(one):
        found.keyed.append(one)
    held = [] if is_flat(one) else gc.get_referents(one)
    return [] if len(held) > _MANY and set(map(type, held)) <= _PASSIVE else held


def _held_by_class(one: type, found: Reached) -> "list[Any]":
    found.objects[id(one)] = one
    own = [value for name, value in vars(one).items() if name not in ("__dict__", "__weakref__")]
    meta = [type(one)] if type(one).__module__ == MAIN else []
    return [*own, *one.__bases__, *meta, *(registered_with(one) if is_a(one, ABCMeta) else ())]


def _held_unreported(one: Any, kind: type) -> "list[Any]":
    """Return what an object holds weakly, or otherwise so that the collector does not report it."""
    if kind in WEAK:
        return [*one.keys(), *one.values()] if hasattr(one, "keys") else list(one)
    if kind is re.Match:
        return [one.re, one.string]
    callback = one.__callback__ if kind is weakref.ReferenceType else None
    return [referent(one), callback]


def _held_by_function(one: Any, namespace: Mapping[str, Any], found: Reached) -> "list[Any]":
    home = home_of(one, namespace)
    if home is None:
        return []
    if home == MAIN:
        found.names |= names_of(one.__code__)
    found.objects[id(one)] = one
    held = [one.__defaults__, one.__kwdefaults__, one.__closure__, one.__dict__]
    return [*held, one.__globals__] if home == OWN else held


def is_flat(one: Any) -> bool:
    """Return whether this is a long list, set or dict of atoms only."""
    kind = type(one)
    if kind is list or kind is set:
        return len(one) > _MANY and set(map(type, one)) <= _PASSIVE
    if kind is dict:
        return len(one) > _MANY and set(map(type, one.values())) <= _PASSIVE and set(map(type, one)) <= _PASSIVE
    return False


def held_by_array(array: Any) -> "list[Any]":
    """Return what an array holds, which it does not report: the array whose memory it has, and its elements."""
    if not array.dtype.hasobject:
        return [array.base]
    # Not by its class: a hook of a cell would run.
    numpy: Any = sys.modules["numpy"]
    return [array.base, *numpy.ndarray.view(array, numpy.ndarray).ravel().tolist()]


def is_array(one: Any, *, exactly: bool = True) -> bool:
    """Return whether this is a numpy array, or of a class that builds on it, without importing numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and (type(one) is numpy.ndarray if exactly else is_a(one, numpy.ndarray))
