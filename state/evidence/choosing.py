"""Chooses, of the places at which the input has a passage of a text, the one that it was made from; or none of them."""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import accumulate
from typing import NamedTuple

SLACK = 32
"""Bytes by which one passage may be longer than another by chance: what stands beside a slice is often alike."""
_NEAR = 400
"""Bytes before a passage in which a document's name says where it is from."""
_BULLET = re.compile(rb"[ \t]*(?:[-*+]|\xe2\x80\xa2|\d+[.)])[ \t]")
_MOST_CANDIDATES = 64
_COMPARISONS = 32
"""Comparisons of candidates for each of them, at most."""


class Candidate(NamedTuple):
    """A passage of one document that stands in a text."""

    start: int
    end: int
    """In bytes of the text."""
    document: int
    view: int
    at: int
    length: int
    """Its beginning in the view, one of the text's, and its bytes there."""
    place: int
    size: int
    """Its beginning in the pack, and its bytes there. They are other bytes where fields stand in another form."""
    hinted: int
    """0: the kernel does not say that it was cut. 2: what was cut is in the text from its beginning to its end."""


@dataclass
class Passage:
    """A part of a text, and the candidates that explain it equally well."""

    start: int
    end: int
    candidates: list[Candidate]
    chosen: Candidate | None = None
    documents: set[int] = field(init=False)

    def __post_init__(self) -> None:
        if best := max(one.hinted for one in self.candidates):
            self.candidates = [one for one in self.candidates if one.hinted == best]
        self.documents = {one.document for one in self.candidates}

    def choose(self, document: int) -> None:
        """Choose a document: its longest candidate, and of several the first in the document."""
        own = [one for one in self.candidates if one.document == document]
        self.chosen = min(own, key=lambda one: (max(one.start, self.start) - min(one.end, self.end), one.place))


def passages(candidates: list[Candidate], least: Callable[[Candidate], int]) -> list[Passage]:
    """Return the passages of a text in order, without overlaps. The longest candidates count first.

    `least` gives the bytes that must be left of a candidate beside longer ones.
    """
    candidates = sorted(candidates)
    starts = [one.start for one in candidates]
    ends = list(accumulate((one.end for one in candidates), max))
    found: list[Passage] = []
    taken: list[tuple[int, int]] = []
    left_to_do = 1024 + _COMPARISONS * len(candidates)
    heap = [(one.start - one.end, -one.hinted, one.start, one.end, number) for number, one in enumerate(candidates)]
    heapify(heap)
    while heap:
        _, _, start, end, number = heappop(heap)
        one = candidates[number]
        left = _left(start, end, taken)
        if left[1] - left[0] < least(one):
            continue
        if left != (start, end):
            heappush(heap, (left[0] - left[1], -one.hinted, *left, number))
            continue
        insort(taken, (start, end))
        slack = min(SLACK, (end - start) // 4)
        alike: list[Candidate] = []
        at = bisect_right(starts, start + slack) - 1
        while at >= 0 and ends[at] >= end - slack and left_to_do:
            left_to_do -= 1
            other = candidates[at]
            if min(end, other.end) - max(start, other.start) >= end - start - slack:
                alike.append(other)
            at -= 1
        if left_to_do:
            found.append(Passage(start, end, alike))
    return sorted(found, key=lambda one: one.start)


def _left(start: int, end: int, taken: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the longest part of a range that is in none of the sorted, disjoint ranges."""
    best = (start, start)
    number = max(0, bisect_left(taken, (start, start)) - 1)
    while number < len(taken) and taken[number][0] < end:
        first, last = taken[number]
        if first - start > best[1] - best[0]:
            best = start, first
        start = max(start, last)
        number += 1
    return (start, end) if end - start > best[1] - best[0] else best


def choose(
    body: bytes, found: Sequence[Passage], names: Callable[[int], str], may_have_more: Callable[[Passage], bool]
) -> None:
    """Choose a candidate of each passage where something decides."""
    rest: list[Passage] = []
    before = 0
    for one in found:
        known = not may_have_more(one)
        if known and len(one.documents) == 1:
            one.choose(next(iter(one.documents)))
        elif known and len(one.documents) <= _MOST_CANDIDATES:
            gap = body[max(before, one.start - _NEAR) : one.start]
            named = _named_last(gap, {number: names(number) for number in one.documents})
            if named is None:
                rest.append(one)
            else:
                one.choose(named)
        before = one.end
    _choose_together(body, rest)
    _choose_beside(found, rest)


def _choose_beside(found: Sequence[Passage], rest: Sequence[Passage]) -> None:
    """Choose the only document of which there are other passages, where it has them in the same order as the text."""
    chosen: dict[int, list[tuple[int, int]]] = {}
    for one in found:
        if one.chosen:
            chosen.setdefault(one.chosen.document, []).append((one.start, one.chosen.place))
    for one in [one for one in rest if one.chosen is None]:
        there = one.documents & chosen.keys()
        if len(there) == 1:
            document = next(iter(there))
            beside = chosen[document]
            at = bisect_left(beside, (one.start, 0))
            first = beside[at - 1][1] if at else -1
            last = beside[at][1] if at < len(beside) else 1 << 62
            if any(first < one.place < last for one in one.candidates if one.document == document):
                one.choose(document)


def _choose_together(body: bytes, rest: Sequence[Passage]) -> None:
    """Choose one document each for passages that are equal, when the kernel cut just as many documents."""
    equal: dict[bytes, list[Passage]] = {}
    for one in rest:
        if one.candidates[0].hinted:
            equal.setdefault(body[one.start : one.end], []).append(one)
    for several in equal.values():
        documents = sorted(several[0].documents)
        if len(documents) == len(several) and all(one.documents == several[0].documents for one in several):
            for one, document in zip(several, documents, strict=True):
                one.choose(document)


def _named_last(gap: bytes, names: dict[int, str]) -> int | None:
    """Return the document that is named last in the text before a passage; None when a list of them is named there."""
    named = sorted(_occurrences(gap, names))
    if not named:
        return None
    at, last = named[-1]
    # In a list, names stand in one line or in lines that follow each other.
    line = gap.rfind(b"\n", 0, at) + 1
    first = 0 if _BULLET.match(gap, line) else gap.rfind(b"\n", 0, max(0, line - 1)) + 1
    return last if all(document == last or place < first for place, document in named) else None


def _occurrences(gap: bytes, names: dict[int, str]) -> Iterator[tuple[int, int]]:
    taken: list[tuple[int, int]] = []
    for document, name in sorted(names.items(), key=lambda one: -len(one[1])):
        said = name.encode("utf-8", "surrogatepass")
        if not said or said not in gap:
            continue
        # A name may be the beginning or the end of another one.
        for found in re.finditer(rb"(?<![\w./-])" + re.escape(said) + rb"(?![\w/-]|\.\w| \(\d)", gap):
            if not any(first <= found.start() < last for first, last in taken):
                taken.append(found.span())
                yield found.start(), document
