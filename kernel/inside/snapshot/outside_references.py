"""Objects of variables that something outside of the variables refers to: a library that holds a handler or a list.

Code that a cell does not name can change such an object, or run and change others: then every variable is compared
after every cell. References are counted, because the search for them would take longer than a small cell: an object to
which Python counts more references than the variables and this program hold is held by something else.
"""

import gc
import logging
import sys
import types
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from .object_graph import MAIN, WEAK, WEAK_POINTERS, Reached, held_by_array, is_a, is_array

_getrefcount, _getweakrefcount, _getweakrefs = sys.getrefcount, weakref.getweakrefcount, weakref.getweakrefs
_get_referents, _get_referrers = gc.get_referents, gc.get_referrers
_FUNCTION = types.FunctionType


@dataclass
class Outside:
    """The objects that something outside refers to."""

    objects: list[Any] = field(default_factory=list[Any])
    names: set[str] = field(default_factory=set[str])
    """The variables that hold them."""

    @property
    def code(self) -> list[Any]:
        """Those that can run code of cells: functions, classes of cells and instances of these."""
        return [one for one in self.objects if is_code(one)]


def is_code(one: Any) -> bool:
    """Return whether an object has code of cells: a function, a class of a cell, or an instance of one."""
    if type(one) is _FUNCTION:
        return one.__globals__.get("__name__") == MAIN
    return type(one).__module__ == MAIN or (is_a(one, type) and one.__module__ == MAIN)


def _one_reference() -> int:
    """Return what `sys.getrefcount` says of an object in one list, one `Reached` and the dict that is counted."""
    there = [[]]
    reached, counted = {1: there[0]}, {1: there[0]}
    [count] = map(_getrefcount, counted.values())
    del reached
    return count


_ONE = _one_reference()


def held_outside(reached: Mapping[str, Reached], ours: "Callable[[], Iterable[Any]]") -> Outside:
    """Return the objects of these variables to which something outside of them refers.

    `ours` returns the other references of this program and of the namespace, each as often as it is held.
    """
    objects: dict[int, Any] = {}
    for one in reached.values():
        objects.update(one.objects)
    # One of the references is from within, or the object would not have been reached.
    more = {
        number: count
        for number, count in zip(objects, map(_getrefcount, objects.values()), strict=True)
        if count > _ONE
    }
    found = Outside()
    if more:
        held = chain(_referents(objects.values()), ours(), behind_errors(objects.values()))
        inner = Counter(filter(more.__contains__, map(id, held)))
        del held
        for one in reached.values():
            inner.update(one.objects.keys() & more.keys())
        # `objects` itself, and what iterating over it holds while it is counted.
        found.objects = [objects[number] for number, count in more.items() if count - inner[number] > _ONE - 2]
    counted = zip(objects.values(), map(_getweakrefcount, objects.values()), strict=True)
    # A handler is in a list that `logging` closes handlers by; it is called by a logger, which holds it strongly.
    weakly = [one for one, count in counted if count and is_code(one) and not is_a(one, (type, logging.Handler))]
    if weakly and not any(is_a(one, WEAK) for one in objects.values()):
        mine = {id(one) for one in (*ours(), *objects.values()) if is_a(one, WEAK_POINTERS)}
        found.objects += [one for one in weakly if not mine.issuperset(map(id, _getweakrefs(one)))]
    found.objects = [one for one in found.objects if _matters(one, reached)]
    held = {id(one) for one in found.objects}
    found.names = {name for name, one in reached.items() if held and not held.isdisjoint(one.objects)}
    return found


def _matters(one: Any, reached: Mapping[str, Reached]) -> bool:
    """Return whether it matters that something outside refers to an object: state of variables, or code of cells."""
    if is_code(one):
        return True
    kind = type(one)
    # Libraries use objects without state as marks, also their own classes' (`dataclasses.MISSING`).
    if kind is object or kind is types.MappingProxyType or _is_dtype(one):
        return False
    module = sys.modules.get(kind.__module__)
    if kind.__module__ != "builtins" and module is not None and any(one is each for each in vars(module).values()):
        return False
    # Parts of the process's state belong to libraries by their nature; their attributes do too.
    return any(
        "." not in name or (not name.endswith("()") and any(map(is_code, each.objects.values())))
        for name, each in reached.items()
        if id(one) in each.objects
    )


def _is_dtype(one: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and is_a(one, numpy.dtype)


def _referents(objects: "Iterable[Any]") -> list[Any]:
    """Return everything that the objects refer to, each as often as it is referred to."""
    found = _get_referents(*objects)
    for one in objects:
        if is_a(one, type):
            # Their tuples and their dict are not among the objects.
            parts = [part for part in _get_referents(one) if type(part) in (tuple, dict)]
            own = [
                part
                for part in vars(one).values()
                if type(part) in (types.GetSetDescriptorType, types.MemberDescriptorType)
            ]
            found += _get_referents(*parts, *own)
        elif type(one) is _FUNCTION:
            # Its annotations, which are not searched for objects. (Asking for them may run code.)
            known = {id(one.__globals__), id(one.__dict__), id(one.__closure__), id(one.__defaults__)}
            known |= {id(one.__kwdefaults__), id(one.__builtins__)}
            parts = [part for part in _get_referents(one) if type(part) in (tuple, dict) and id(part) not in known]
            found += _get_referents(*parts)
        elif is_array(one, exactly=False):
            found += held_by_array(one)
        elif is_a(one, WEAK):
            found += _get_referents(*(part for part in _get_referents(one) if type(part) is dict))
    return found


def functions_in(objects: "Iterable[Any]", namespace: Any) -> int:
    """Return how many of the objects are functions of this namespace, each of which refers to it."""
    return sum(1 for one in objects if type(one) is _FUNCTION and one.__globals__ is namespace)


def behind_errors(objects: "Iterable[Any]" = ()) -> list[Any]:
    """Return what the tracebacks of errors hold: of those among the objects, and of the last one, which Python keeps.

    Tracebacks are not saved, and so are not among the objects of a variable.
    """
    found: list[Any] = []
    seen: set[int] = set()
    last: Any = getattr(sys, "last_value", None)
    own = [one for one in objects if is_a(one, BaseException)]
    frames: dict[int, Any] = {}
    for error in (*own, last):
        while is_a(error, BaseException) and id(error) not in seen:
            seen.add(id(error))
            if not any(error is one for one in own):
                found += _get_referents(error)
            trace = error.__traceback__
            while trace is not None:
                frame: Any = trace.tb_frame
                while frame is not None and id(frame) not in frames:
                    frames[id(frame)] = frame
                    frame = frame.f_back
                trace = trace.tb_next
            error = error.__cause__ or error.__context__
    for frame in frames.values():
        found += _get_referents(frame)
    return found


def instances_elsewhere(kind: type, objects: Mapping[int, Any]) -> bool:
    """Return whether something that is not among the objects is an instance of this class of a cell."""
    return any(type(one) is kind and id(one) not in objects for one in _get_referrers(kind))
