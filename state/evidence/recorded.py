"""The parts of the input that a request held, as the journal records them (column `places` of `calls`). A wire format.

JSON: `[pack, size, placed, gap, length, gap, length, …]`. `pack` is the beginning of the hash of the blob that the
ranges are of; `size` and `placed` are bytes of the text. Then for each range the bytes between it and the end of the
one before (for the first, its beginning) and its length.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

from .places import Document, Placed

PACK_LENGTH = 12
"""Characters of a pack's hash that a row names. Rows of one run name two packs at most."""
_PIECE = 2_000
"""Rows that `edges_of` parses at once."""


class Sent(NamedTuple):
    """The contents of rows, added up."""

    edges: list[int]
    """The beginnings and ends of ranges, one after the other; as sent, so that they may overlap."""
    size: int = 0
    """Bytes of the texts."""
    placed: int = 0
    """Those of them that are in the ranges."""
    texts: int = 0
    """The number of texts."""


def encoded(pack: str, found: Placed) -> str:
    """Return what a row records of a text that was looked up in `pack`."""
    numbers: list[int] = []
    before = 0
    for start, end in found.ranges:
        numbers += start - before, end - start
        before = end
    return json.dumps([pack[:PACK_LENGTH], found.size, found.placed, *numbers], separators=(",", ":"))


def added_up(rows: Iterable[str], pack: str) -> Sent:
    """Return what rows record of this pack. Rows of another pack and damaged ones are left out."""
    found = [row for row in _parsed(list(rows)) if row is not None and row[0] == pack[:PACK_LENGTH]]
    edges = list(chain.from_iterable(accumulate(row[3:]) for row in found))
    return Sent(edges, sum(row[1] for row in found), sum(row[2] for row in found), len(found))


def edges_of(rows: Sequence[str], pack: str) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each row that has ranges of this pack, and their beginnings and ends one after the other.

    As many rows at a time are in memory as a piece has, so that it can be long.
    """
    for first in range(0, len(rows), _PIECE):
        for number, row in enumerate(_parsed(list(rows[first : first + _PIECE])), first):
            if row is not None and row[0] == pack[:PACK_LENGTH] and len(row) > 3:
                yield number, list(accumulate(row[3:]))


def ranges_in(row: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the beginning of the pack's hash, and the ranges of the pack, that a row records; empty if damaged."""
    found = _alone(row)
    if not _is_whole(found):
        return "", []
    edges = list(accumulate(found[3:]))
    return found[0], list(zip(edges[::2], edges[1::2], strict=True))


def _parsed(rows: list[str]) -> list[list[Any] | None]:
    """Return the rows, None for damaged ones. All are parsed at once, which is three times as fast as each alone."""
    try:
        found = json.loads(f"[{','.join(rows)}]")
        if len(found) != len(rows):
            raise ValueError
    except ValueError:
        found = [_alone(text) for text in rows]
    return [row if _is_whole(row) else None for row in found]


def _alone(row: str) -> Any:
    try:
        return json.loads(row)
    except ValueError:
        return None


def _is_whole(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) >= 3
        and len(row) % 2 == 1
        and isinstance(row[0], str)
        and all(type(number) is int and 0 <= number < 1 << 48 for number in row[1:])
    )


def asked_alone(rows: Iterable[str], pack: str, documents: Sequence[Document]) -> tuple[int, int]:
    """Return how many documents had a request about nothing else, and of how many requests nothing is placed.

    `documents` are sorted by their first bytes.
    """
    starts = [start for _, start, _ in documents]
    alone, unplaced = set[int](), 0
    for row in _parsed(list(rows)):
        if row is None:
            continue
        if row[0] != pack[:PACK_LENGTH] or not row[2]:
            unplaced += 1
            continue
        edges = list(accumulate(row[3:]))
        first, last = bisect_right(starts, edges[0]), bisect_right(starts, edges[-1] - 1)
        if first == last:
            alone.add(first)
    return len(alone), unplaced
