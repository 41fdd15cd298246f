"""Finds every part of a text that is a range of the stored input, at all places where the input has it.

Like `RangeIndex.ranges`, which knows one place for each part; here no place may be missed, because a place that is
one of several says nothing about where a text was made from.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..blobs.range_index import LEAST_RANGE, WINDOW, RangeIndex

_MOST_ALIKE = 4
"""Samples that a RangeIndex keeps of those that are alike: where it has so many, there may be more."""
_FREE_LOOKS, _BYTES_A_LOOK = 256, 64
_FREE_BYTES, _READINGS = 1 << 20, 16
"""Bytes compared at most: so many, and each byte of the text so many times."""
_AT_ONCE = 1 << 14
_FIRST_READ, _LARGEST_READ = 4 << 10, 1 << 20


class Match(NamedTuple):
    """Bytes `start` to `end` of a text, equal to those of the file from `place` on, and to no more on either side."""

    start: int
    end: int
    place: int


@dataclass
class Matches:
    """The parts that one text has in common with the file."""

    all: list[Match] = field(default_factory=list[Match])
    crowded: list[int] = field(default_factory=list[int])
    """Beginnings of windows that the file has too often for each place to be known, sorted."""
    step: int = 1
    complete: bool = True
    """False: the search ended early, in a text full of repetitions."""

    def may_have_more(self, start: int, end: int) -> bool:
        """Return whether the bytes `start` to `end` may have places that were not found.

        A place is known by any of its samples, which are `step` bytes apart. It was missed where no window of the text
        is such a sample, because the text is short, or where each that could be one is crowded.
        """
        windows = end - start - WINDOW + 1
        if not self.complete or windows < self.step:
            return True
        counts = [0] * self.step
        for window in self.crowded[bisect_left(self.crowded, start) : bisect_left(self.crowded, start + windows)]:
            counts[(window - start) % self.step] += 1
        return any(
            count and count >= (windows - phase + self.step - 1) // self.step for phase, count in enumerate(counts)
        )


def matches(text: bytes, index: RangeIndex, descriptor: int) -> Matches:
    """Return all parts of `text` of at least 128 bytes that are in the file behind `descriptor`.

    Each part of at least `step + 63` bytes is found at each of its places, unless `may_have_more` says otherwise.
    """
    search = _Search(text, index, descriptor)
    last = len(text) - WINDOW
    for start in range(0, last + 1, _AT_ONCE):
        if not search.found.complete:
            break
        search.look_at(start, min(_AT_ONCE, last + 1 - start))
    search.found.crowded.sort()
    return search.found


class _Search:
    def __init__(self, text: bytes, index: RangeIndex, descriptor: int) -> None:
        self.found = Matches(step=index.step)
        self._text = text
        self._index = index
        self._descriptor = descriptor
        self._looks = _FREE_LOOKS + len(text) // _BYTES_A_LOOK
        self._bytes = _FREE_BYTES + len(text) * _READINGS
        self._known: dict[int, list[Match]] = {}
        """The matches so far, by the distance between a place and its part of the text."""

    def look_at(self, start: int, count: int) -> None:
        """Compare what some windows have in common with the file. Rare windows come first."""
        arrays = self._index.look_up(self._text, start, count)
        hits = sorted(
            (behind - first >= _MOST_ALIKE, window, first, behind)
            for window, first, behind in zip(*(one.tolist() for one in arrays), strict=True)
        )
        for crowded, window, first, behind in hits:
            if crowded:
                self.found.crowded.append(window)
            for sample in range(first, behind):
                self._compare(window, self._index.place(sample))
            if not self.found.complete:
                break

    def _compare(self, window: int, place: int) -> None:
        known = self._known.get(place - window, [])
        if any(one.start <= window < one.end for one in known):
            return
        if self._looks <= 0 or self._bytes <= 0:
            self.found.complete = False
            return
        self._looks -= 1
        ahead = self._same(window, place, forward=True)
        if ahead < WINDOW:
            return
        back = self._same(window, place, forward=False)
        self._bytes -= ahead + back
        match = Match(window - back, window + ahead, place - back)
        self._known[place - window] = [*known, match]
        if ahead + back >= LEAST_RANGE:
            self.found.all.append(_between_characters(self._text, match))

    def _same(self, at: int, place: int, *, forward: bool) -> int:
        """Return how many bytes are equal to one side."""
        most = len(self._text) - at if forward else min(at, place)
        same, size = 0, _FIRST_READ
        while same < most:
            count = min(size, most - same)
            first = same if forward else -same - count
            theirs = os.pread(self._descriptor, count, place + first)
            ours = self._text[at + first : at + first + count]
            if ours != theirs:
                return same + (common(ours, theirs) if forward else common(ours[::-1], theirs[::-1]))
            same += count
            size = min(4 * size, _LARGEST_READ)
        return same


def common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are equal."""
    size = min(len(one), len(other))
    differing = int.from_bytes(one[:size], "little") ^ int.from_bytes(other[:size], "little")
    return ((differing & -differing).bit_length() - 1) // 8 if differing else size


def _between_characters(text: bytes, match: Match) -> Match:
    """Return the match without partial characters at its ends."""
    start, end, place = match
    while start < end and text[start] & 0xC0 == 0x80:
        start += 1
    while end > start and end < len(text) and text[end] & 0xC0 == 0x80:
        end -= 1
    return Match(start, end, place + start - match.start)


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges sorted, and those that touch or overlap as one."""
    whole: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return whole


def overlap(ranges: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Return how many bytes of a range are in sorted, disjoint ranges."""
    number = max(0, bisect_left(ranges, (start, start)) - 1)
    total = 0
    while number < len(ranges) and ranges[number][0] < end:
        total += max(0, min(end, ranges[number][1]) - max(start, ranges[number][0]))
        number += 1
    return total
