"""Comparison of the variables of two REPLs: structure, values and aliases, object by object.

A REPL that was rebuilt by running cells again is compared with the saved variables of the one before. A too strict
answer costs a rebuild, a too lenient one would replace variables by others: in doubt the answer is no.
"""

import types
from collections.abc import Callable, Iterable
from pickle import PickleBuffer
from typing import Any

from .object_graph import ATOMS, is_array, is_flat
from .tracebacks import entries_of

Reduce = Callable[[Any], Any]
"""Function that returns the saved form of an object, as `__reduce_ex__` does. NotImplemented: it is found by name."""
_LIMIT = 50_000_000
"""Pairs of objects after which the answer is no."""


class Comparison:
    """One comparison. An alias on one side must be one on the other, over all calls of `holds`."""

    def __init__(self, reduce_one: Reduce, reduce_other: Reduce) -> None:
        self._reduce = reduce_one, reduce_other
        self._pairs: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._keep: list[Any] = []

    def holds(self, one: Any, other: Any) -> bool:
        """Return whether the two are built alike. Raises only KeyboardInterrupt, whatever their classes do."""
        todo = [(one, other)]
        try:
            while todo:
                more = self._parts(*todo.pop())
                if more is None or len(self._keep) > _LIMIT:
                    return False
                todo += more
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        return True

    def _parts(self, left: Any, right: Any) -> "list[tuple[Any, Any]] | None":
        """Return the pairs of parts that must be the same for the two to be. Return None when the two differ."""
        kind: type = type(left)
        if kind is types.BuiltinFunctionType and type(right) is kind:
            return [(left.__self__, right.__self__), (left.__name__, right.__name__)]
        if _is_text_and_document(kind, type(right)):
            return [] if str.__eq__(left, right) else None
        if kind in ATOMS or type(right) in ATOMS:
            return [] if _same_atom(left, right) else None
        known = self._pairs.get(id(left))
        if known is not None or id(right) in self._back:
            return [] if known == id(right) and self._back[id(right)] == id(left) else None
        if not _is_constant(kind):
            self._pairs[id(left)], self._back[id(right)] = id(right), id(left)
        self._keep.append((left, right))  # kept alive, so that no id is used twice
        if is_flat(left) and is_flat(right) and _same_flat(left, right):
            return []
        if kind is list or kind is tuple:
            return _zipped(left, right) if type(right) is kind else None
        if kind is dict:
            return _zipped_items(left, right) if type(right) is dict else None
        if kind is PickleBuffer and type(right) is PickleBuffer:  # of Arrow's arrays
            return [(left.raw().tobytes(), right.raw().tobytes())]
        if kind is set or kind is frozenset:
            return _zipped(sorted(left, key=repr), sorted(right, key=repr)) if type(right) is kind else None
        # Pickling an empty array of objects says more than there is to compare.
        if is_array(left) and is_array(right) and not (left.dtype.hasobject and left.size):
            return [((left.dtype.str, left.shape, left.tobytes()), (right.dtype.str, right.shape, right.tobytes()))]
        return self._reduced(left, right)

    def _reduced(self, left: Any, right: Any) -> "list[tuple[Any, Any]] | None":
        mine, other = (reduce(one) for reduce, one in zip(self._reduce, (left, right), strict=True))
        if mine is NotImplemented or other is NotImplemented:
            return [] if left is right else None
        if isinstance(mine, str) or isinstance(other, str):
            return [] if mine == other else None
        whole = [list(part) if hasattr(part, "__next__") else part for part in mine]
        theirs = [list(part) if hasattr(part, "__next__") else part for part in other]
        self._keep.append((mine, other, whole, theirs))
        return _zipped(whole, theirs)


def _is_constant(kind: type) -> bool:
    """Return whether Python may use one object for equal ones, so that identity means nothing."""
    if kind is tuple or kind is frozenset or kind is types.BuiltinFunctionType:
        return True
    # Types of the elements of arrays and tables: numpy and pandas have one, or make another equal one.
    return kind.__module__.startswith(("numpy.dtypes", "pandas.")) and kind.__name__.endswith(("DType", "Dtype"))


def _is_text_and_document(one: type, other: type) -> bool:
    """Return whether one is a plain text and the other a document: earlier versions had a text as the former."""
    document = other if one is str else one
    return str in (one, other) and issubclass(document, str) and document.__name__ == "TextDocument"


def _same_atom(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, types.TracebackType):
        # Cells have other file names in another kernel.
        return [entry[1:4] for entry in entries_of(left)] == [entry[1:4] for entry in entries_of(right)]
    return left is right or bool(left == right) or (left != left and right != right)


def _same_flat(left: Any, right: Any) -> bool:
    """Return whether two long lists or dicts of atoms are certainly the same, by one comparison of the whole."""
    if type(left) is not type(right) or isinstance(left, set) or left != right:
        return False
    values = (left, right) if isinstance(left, list) else (left.values(), right.values())
    mine, other = (list(map(type, one)) for one in values)
    return mine == other and (isinstance(left, list) or list(left) == list(right))


def _zipped(left: "Iterable[Any]", right: "Iterable[Any]") -> "list[tuple[Any, Any]] | None":
    mine, other = list(left), list(right)
    return list(zip(mine, other, strict=True)) if len(mine) == len(other) else None


def _zipped_items(left: "dict[Any, Any]", right: "dict[Any, Any]") -> "list[tuple[Any, Any]] | None":
    keys = _zipped(left, right)
    values = _zipped(left.values(), right.values())
    return None if keys is None or values is None else keys + values
