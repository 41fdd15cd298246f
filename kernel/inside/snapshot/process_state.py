"""State outside of the namespace that code of cells relies on: random generators, and modules that it patched.

Each part is saved like a variable, under a name that no variable can have.
"""

import importlib
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .code_names import patched

RANDOM = "random.getstate()"
NUMPY_RANDOM = "numpy.random.get_state()"
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
    """The state outside of one namespace, and the module attributes that its code patches."""

    def __init__(self) -> None:
        self._patches: dict[str, tuple[str, str]] = {}
        self._saved: dict[str, Any] = {}

    def notice(self, blocks: Sequence[str], namespace: Mapping[str, Any]) -> None:
        """Record the attributes of modules that the code sets, or would set when its functions are called."""
        for owner, attribute in patched(blocks):
            first, *rest = owner.split(".")
            found: Any = namespace.get(first)
            for part in rest:
                found = getattr(found, part, None) if isinstance(found, type(sys)) else None
            if isinstance(found, type(sys)):
                self._patches[f"{found.__name__}.{attribute}"] = (found.__name__, attribute)

    def values(self) -> "dict[str, Any]":
        """Return the parts of the state by name, without patched attributes that were deleted."""
        found: dict[str, Any] = {RANDOM: random.getstate()}
        if numpy := sys.modules.get("numpy.random"):
            found[NUMPY_RANDOM] = _comparable(numpy.get_state())
        for name, (module, attribute) in self._patches.items():
            held = vars(sys.modules[module]) if module in sys.modules else {}
            if attribute in held:
                found[name] = held[attribute]
        return found

    def put_back(self, name: str, value: Any) -> None:
        """Restore one part. Raises what importing or setting it raises."""
        if name == RANDOM:
            random.setstate(value)
        elif name == NUMPY_RANDOM:
            importlib.import_module("numpy").random.set_state(_state(value))
        else:
            module, _, attribute = name.rpartition(".")
            setattr(importlib.import_module(module), attribute, value)
            self._patches[name] = (module, attribute)


def _comparable(state: Any) -> tuple[Any, ...]:
    kind, keys, *rest = state
    return (kind, keys.tobytes(), *rest)


def _state(value: Any) -> tuple[Any, ...]:
    import numpy

    kind, keys, *rest = value
    return (kind, numpy.frombuffer(keys, dtype=numpy.uint32), *rest)
