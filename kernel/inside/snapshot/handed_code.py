"""Code and containers of cells that something outside of the variables holds, as handlers, hooks, methods, finalizers.

While there are any, code that no cell names may change any variable, so every variable is compared after every cell.
Those that are attributes of modules and classes are found and saved with their places (`patches`), others that are
part of the process's state are saved there (`process_parts`); what a library holds otherwise is named as lost.
"""

import gc
import sys
import types
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from itertools import chain
from typing import Any

from .object_graph import Reached, is_a
from .outside_references import (
    Outside,
    behind_errors,
    functions_in,
    held_outside,
    instances_elsewhere,
)
from .partition import sharing
from .process_state import Ambient

CALLBACKS = "library.callbacks()"
"""The name under which the loss of callbacks is saved."""
_getrefcount = sys.getrefcount
_FUNCTION = types.FunctionType


class HandedCode:
    """Code and containers that the variables of one namespace share with something outside of them."""

    def __init__(
        self,
        namespace: MutableMapping[str, Any],
        ambient: "Ambient | None",
        shown: "Callable[[], Iterable[Any]]" = tuple,
    ) -> None:
        """`shown` returns the values that the shell keeps of what it has shown: no library holds them by that."""
        self._namespace = namespace
        self._shown = shown
        self._ambient = ambient
        self._held: set[str] = set()
        """Variables that hold what something outside refers to."""
        self._functions: dict[str, int] = {}
        """The number of functions of the namespace in each group, by its first name."""
        self._own = -1
        """The references to the namespace when it had no functions; -1: not counted."""
        self._strangers = 0
        """Functions of the namespace that no variable holds."""
        self._counted = (0, 0)
        """References to the namespace beyond those of known functions, and the last error, when they were counted."""
        self._searched: frozenset[int] = frozenset()

    @property
    def any(self) -> bool:
        """True while something outside may run code of cells, or change what a variable holds."""
        return bool(self._held) or self._strangers > 0

    def begin(self) -> None:
        """Count the references to the namespace before the first cell runs in it."""
        if self._own < 0:
            self._own = _getrefcount(self._namespace)

    def find(
        self,
        values: dict[str, Any],
        reached: dict[str, Reached],
        reach: "Callable[[Any], Reached]",
        others: "Callable[[set[str]], Iterable[str]]",
        ours: "Callable[[], Iterable[Any]]",
        gone: "Iterable[str]",
    ) -> None:
        """Find what is held outside, after the variables `reached` were examined, and add what must be saved for it.

        That is added to `values` and `reached`. `others` returns the variables that refer to some by name, `ours` the
        references that this program holds; `gone` are variables that there are no more.
        """

        def holders(names: set[str]) -> dict[str, Reached]:
            return {name: reach(values[name]) for name in {*others(names)} - reached.keys() if name in values}

        def everything() -> dict[str, Reached]:
            return {name: reached.get(name) or reach(value) for name, value in values.items()}

        found = self.look(reached, holders, everything, ours, gone)
        if self._place(found, everything) and self._ambient is not None:
            # Not counted again: what the first count holds.
            found.objects.clear()
            for name, value in self._ambient.patches.values().items():
                if name not in values:
                    values[name] = value
                    reached[name] = reach(value)
            found = self.look(reached, holders, everything, ours)
        if self.any and (why := self._lost(found, everything())):
            values[CALLBACKS] = why
            reached[CALLBACKS] = Reached()

    def look(
        self,
        reached: "dict[str, Reached]",
        holders: "Callable[[set[str]], dict[str, Reached]]",
        everything: "Callable[[], dict[str, Reached]]",
        ours: "Callable[[], Iterable[Any]]",
        gone: "Iterable[str]" = (),
    ) -> Outside:
        """Find what is held outside now. `holders` returns the variables that refer to some by name, examined.

        `everything` returns all variables, examined.
        """
        parts = sharing({name: one.objects for name, one in reached.items()})
        for name in (*reached, *gone):
            self._functions.pop(name, None)
        for names in parts:
            objects: dict[int, Any] = {}
            for name in names:
                objects.update(reached[name].objects)
            if found := functions_in(objects.values(), self._namespace):
                self._functions[min(names)] = found
            del objects
        outside = self._outside(reached, ours)
        if outside.names - self._held:
            # What is only held by garbage is not held. Young garbage is enough, and takes no time.
            outside.objects.clear()
            gc.collect(1)
            outside = self._outside(reached, ours)
        if outside.objects and (more := holders(outside.names)):
            outside.objects.clear()
            outside = self._outside({**more, **reached}, ours)
            outside.names &= reached.keys()
        self._held = (self._held - reached.keys() - set(gone)) | outside.names
        self._strangers = self._count_strangers(everything)
        return outside

    def _outside(self, reached: Mapping[str, Reached], ours: "Callable[[], Iterable[Any]]") -> Outside:
        return held_outside(reached, lambda: chain(self._namespace.values(), ours()))

    def _count_strangers(self, everything: "Callable[[], dict[str, Reached]]") -> int:
        """Return the number of functions of the namespace that no variable holds."""
        if self._own < 0:
            return 0
        more = _getrefcount(self._namespace) - self._own - sum(self._functions.values())
        if more <= 0:
            return 0
        counted = more, id(getattr(sys, "last_value", None))
        if counted != self._counted:
            # An error of long ago and its frames may be garbage.
            gc.collect()
            self._counted = counted
            return len(self._unnamed(everything()))
        return self._strangers

    def _unnamed(self, reached: "Mapping[str, Reached]") -> list[Any]:
        """Return the functions of the namespace that no variable holds, but for those that tracebacks hold."""
        known = {number: one for each in reached.values() for number, one in each.objects.items()}
        behind = {id(one) for one in (*behind_errors(known.values()), *self._shown())}
        mine = [one for one in gc.get_referrers(self._namespace) if type(one) is _FUNCTION and id(one) not in known]
        mine = [one for one in mine if one.__globals__ is self._namespace and id(one) not in behind]
        # Python makes a function to run a cell, which a frame holds that is a variable.
        return [one for one in mine if one.__code__.co_name != "<module>"]

    def _place(self, outside: Outside, everything: "Callable[[], dict[str, Reached]]") -> bool:
        """Search modules and classes for the code that is held outside. Return whether it was searched for."""
        code = [*outside.code, *(self._unnamed(everything()) if self._strangers else ())]
        numbers = frozenset(map(id, code))
        if self._ambient is None or not code or numbers == self._searched:
            return False
        self._searched = numbers
        self._ambient.patches.find_code(code)
        return True

    def _lost(self, outside: Outside, reached: "Mapping[str, Reached]") -> str | None:
        """Return what will be missing when the variables are restored, or None."""
        parts = [one for name, one in reached.items() if "." in name]
        saved = {number for one in parts for number in one.objects}
        saved |= {id(self._namespace.get(name)) for one in parts for name in one.names}
        everything = {number: one for each in reached.values() for number, one in each.objects.items()}
        missing = [
            one
            for one in outside.code
            if id(one) not in saved and (not is_a(one, type) or instances_elsewhere(one, everything))
        ]
        names = sorted({_name(one) for one in (*missing, *(self._unnamed(reached) if self._strangers else ()))})
        if not names:
            return None
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        return f"a library held {shown}, as a handler or a hook perhaps, and does not any more: register it again"


def _name(one: Any) -> str:
    if is_a(one, (type, _FUNCTION)):
        return one.__qualname__
    return f"a {type(one).__qualname__}"
