"""Finds the parts of a text that are ranges of a file, however large, by a sparse index that is verified on the bytes.

The index holds a hash of 64 bytes of the file at regular distances. Every window of 64 bytes of a text is looked up
until one is found, so a range that is longer than the distance between samples is never missed. What is found is
read from the file, compared, and extended to both sides: a hash collision costs time and nothing else.

`kernel/inside/snapshot/slice_index.py` does the same for variables inside of kernels, whose code imports nothing of the
project. It looks at the middle of a text first and gives up soon, where this one finds every range.
`tests/state/test_range_searches.py` tests what both promise.

Synchronous, at the speed of a disk. numpy is imported when the first index is made.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

WINDOW = 64
"""Bytes under one hash. With fewer, most hits in a log would be other lines that begin alike."""
LEAST_RANGE = 128
"""The least bytes of a range."""
_STEP = 128
_MOST_SAMPLES = 3 << 20
_MOST_ALIKE = 4
"""Samples kept per hash: of a line that is repeated a million times, the first few."""
_FACTORS = (
    *(0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93),
    *(0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB),
)
_LAST_FACTOR = 0xFF51AFD7ED558CCD
_HASH_BITS, _PLACE_BITS = 28, 36
_BITS_A_SAMPLE = 32
_PIECE = 4 << 20
_AT_ONCE = 1 << 17
_FEW_WINDOWS, _MANY_WINDOWS = 512, 1 << 14
_FIRST_READ, _LARGEST_READ = 4 << 10, 1 << 20
_FREE_LOOKS, _BYTES_A_LOOK = 64, 128

Array = Any
"""A numpy array of 64-bit numbers."""


class Range(NamedTuple):
    """Bytes `start` to `end` of a text, equal to those of the file from `place` on."""

    start: int
    end: int
    place: int


@dataclass(frozen=True)
class RangeIndex:
    """The samples of one file. Immutable; may be used by several threads at once."""

    path: Path
    step: int
    """Bytes between two samples."""
    samples: Array
    """Sorted: a sample's hash in the upper bits, its number in the lower ones."""
    seen: Array
    """One bit per hash prefix, set where a sample has that prefix."""
    seen_bits: int

    @classmethod
    def of(cls, path: Path, cancelled: Callable[[], bool] = lambda: False) -> "RangeIndex":
        """Index the file at `path`. Raises OSError, and InterruptedError once `cancelled()`."""
        import numpy

        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            step = _STEP
            while size // step > _MOST_SAMPLES:
                step *= 2
            count = max(0, (size - WINDOW) // step + 1)
            samples = numpy.empty(count, numpy.uint64)
            done = 0
            for start in range(0, count * step, _PIECE):
                if cancelled():
                    raise InterruptedError
                piece = os.pread(descriptor, _PIECE + WINDOW, start)
                # The file may be truncated meanwhile.
                number = max(0, min(count - done, _PIECE // step, (len(piece) - WINDOW) // step + 1))
                samples[done : done + number] = _hashes(piece, 0, number, step)
                done += number
        finally:
            os.close(descriptor)
        samples = samples[:done]
        samples <<= numpy.uint64(_PLACE_BITS)
        samples |= numpy.arange(done, dtype=numpy.uint64)
        samples.sort()
        hashes = samples >> numpy.uint64(_PLACE_BITS)
        if done > _MOST_ALIKE:
            few = numpy.ones(done, numpy.bool_)
            few[_MOST_ALIKE:] = hashes[_MOST_ALIKE:] != hashes[:-_MOST_ALIKE]
            samples, hashes = samples[few], hashes[few]
        bits = min(_HASH_BITS, max(3, (_BITS_A_SAMPLE * len(samples)).bit_length()))
        return cls(path, step, samples, _seen(hashes, bits), bits)

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        return int(self.samples.nbytes + self.seen.nbytes)

    def ranges(self, body: bytes) -> list[Range]:
        """Return the parts of `body`, a text in UTF-8, that are also in the file, in order and without overlaps.

        They begin and end between characters. Empty when the file does not exist. Every part of at least
        `step + WINDOW - 1` and `LEAST_RANGE` bytes is found, unless the file has little but repetitions.
        """
        if not len(self.samples) or len(body) < LEAST_RANGE:
            return []
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return []
        try:
            found = _Search(self, body, descriptor).run()
        finally:
            os.close(descriptor)
        between = (_between_characters(body, one) for one in found)
        return [one for one in between if one.end - one.start >= LEAST_RANGE]

    def look_up(self, body: bytes, start: int, count: int) -> tuple[Array, Array, Array]:
        """Look up `count` windows of `body` from `start` on: return the windows that may be samples, and which samples.

        Three arrays: the beginnings of windows in `body`, and for each the first sample and the one behind the last.
        Windows with the fewest samples come first, because rare hashes are the most significant.
        """
        import numpy

        hashes = _hashes(body, start, count, 1)
        short = (hashes >> numpy.uint64(_HASH_BITS - self.seen_bits)).astype(numpy.int64)
        perhaps = numpy.flatnonzero((self.seen[short >> 3] >> (short & 7).astype(numpy.uint8)) & 1)
        wanted = hashes[perhaps] << numpy.uint64(_PLACE_BITS)
        first = numpy.searchsorted(self.samples, wanted)
        behind = numpy.searchsorted(self.samples, wanted | numpy.uint64((1 << _PLACE_BITS) - 1), "right")
        there = numpy.flatnonzero(behind > first)
        order = there[numpy.argsort((behind - first)[there], kind="stable")]
        return perhaps[order] + start, first[order], behind[order]

    def place(self, sample: int) -> int:
        """Return the place in the file at which a sample was taken."""
        return (int(self.samples[sample]) & ((1 << _PLACE_BITS) - 1)) * self.step


class _Search:
    """One search for ranges of a file in one text."""

    def __init__(self, index: RangeIndex, body: bytes, descriptor: int) -> None:
        self._index = index
        self._body = body
        self._descriptor = descriptor
        self._found: list[Range] = []
        # Limits the work in a file full of repetitions.
        self._looks = _FREE_LOOKS + len(body) // _BYTES_A_LOOK

    def run(self) -> list[Range]:
        """Return all ranges that are found, in order."""
        at, width = 0, _FEW_WINDOWS
        last = len(self._body) - WINDOW
        while at <= last and self._looks > 0:
            count = min(width, last + 1 - at)
            found = self._look_at(at, count)
            at = max(at + count, found)
            if at == found and len(self._body) - at < LEAST_RANGE:
                break
            # Where one range ends, the next one may begin; elsewhere, larger steps are faster on long texts.
            width = _FEW_WINDOWS if found else min(4 * width, _MANY_WINDOWS)
        return sorted(self._found)

    def _look_at(self, start: int, count: int) -> int:
        """Look for ranges at some windows; return the end of the furthest found, 0 without any."""
        windows, first, behind = self._index.look_up(self._body, start, count)
        furthest = 0
        while len(windows) and self._looks > 0:
            best = self._best(int(windows[0]), int(first[0]), int(behind[0]))
            if best.end - best.start >= LEAST_RANGE:
                self._found.append(best)
                furthest = max(furthest, best.end)
            # Windows that reach over an end are kept: the text behind it may have been cut from elsewhere.
            past = (windows < best.start) | (windows > best.end - WINDOW)
            past[0] = False
            windows, first, behind = windows[past], first[past], behind[past]
        return furthest

    def _best(self, window: int, first: int, behind: int) -> Range:
        """Return the longest range around a window that the samples offer, between the ranges found before."""
        floor = max((one.end for one in self._found if one.start <= window), default=0)
        ceiling = min((one.start for one in self._found if one.start > window), default=len(self._body))
        best = Range(window, window, 0)
        if window < floor or window + WINDOW > ceiling:
            return best
        for sample in range(first, behind):
            self._looks -= 1
            place = self._index.place(sample)
            ahead = self._same_ahead(window, place, ceiling - window)
            if ahead < WINDOW:
                continue
            back = self._same_behind(window, place, min(window - floor, place))
            if ahead + back > best.end - best.start:
                best = Range(window - back, window + ahead, place - back)
        return best

    def _same_ahead(self, at: int, place: int, most: int) -> int:
        """Return how many bytes from `at` on, up to `most`, equal those of the file from `place` on."""
        same, size = 0, _FIRST_READ
        while same < most:
            theirs = os.pread(self._descriptor, min(size, most - same), place + same)
            ours = self._body[at + same : at + same + min(size, most - same)]
            if ours != theirs:
                return same + _alike(ours, theirs)
            same += len(ours)
            size = min(4 * size, _LARGEST_READ)
        return same

    def _same_behind(self, at: int, place: int, most: int) -> int:
        """Return how many bytes before `at`, up to `most`, equal those of the file before `place`."""
        same, size = 0, _FIRST_READ
        while same < most:
            count = min(size, most - same)
            theirs = os.pread(self._descriptor, count, place - same - count)
            ours = self._body[at - same - count : at - same]
            if ours != theirs:
                return same + _alike(ours[::-1], theirs[::-1])
            same += count
            size = min(4 * size, _LARGEST_READ)
        return same


def _alike(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are equal, by bisection, because Python is slow byte by byte."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _between_characters(body: bytes, found: Range) -> Range:
    """Return the range without partial characters at its ends."""
    start, end, place = found
    while start < end and body[start] & 0xC0 == 0x80:
        start += 1
    while end > start and end < len(body) and body[end] & 0xC0 == 0x80:
        end -= 1
    return Range(start, end, place + start - found.start)


def _hashes(data: bytes, start: int, count: int, step: int) -> Array:
    """Return the hashes, of 28 bits, of `count` windows of `data`, `step` bytes apart."""
    import numpy

    total = numpy.zeros(count, numpy.uint64)
    for part, factor in enumerate(_FACTORS):
        # Eight bytes as one number, at any offset: the elements of this array may overlap.
        words = numpy.ndarray((count,), "<u8", data, start + 8 * part, (step,))
        total += words * numpy.uint64(factor)
    total ^= total >> numpy.uint64(32)
    total *= numpy.uint64(_LAST_FACTOR)
    return total >> numpy.uint64(64 - _HASH_BITS)


def _seen(hashes: Array, bits: int) -> Array:
    """Return a bit array over prefixes of `bits` bits, set for those of the sorted `hashes`."""
    import numpy

    seen = numpy.zeros(1 << (bits - 3), numpy.uint8)
    for start in range(0, len(hashes), _AT_ONCE):
        # The hashes are sorted, so the bits of one byte are adjacent.
        short = (hashes[start : start + _AT_ONCE] >> numpy.uint64(_HASH_BITS - bits)).astype(numpy.int64)
        places = short >> 3
        first = numpy.flatnonzero(numpy.diff(places, prepend=-1))
        seen[places[first]] |= numpy.bitwise_or.reduceat(numpy.left_shift(1, short & 7).astype(numpy.uint8), first)
    return seen
