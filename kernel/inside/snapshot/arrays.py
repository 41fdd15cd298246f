"""numpy arrays that share memory, and those of classes of cells. numpy is not imported for that."""

import sys
from collections.abc import Mapping
from typing import Any

from . import unpickler
from .object_graph import MAIN, is_array


def reduced_array(obj: Any, kind: type, objects: Mapping[int, Any]) -> "tuple[Any, ...] | None":
    """Return the saved form of an array, or None for other objects and for an array that numpy pickles itself.

    `objects`: everything that is saved with it, by id.
    """
    if is_array(obj):
        return _view(obj, objects)
    if kind.__module__ != MAIN or not is_array(obj, exactly=False):
        return None
    view = _view(obj, objects)
    # Not by its class, which may compute in `__getitem__`, and whose own pickling forgets its attributes.
    numpy: Any = sys.modules["numpy"]
    content = numpy.array(numpy.ndarray.view(obj, numpy.ndarray), order="K") if view is None else _Apart(view)
    made = unpickler.array_of_view if view else unpickler.array_of
    return made, (kind, content), (object, vars(obj), None, None, False), None, None, unpickler.fill_instance


def _view(array: Any, objects: Mapping[int, Any]) -> "tuple[Any, ...] | None":
    base = array.base
    if not is_array(base, exactly=False) or not array.size or array.dtype.hasobject:
        return None
    while is_array(base.base, exactly=False):
        base = base.base
    if id(base) not in objects or not base.flags.c_contiguous:
        return None
    offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return unpickler.view, (base, offset, array.shape, array.strides, array.dtype)


class _Apart:
    """An object that is made in this way, which is part of another one."""

    def __init__(self, reduced: tuple[Any, ...]) -> None:
        self._reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced
