"""Two texts line by line, side by side. The work is bounded: texts are written by models."""

from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal, NamedTuple

MOST_LINES = 400
"""Lines of each text that are shown, at most."""
_MOST_PAIRS = 40_000
"""Pairs of equal lines up to which lines are matched: with more of them, the search for the best match takes long."""
_AROUND = 3
_FOLDED = 8
"""Equal lines in a row, from which those in the middle are folded."""

Kind = Literal["same", "changed", "added", "removed", "folded"]


class SideRow(NamedTuple):
    """A row: a line of either text, None where a text has none. A folded row stands for `lines` equal lines."""

    kind: Kind
    left: str | None
    right: str | None
    lines: int = 1


def side_by_side(left: str | None, right: str | None) -> list[SideRow]:
    """Return the rows of two texts; None for a text that does not exist. Lines that are equal stand in one row."""
    was, now = _lines(left), _lines(right)
    rows = list(_rows(was[:MOST_LINES], now[:MOST_LINES]))
    beyond = max(len(was), len(now)) - MOST_LINES
    return [*rows, SideRow("folded", None, None, beyond)] if beyond > 0 else rows


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.removesuffix("\n").split("\n")


def _rows(was: list[str], now: list[str]) -> Iterator[SideRow]:
    counted = Counter(now)
    if sum(counted[line] for line in was) > _MOST_PAIRS:
        yield from _changed(was, now)
        return
    for tag, start, end, first, last in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from _folded([SideRow("same", line, line) for line in was[start:end]])
        else:
            yield from _changed(was[start:end], now[first:last])


def _changed(was: list[str], now: list[str]) -> Iterator[SideRow]:
    for old, new in zip_longest(was, now):
        kind: Kind = "added" if old is None else "removed" if new is None else "same" if old == new else "changed"
        yield SideRow(kind, old, new)


def _folded(rows: list[SideRow]) -> list[SideRow]:
    if len(rows) < _FOLDED:
        return rows
    return [*rows[:_AROUND], SideRow("folded", None, None, len(rows) - 2 * _AROUND), *rows[-_AROUND:]]
