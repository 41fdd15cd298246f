"""Sums which parts of an input models were shown: by document and line, by sub-models and by the root model.

A request that no model answered was read by none. White space between two passages that were read counts as read. What
a request holds beside the passages that are found in the input (instructions, the code's own words, re-flowed text) is
counted as not placed.
"""

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .journal_places import PlacedRow
from .places import Document
from .recorded import Sent, added_up

_BLANKS = b" \t\n\r\v\f"
_MOST_BLANKS = 16
"""Bytes of white space that are bridged."""

Array = Any
"""A numpy array of 64-bit numbers."""


@dataclass(frozen=True)
class Ranges:
    """Ranges of bytes: sorted, disjoint, and none that touches the next."""

    starts: Array
    ends: Array

    @classmethod
    def merged(cls, edges: Sequence[int], most: int) -> "Ranges":
        """Return the union of ranges, given as beginnings and ends one after the other, below `most`."""
        import numpy

        both = numpy.array(edges, numpy.int64).clip(0, most).reshape(-1, 2)
        order = numpy.argsort(both[:, 0], kind="stable")
        starts, ends = both[order, 0], numpy.maximum.accumulate(both[order, 1]) if len(both) else both[:, 1]
        # A range begins where one lies behind everything before it.
        first = numpy.ones(len(starts), numpy.bool_)
        first[1:] = starts[1:] > ends[:-1]
        last = numpy.append(numpy.flatnonzero(first)[1:] - 1, len(starts) - 1) if len(starts) else first
        return cls(starts[first], ends[last])

    def below(self, places: Array) -> Array:
        """Return for each place how many bytes before it are in the ranges."""
        import numpy

        lengths = numpy.concatenate(([0], numpy.cumsum(self.ends - self.starts)))
        at = numpy.searchsorted(self.starts, places, "right")
        inside = numpy.where(at > 0, self.ends[at - 1] - places, 0) if len(self.starts) else numpy.zeros_like(places)
        return lengths[at] - numpy.maximum(inside, 0)

    def within(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of the ranges between two places."""
        first = int(self.ends.searchsorted(start, "right"))
        behind = int(self.starts.searchsorted(end, "left"))
        return [
            (max(start, int(one)), min(end, int(other)))
            for one, other in zip(self.starts[first:behind], self.ends[first:behind], strict=True)
        ]


@dataclass(frozen=True)
class Reading:
    """Requests of one kind: the ranges that they held, and what is known of their texts."""

    ranges: Ranges
    sent: Sent
    unknown: int = 0
    """Requests of which nothing is recorded."""


@dataclass(frozen=True)
class DocumentRead:
    """The amount that was read of one document, in bytes."""

    name: str
    start: int
    size: int
    read: int
    by_sub_models: int
    by_root_model: int


@dataclass(frozen=True)
class Coverage:
    """The parts of an input that were read."""

    documents: tuple[DocumentRead, ...]
    both: Ranges
    sub_models: Reading
    root_model: Reading

    @property
    def size(self) -> int:
        """Bytes of the documents."""
        return sum(one.size for one in self.documents)

    @property
    def read(self) -> int:
        """Bytes of them that were read."""
        return sum(one.read for one in self.documents)

    @property
    def share(self) -> float | None:
        """The share of the input that was read; None without an input, and when nothing at all is recorded."""
        known = self.sub_models.sent.texts + self.root_model.sent.texts
        return self.read / self.size if self.size and known else None

    @property
    def never(self) -> list[DocumentRead]:
        """Documents of which nothing was read; one without text has nothing to read."""
        return [one for one in self.documents if one.size and not one.read]

    @property
    def with_text(self) -> list[DocumentRead]:
        """Documents that have anything to read."""
        return [one for one in self.documents if one.size]

    @property
    def whole(self) -> list[DocumentRead]:
        """Documents that were read from beginning to end."""
        return [one for one in self.documents if one.size and one.read == one.size]


def coverage_of(
    rows: Iterable[PlacedRow], top: str, pack: str, documents: Sequence[Document], path: Path, *, asked: bool = False
) -> Coverage:
    """Return what these rows have read of documents in a pack, whose file is at `path`.

    The root model is that of the run `top`; all others are sub-models. With `asked`, requests without an answer count
    as well. Raises OSError.
    """
    counted = [row for row in rows if row.answered or asked]
    roots = [row for row in counted if row.kind == "root" and row.thread_id == top]
    subs = [row for row in counted if row.kind != "root" or row.thread_id != top]
    with MappedPack(path) as data:
        most = len(data)
        edges = [at for _, start, end in documents for at in (start, start, end, end)]
        sent = [added_up([row.places for row in some if row.places], pack) for some in (subs, roots)]
        ranges = [
            _bridged(Ranges.merged([*edges, *one], most), data) for one in (sent[0].edges, sent[1].edges, _all(sent))
        ]
    by_sub, by_root, both = ([int(one) for one in _counts(some, documents)] for some in ranges)
    read = tuple(
        DocumentRead(name, start, end - start, *amounts)
        for (name, start, end), *amounts in zip(documents, both, by_sub, by_root, strict=True)
    )
    unknown = [sum(row.places is None and row.child_thread is None for row in some) for some in (subs, roots)]
    return Coverage(read, ranges[2], Reading(ranges[0], sent[0], unknown[0]), Reading(ranges[1], sent[1], unknown[1]))


def _all(sent: Sequence[Sent]) -> list[int]:
    return [edge for one in sent for edge in one.edges]


def _counts(ranges: Ranges, documents: Sequence[Document]) -> Array:
    """Return the bytes of each document that are in the ranges."""
    import numpy

    bounds = numpy.array([(start, end) for _, start, end in documents], numpy.int64).reshape(-1, 2)
    return ranges.below(bounds[:, 1]) - ranges.below(bounds[:, 0])


def _bridged(ranges: Ranges, data: bytes | mmap.mmap) -> Ranges:
    """Return the ranges with the gaps between them filled that are a little white space."""
    import numpy

    if len(ranges.starts) < 2:
        return ranges
    begins, gaps = ranges.ends[:-1], ranges.starts[1:] - ranges.ends[:-1]
    blank = numpy.zeros(256, numpy.bool_)
    blank[list(_BLANKS)] = True
    bytes_of = numpy.frombuffer(data, numpy.uint8)
    filled = gaps <= _MOST_BLANKS
    for offset in range(_MOST_BLANKS):
        some = numpy.flatnonzero(filled & (gaps > offset))
        filled[some] = blank[bytes_of[begins[some] + offset]]
    del bytes_of
    kept = ~filled
    return Ranges(
        numpy.concatenate((ranges.starts[:1], ranges.starts[1:][kept])),
        numpy.concatenate((begins[kept], ranges.ends[-1:])),
    )


class MappedPack:
    """A file as bytes, mapped: of a large one only what is looked at is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "bytes | mmap.mmap":
        with self._path.open("rb") as file:
            if not file.seek(0, 2):
                return b""
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()
