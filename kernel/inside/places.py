"""The places of a document as its reader marked them: read from its line of the index, and checked."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

_COLUMNS = ("at", "label")


class Marks(NamedTuple):
    """The places of one kind: their offsets in characters, their labels, and further columns by name.

    A place begins where it was marked and ends where the next one of its kind begins, the last one with the text.
    """

    at: Sequence[int]
    labels: Sequence[str]
    facts: Mapping[str, Sequence[Any]]

    def spans(self, chars: int) -> list[tuple[str, int, int]]:
        """Return the label, the start and the end of each in a text of so many characters."""
        ends = pairwise([*self.at, chars])
        return [(label, start, end) for label, (start, end) in zip(self.labels, ends, strict=True)]

    def number_at(self, offset: int) -> int:
        """Return the number, from 1, of the place in which a character is; 0 before the first one."""
        return bisect_right(self.at, offset)


class Runs(NamedTuple):
    """The rows of spreadsheets: offset, first number and count of those that follow each other, in order."""

    runs: Sequence[Sequence[int]]
    columns: Mapping[str, Sequence[int]]


def marks_of(places: Mapping[str, Any], kind: str, chars: int) -> Marks | None:
    """Return the places of a kind in a text of so many characters; None without any. Raises LookupError if damaged."""
    found: Any = places.get(kind)
    if found is None:
        return None
    try:
        at = found["at"]
        if not _are_offsets(at, chars):
            raise ValueError
        labels = [str(label) for label in found.get("label", ())]
        labels += [""] * (len(at) - len(labels))
        facts = {name: list(values) for name, values in found.items() if name not in _COLUMNS}
        if any(len(values) != len(at) for values in (labels, *facts.values())):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LookupError(f"the stored {kind} are damaged: the index has none that can be used") from None
    return Marks(at, labels, facts) if at else None


def runs_of(places: Mapping[str, Any], chars: int) -> Runs | None:
    """Return the rows of spreadsheets; None without any. Raises LookupError if damaged."""
    found: Any = places.get("rows")
    if found is None:
        return None
    try:
        runs, columns = found["runs"], found.get("columns", {})
        sound = _are_offsets([start for start, _, _ in runs], chars) and isinstance(columns, dict)
        if not sound or not all(type(number) is int and number >= 0 for run in runs for number in run):
            raise ValueError
        if not all(type(number) is int for row in columns.values() for number in row):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LookupError("the stored rows are damaged: the index has none that can be used") from None
    return Runs(runs, columns)


def _are_offsets(at: Any, chars: int) -> bool:
    """Return whether these are offsets of a text, in order."""
    if not isinstance(at, list) or not all(type(one) is int for one in at):
        return False
    return all(one <= other for one, other in pairwise([0, *at, chars]))
