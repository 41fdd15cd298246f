"""State outside of the namespace that code of cells relies on: random generators, settings, and patched modules.

Each part is saved like a variable, under a name that no variable can have.
"""

import importlib
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .patches import Held, Patches
from .process_parts import parts

RANDOM = "random.getstate()"
NUMPY_RANDOM = "numpy.random.get_state()"
DRAWS = (RANDOM, NUMPY_RANDOM)
"""The parts that are not compared: code may draw other numbers when it runs again."""
_SEED = 0


def begin_alike() -> None:
    """Seed the random generator alike in every kernel, so that a replayed cell draws the same numbers."""
    random.seed(_SEED)


def imported_alike(names: "frozenset[str]") -> None:
    """Seed numpy's global generator alike too, before a cell that may import numpy."""
    # Not "numpy": `chunks.py` may have imported that, and the generator comes with `numpy.random`.
    if "numpy.random" in sys.modules or names.isdisjoint(("numpy", "pandas")):
        return
    try:
        importlib.import_module("numpy").random.seed(_SEED)
    except ImportError:
        return


class Ambient:
    """The state outside of one namespace that its code relies on: each part by name."""

    def __init__(self, held: "Held | None" = None) -> None:
        """Begin with the present state. `held` has attributes that are in place only while a cell runs."""
        self.patches = Patches(held)
        self._parts = {part.name: part for part in parts()}
        self.order = {name: place for place, name in enumerate(self._parts)}
        """The places of the parts that are restored before all else."""
        # Compared with later values. Their own lists are copies.
        self._start = {name: part.read() for name, part in self._parts.items() if not part.module}

    def notice(self, blocks: Sequence[str], namespace: Mapping[str, Any]) -> None:
        """Record the attributes of modules and classes that the code sets."""
        self.patches.notice(blocks, namespace)

    def values(self) -> "dict[str, Any]":
        """Return the parts of the state by name: those that differ from a fresh kernel's, and all generators."""
        found: dict[str, Any] = {RANDOM: random.getstate()}
        if numpy := sys.modules.get("numpy.random"):
            found[NUMPY_RANDOM] = _comparable(numpy.get_state())
        for name, part in self._parts.items():
            if part.module and part.module not in sys.modules:
                continue
            try:
                value = part.read()
            except Exception:
                continue  # code has replaced what it is read from by something else, which is no state of a process
            if name not in self._start or value != self._start[name]:
                found[name] = value
        found.update(self.patches.values())
        return found

    def put_back(self, name: str, value: Any) -> None:
        """Restore one part. Raises what importing or setting it raises."""
        if name == RANDOM:
            random.setstate(value)
        elif name == NUMPY_RANDOM:
            importlib.import_module("numpy").random.set_state(_state(value))
        elif name in self._parts:
            self._parts[name].put_back(value)
        else:
            self.patches.put_back(name, value)


def _comparable(state: Any) -> tuple[Any, ...]:
    kind, keys, *rest = state
    return (kind, keys.tobytes(), *rest)


def _state(value: Any) -> tuple[Any, ...]:
    import numpy

    kind, keys, *rest = value
    return (kind, numpy.frombuffer(keys, dtype=numpy.uint32), *rest)
