"""The parts of a text that are also in a pack: found by a sparse index of the pack, verified by its bytes.

The index holds a hash of 64 bytes of the pack at regular distances. Every window of 64 bytes of a text is looked up
until one is found, which is compared and extended to both sides. A hash that matches by chance costs only time.

`state/blobs/range_index.py` does the same for prompts outside of kernels. They are two because code in a kernel imports
nothing of the project, and because this one gives up a text whose middle is not in the pack, while that one finds
every range. `tests/state/test_range_searches.py` tests what both promise.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..context_file import Pack

LEAST = 1 << 10
"""Bytes from which a part is worth a reference."""
_WINDOW = 64
_STEP = 512
_MOST_SAMPLES = 2 << 20
_MOST_ALIKE = 4
"""Samples kept per hash: of a line that occurs a million times, the first few."""
_FACTORS = (
    *(0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93),
    *(0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB),
)
_SEEN_A_SAMPLE, _SEEN_BITS = 16, 24
_BLOCK = 4 << 20
_FIRST_READ, _LARGEST_READ = 8 << 10, 1 << 20
_MOST_IN_VAIN = 16 << 10
"""Bytes without a match, before or behind one, after which the search ends."""
_FREE_LOOKS, _BYTES_A_LOOK = 32, 1 << 10

Array = Any
"""A numpy array of 64-bit numbers."""


class Part(NamedTuple):
    """Bytes `start` to `end` of a text, which equal those of the pack from `place` on."""

    start: int
    end: int
    place: int


class Samples:
    """The samples of some ranges of a pack. Not thread-safe."""

    def __init__(self, pack: Pack, ranges: Sequence[tuple[int, int]]) -> None:
        """Read all of the ranges. Raises ImportError without numpy, OSError for a truncated pack."""
        import numpy

        self._pack = pack
        self._step = _STEP
        while sum(end - start for start, end in ranges) // self._step > _MOST_SAMPLES:
            self._step *= 2
        hashes: list[Array] = [numpy.empty(0, numpy.uint64)]
        places: list[Array] = [numpy.empty(0, numpy.int64)]
        for start, end in ranges:
            for first in range(start, end - _WINDOW + 1, _BLOCK):
                block = pack.read(first, min(first + _BLOCK + _WINDOW, end))
                count = min(_BLOCK // self._step, (len(block) - _WINDOW) // self._step + 1)
                hashes.append(_hashes(block, 0, count, self._step))
                places.append(numpy.arange(first, first + count * self._step, self._step))
        found = numpy.concatenate(hashes)
        order = numpy.argsort(found, kind="stable")
        self._hashes, self._places = found[order], numpy.concatenate(places)[order]
        if len(found) > _MOST_ALIKE:
            few = numpy.ones(len(found), numpy.bool_)
            few[_MOST_ALIKE:] = self._hashes[_MOST_ALIKE:] != self._hashes[:-_MOST_ALIKE]
            self._hashes, self._places = self._hashes[few], self._places[few]
        bits = min(_SEEN_BITS, max(1, (_SEEN_A_SAMPLE * len(self._hashes)).bit_length()))
        self._shift = numpy.uint64(64 - bits)
        # A table of the first bits of all hashes: a search among all samples takes far longer than a look-up here.
        self._seen = numpy.zeros(1 << bits, numpy.bool_)
        self._seen[self._hashes >> self._shift] = True

    def parts(self, body: bytes) -> list[Part]:
        """Return the parts of `body`, UTF-8, that are also in the pack, in order, if its middle is in one; else none.

        They begin and end between characters. A text that is mostly one slice has its middle in it, so any other text
        is dismissed after a search at its middle, whatever its length.
        """
        if len(body) < LEAST:
            return []
        # In a pack full of repetitions the search would not end.
        self._looks = _FREE_LOOKS + len(body) // _BYTES_A_LOOK
        middle, end = len(body) // 2, len(body)
        found = self._first(body, middle, middle + self._step, 0, end)
        if found is None:
            # A part may end soon behind the middle.
            found = self._first(body, max(0, middle - self._step - _WINDOW), middle, 0, end)
        if found is None:
            return []
        return [*self._between(body, 0, found.start), found, *self._between(body, found.end, len(body))]

    def _between(self, body: bytes, at: int, ceiling: int) -> list[Part]:
        """Return the parts from `at` to `ceiling`, up to the first long stretch without one."""
        found: list[Part] = []
        floor = at
        while ceiling - at >= LEAST and at - floor < _MOST_IN_VAIN and self._looks > 0:
            behind = at + (self._step if at == floor else 4 * self._step)
            part = self._first(body, at, behind, floor, ceiling)
            if part is not None:
                found.append(part)
                floor = part.end
            at = behind if part is None else floor
        return found

    def _first(self, body: bytes, at: int, behind: int, floor: int, ceiling: int) -> Part | None:
        """Return a part within `floor` and `ceiling` that has a window beginning from `at` to `behind`, or None."""
        for window, places in self._hits(body, at, min(behind, ceiling - _WINDOW + 1) - at):
            around = [self._extended(body, window, place, floor, ceiling) for place in places]
            best = max(around, key=lambda part: part.end - part.start)
            if best.end - best.start >= LEAST:
                return best
            self._looks -= len(places)
            if self._looks <= 0:
                break
        return None

    def _hits(self, body: bytes, at: int, count: int) -> Iterator[tuple[int, list[int]]]:
        """Yield windows of `body` that have samples, and their places. Windows with few come first: they tell most."""
        import numpy

        if count <= 0:
            return
        hashes = _hashes(body, at, count, 1)
        perhaps = numpy.flatnonzero(self._seen[hashes >> self._shift])
        wanted = hashes[perhaps]
        first = numpy.searchsorted(self._hashes, wanted)
        behind = numpy.searchsorted(self._hashes, wanted, "right")
        there = numpy.flatnonzero(behind > first)
        for number in there[numpy.argsort((behind - first)[there], kind="stable")].tolist():
            yield at + int(perhaps[number]), self._places[first[number] : behind[number]].tolist()

    def _extended(self, body: bytes, window: int, place: int, floor: int, ceiling: int) -> Part:
        """Return the longest part around a window that equals the pack around `place`."""
        ahead = self._ahead(body, window, place, min(ceiling - window, self._pack.size - place))
        if ahead < _WINDOW:
            return Part(window, window, place)
        back = self._back(body, window, place, min(window - floor, place))
        return _between_characters(body, Part(window - back, window + ahead, place - back))

    def _ahead(self, body: bytes, at: int, place: int, most: int) -> int:
        same, size = 0, _FIRST_READ
        while same < most:
            count = min(size, most - same)
            ours = body[at + same : at + same + count]
            theirs = self._pack.read(place + same, place + same + count)
            if ours != theirs:
                return same + _alike(ours, theirs)
            same += count
            size = min(4 * size, _LARGEST_READ)
        return same

    def _back(self, body: bytes, at: int, place: int, most: int) -> int:
        same, size = 0, _FIRST_READ
        while same < most:
            count = min(size, most - same)
            ours = body[at - same - count : at - same]
            theirs = self._pack.read(place - same - count, place - same)
            if ours != theirs:
                return same + _alike(ours[::-1], theirs[::-1])
            same += count
            size = min(4 * size, _LARGEST_READ)
        return same


def _alike(one: bytes, other: bytes) -> int:
    """Return the length of the common prefix of two equally long texts, by bisection: Python is slow byte by byte."""
    low, high = 0, len(one)
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _between_characters(body: bytes, part: Part) -> Part:
    """Return the part without incomplete characters at its ends."""
    start, end = part.start, part.end
    while start < end and body[start] & 0xC0 == 0x80:
        start += 1
    while end > start and end < len(body) and body[end] & 0xC0 == 0x80:
        end -= 1
    return Part(start, end, part.place + start - part.start)


def _hashes(data: bytes, start: int, count: int, step: int) -> Array:
    """Return the hashes of `count` windows of `data` from `start` on, each `step` bytes behind the one before."""
    import numpy

    total = numpy.zeros(count, numpy.uint64)
    for part, factor in enumerate(_FACTORS):
        # Each element is eight bytes as one number; elements may overlap.
        total += numpy.ndarray((count,), "<u8", data, start + 8 * part, (step,)) * numpy.uint64(factor)
    return total
