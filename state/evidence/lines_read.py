"""Names the lines of a document that were read, by reading its bytes once up to the last of them.

A line ends at `\\n`; in a text without any, a `\\r` ends it.
"""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

_PIECE = 4 << 20
_BLANKS = b" \t\n\r\v\f"
MOST_RANGES = 1_000
"""Ranges of lines that are named of one document."""


@dataclass(frozen=True)
class LinesRead:
    """The lines of a document, from 1, of which a part was read."""

    ranges: tuple[tuple[int, int], ...]
    """The first line and the last of each range, at most `MOST_RANGES`."""
    more: int = 0
    """The number of ranges that are not named."""


def lines_read(data: "bytes | mmap.mmap", start: int, end: int, parts: Sequence[tuple[int, int]]) -> LinesRead:
    """Return the lines that parts of the document from `start` to `end` are in; the parts are sorted and disjoint."""
    mark = b"\n" if data.find(b"\n", start, end) >= 0 else b"\r"
    found: list[tuple[int, int]] = []
    more, line, at = 0, 1, start
    for first, behind in parts:
        while first < behind and data[first] in _BLANKS:
            first += 1
        while first < behind and data[behind - 1] in _BLANKS:
            behind -= 1
        if first == behind:
            continue
        begins = line + _count(data, mark, at, first)
        line, at = begins + _count(data, mark, first, behind), behind
        if found and begins <= found[-1][1] + 1:
            found[-1] = found[-1][0], line
        elif len(found) < MOST_RANGES:
            found.append((begins, line))
        else:
            more += 1
    return LinesRead(tuple(found), more)


def _count(data: "bytes | mmap.mmap", mark: bytes, start: int, end: int) -> int:
    return sum(data[at : min(at + _PIECE, end)].count(mark) for at in range(start, end, _PIECE))
