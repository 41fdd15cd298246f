"""Finds from which parts of a run's stored input a text was made, without a guess.

The longest passage that text and input have in common counts first. Where several documents have the same passage,
that one counts which the kernel says was cut, which is named just before the passage, or from which the rest of the
text was made; where nothing tells, the passage is not placed.

Synchronous, at the speed of a disk: to be called in a thread. Time is in proportion to the text.
"""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from ..blobs.range_index import LEAST_RANGE, RangeIndex
from .choosing import Candidate, Passage, choose, passages
from .fields import TextSearch, fields_of
from .matches import Matches, matches, merged, overlap
from .offsets import byte_at
from .views import View, readings

_LEAST_HINT = 24
"""The least bytes of a passage that counts because the kernel says that it was cut."""
_MOST_HINTS = 1000
_EXACT = 2
_STRIPPED = 4
"""Bytes of white space that code may have taken away at an end of a cut."""
_FREE_BYTES, _READINGS = 1 << 20, 16
"""Bytes of cuts that are searched for passages at most: so many, and so many for each byte of the text."""
_FREE_COMPARISONS = 1 << 17
"""Cuts that are compared with passages at most, beside one for each byte of the text."""
_LOOKED_AT, _BEGINNING = 16, 4 << 10
"""Documents, and bytes of each, that are looked at for carriage returns."""
_TABLES = (".csv", ".tsv")
_ENOUGH = 0.97
"""The share of a text in passages from which no other view of it is asked for."""

Document = tuple[str, int, int]
"""A document's name, and its first byte and the end of its bytes in the pack."""
Cut = tuple[str, int, int]
"""A document's name, and the first character and the end of the characters that the kernel cut from it."""


@dataclass(frozen=True)
class Placed:
    """The parts of the input that a text holds."""

    ranges: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Bytes of the pack: sorted, disjoint; those that touch are one range."""
    placed: int = 0
    """Bytes of the text that are in these ranges."""
    size: int = 0
    """Bytes of the text."""


def placed(body: bytes, index: RangeIndex, documents: Sequence[Document], hints: Sequence[Cut] = ()) -> Placed:
    """Return the parts of the input that `body`, a text in UTF-8, was made from.

    `documents` are sorted by their first bytes. `hints` are what the kernel says was cut: they decide between equal
    passages of several documents, and let short passages count. Where nothing decides, a passage that several
    documents have is not placed, so that no document counts from which the text was not made.
    """
    if not documents or not body:
        return Placed(size=len(body))
    try:
        descriptor = os.open(index.path, os.O_RDONLY)
    except FileNotFoundError:
        return Placed(size=len(body))
    try:
        return _Placing(body, index, descriptor, documents, hints[:_MOST_HINTS]).run()
    finally:
        os.close(descriptor)


class _Placing:
    """The placing of one text."""

    def __init__(
        self, body: bytes, index: RangeIndex, descriptor: int, documents: Sequence[Document], hints: Sequence[Cut]
    ) -> None:
        self._body = body
        self._index = index
        self._descriptor = descriptor
        self._documents = documents
        self._cuts = self._in_bytes(hints) if hints else []
        self._cut: dict[int, list[tuple[int, int]]] = _by_document(self._cuts)
        self._to_compare = _FREE_COMPARISONS + len(body)
        self._to_read = _FREE_BYTES + _READINGS * len(body)
        self._views: list[View] = []
        self._found: list[Matches] = []
        self._candidates: list[Candidate] = []

    def run(self) -> Placed:
        """Look into the views of the text, until nearly all of it is in passages, and choose."""
        for view in readings(self._body, carriage_returns=self._has_carriage_returns()):
            self._look_into(view)
            if self._share() >= _ENOUGH:
                break
        found = passages(self._candidates, lambda one: _LEAST_HINT if one.hinted else LEAST_RANGE)
        choose(self._body, found, lambda number: self._documents[number][0], self._may_have_more)
        chosen = [(one, one.chosen) for one in found if one.chosen]
        size = sum(min(one.end, of.end) - max(one.start, of.start) for one, of in chosen)
        return Placed(merged(self._range(one, of) for one, of in chosen), size, len(self._body))

    def _has_carriage_returns(self) -> bool:
        """Return whether the documents that code has read, or the input's first bytes, have such line ends."""
        starts = [self._documents[number][1] for number in list(self._cut)[:_LOOKED_AT]]
        return any(b"\r\n" in os.pread(self._descriptor, _BEGINNING, at) for at in [*starts, 0])

    def _share(self) -> float:
        found = merged((one.start, one.end) for one in self._candidates)
        return sum(end - start for start, end in found) / len(self._body)

    def _look_into(self, view: View) -> None:
        number = len(self._views)
        found = matches(view.text, self._index, self._descriptor)
        self._views.append(view)
        self._found.append(found)
        for match in found.all:
            for document, start, end in self._in_documents(match.place, match.place + match.end - match.start):
                # A few bytes beyond the border of a document are alike by chance.
                if end - start >= LEAST_RANGE:
                    self._add(number, match.start + start - match.place, document, start, end)
        left = 4 * len(view.text)
        there = _by_document(
            (one.document, one.place, one.place + one.size) for one in self._candidates if one.view == number
        )
        search = TextSearch(view.text)
        # The shortest first: a whole document may have been read for one line of it.
        for document, start, end in sorted(self._cuts, key=lambda one: one[2] - one[1]):
            size = end - start
            if _LEAST_HINT <= size <= left and overlap(there.get(document, []), start, end) < size:
                left -= size
                self._find(number, document, start, os.pread(self._descriptor, size, start), search)

    def _add(self, view: int, at: int, document: int, start: int, end: int, length: int = 0) -> None:
        length = length or end - start
        first, last = self._views[view].to_body(at, at + length)
        hinted = self._is_hinted(document, start, end)
        self._candidates.append(Candidate(first, last, document, view, at, length, start, end - start, hinted))

    def _find(self, view: int, document: int, place: int, cut: bytes, search: TextSearch) -> None:
        """Look for a cut that the kernel made, or else for its lines, or else for its fields."""
        text = self._views[view].text
        name, *whole_document = self._documents[document]
        whole = [place, place + len(cut)] == whole_document
        before = len(self._candidates)
        # Code often looks at a whole document and uses little of it: its lines say nothing.
        bare = cut.strip()
        if len(bare) < _LEAST_HINT:
            return
        pieces = [(cut.find(bare), bare)] if bare in text or whole else _lines(cut)
        for first, piece in pieces:
            for found in search.occurrences(piece):
                self._add(view, found, document, place + first, place + first + len(piece))
        if len(self._candidates) == before and not whole:
            for one in search.fields(fields_of(cut, table=name.lower().endswith(_TABLES))):
                self._add(view, one.start, document, place + one.first, place + one.last, one.end - one.start)

    def _in_bytes(self, hints: Sequence[Cut]) -> list[tuple[int, int, int]]:
        """Return the cuts as documents' numbers and bytes of the pack, without those of unknown documents."""
        names = {name for name, _, _ in hints}
        known = {document[0]: number for number, document in enumerate(self._documents) if document[0] in names}
        path, descriptor = str(self._index.path), self._descriptor
        cuts: list[tuple[int, int, int]] = []
        for name, first, last in hints:
            if name in known and first < last:
                _, start, end = self._documents[known[name]]
                cuts.append(
                    (
                        known[name],
                        byte_at(path, descriptor, start, end, first),
                        byte_at(path, descriptor, start, end, last),
                    )
                )
        return sorted(cuts)

    def _is_hinted(self, document: int, start: int, end: int) -> int:
        """Return whether the kernel cut at least half of a range: `_EXACT` if it cut no more there, or 1, else 0."""
        if 2 * overlap(self._cut.get(document, []), start, end) < end - start:
            return 0
        first = bisect_left(self._cuts, (document, start - _STRIPPED, 0))
        behind = bisect_left(self._cuts, (document, end, 0))
        self._to_compare -= behind - first
        if self._to_compare < 0:
            return 1
        inside = [(at, last) for _, at, last in self._cuts[first:behind] if last <= end + _STRIPPED]
        return _EXACT if 2 * overlap(merged(inside), start, end) >= end - start else 1

    def _in_documents(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield a range of the pack as parts of its documents. What is in no document is left out."""
        number = max(0, bisect_right(self._documents, start, key=lambda one: one[1]) - 1)
        while number < len(self._documents) and self._documents[number][1] < end:
            _, first, last = self._documents[number]
            if max(start, first) < min(end, last):
                yield number, max(start, first), min(end, last)
            number += 1

    def _may_have_more(self, one: Passage) -> bool:
        """Return whether documents that count may have a passage at places that are not known."""
        hinted = one.candidates[0].hinted
        if hinted == _EXACT:
            return False
        first = max(one.candidates, key=lambda candidate: candidate.length)
        start, end = self._in_view(one, first)
        if not self._found[first.view].may_have_more(start, end):
            return False
        return not hinted or self._is_cut_elsewhere(self._views[first.view].text[start:end], one.documents)

    def _is_cut_elsewhere(self, said: bytes, known: Set[int]) -> bool:
        """Return whether the kernel has cut a text from documents that are not known to have it. In doubt it has."""
        for document, ranges in self._cut.items():
            for start, end in ranges if document not in known else ():
                self._to_read -= end - start
                if self._to_read < 0 or said in os.pread(self._descriptor, end - start, start):
                    return True
        return False

    def _in_view(self, one: Passage, of: Candidate) -> tuple[int, int]:
        view = self._views[of.view]
        start = of.at if one.start <= of.start else min(view.from_body(one.start), of.at + of.length)
        end = of.at + of.length if one.end >= of.end else min(view.from_body(one.end), of.at + of.length)
        return start, end

    def _range(self, one: Passage, of: Candidate) -> tuple[int, int]:
        """Return the bytes of the pack that a passage is made from."""
        start, end = (at - of.at for at in self._in_view(one, of))
        if of.length != of.size:
            start, end = start * of.size // of.length, -(-end * of.size // of.length)
        return of.place + start, of.place + end


def _by_document(ranges: Iterable[tuple[int, int, int]]) -> dict[int, list[tuple[int, int]]]:
    """Return the ranges of each document, sorted and disjoint."""
    found: dict[int, list[tuple[int, int]]] = {}
    for document, start, end in ranges:
        found.setdefault(document, []).append((start, end))
    return {document: merged(own) for document, own in found.items()}


def _lines(cut: bytes) -> Iterable[tuple[int, bytes]]:
    """Yield the lines of a cut that are long enough to be found alone, and where they begin in it."""
    start = 0
    for line in cut.split(b"\n"):
        bare = line.strip()
        if len(bare) >= _LEAST_HINT:
            yield start + line.find(bare), bare
        start += len(line) + 1
