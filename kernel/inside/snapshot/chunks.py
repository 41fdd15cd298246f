"""Bytes cut into pieces at boundaries that depend on their content, so that a small change makes few new pieces.

A cut follows eight bytes whose hash is small, wherever they are: behind an insertion the cuts are the old ones again.
Without numpy, cuts are at fixed distances, which is as correct but saves less.
"""

import hashlib
import pickletools
import re
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

SMALL = 16 << 10
"""Bytes up to which a body is not cut."""
_FIXED = 512 << 10
_LEVELS = ((1 << 20, 4 << 10), (16 << 20, 32 << 10), (1 << 62, 512 << 10))
"""Size limit of a body in bytes, and the approximate size of its pieces: a quarter of that to four times that."""
_MULTIPLIER = 0x9E3779B97F4A7C15
_BLOCK = 1 << 16

Pieces = dict[str, "bytes | memoryview"]
"""Pieces by name: the SHA-256 in hex, as the store names them."""
_FEW = 64


def name_all(cut: "Sequence[bytes | memoryview]", into: Pieces) -> list[str]:
    """Return the names of the pieces, in order, and put the pieces by name `into` a dict. An empty one is no piece."""
    named = [(hashlib.sha256(piece).hexdigest(), piece) for piece in cut if len(piece)]
    into.update(named)
    return [name for name, _ in named]


class LongTexts:
    """A cache of the names of long strings' pieces: strings never change, and lists of them are saved repeatedly."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str | bytes, list[str]]] = {}

    def names(self, text: "str | bytes", known: set[str], into: Pieces) -> list[str]:
        """Return the names of the text's pieces. Unless all are `known`, put the pieces by name `into` a dict."""
        held, names = self._names.get(id(text), (None, []))
        if held is text and known.issuperset(names):
            return names
        body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        names = name_all(by_content(body), into)
        self._names[id(text)] = text, names
        return names

    def forget(self, known: set[str]) -> None:
        """Drop texts whose pieces are no longer all `known`."""
        if len(self._names) > _FEW:
            self._names = {number: one for number, one in self._names.items() if known.issuperset(one[1])}


def by_content(body: bytes) -> "list[bytes | memoryview]":
    """Return `body` in pieces that stay the same after insertions and deletions elsewhere in it."""
    if len(body) <= SMALL:
        return [body]
    size = next(size for limit, size in _LEVELS if len(body) <= limit)
    return _split(body, _cuts(body, size))


def by_place(body: "memoryview") -> "list[bytes | memoryview]":
    """Return `body` in pieces of one size, for buffers that are changed in place."""
    return _split(body, range(_FIXED, len(body), _FIXED))


def _split(body: "bytes | memoryview", cuts: Sequence[int]) -> "list[bytes | memoryview]":
    view = memoryview(body)
    return [view[start:end] for start, end in pairwise((0, *cuts, len(view)))]


def _cuts(body: bytes, size: int) -> list[int]:
    """Return where to cut `body` for pieces of about `size` bytes, a power of two."""
    least, most = size // 4, size * 4
    found = _candidates(body, size)
    cuts: list[int] = []
    last = at = 0
    while len(body) - last > most or (found and last + least < found[-1] < len(body)):
        at = bisect_left(found, last + least, at)
        last = min(found[at], last + most) if at < len(found) else last + most
        if last >= len(body):
            break
        cuts.append(last)
    return cuts


def _candidates(body: bytes, size: int) -> list[int]:
    try:
        import numpy
    except ImportError:
        return []
    # Each element is the eight bytes that begin at its offset, so the elements overlap.
    windows = numpy.ndarray((len(body) - 7,), "<u8", body, strides=(1,))
    multiplier, limit = numpy.uint64(_MULTIPLIER), numpy.uint64((1 << 64) // size)
    found: list[Any] = []
    for start in range(0, len(windows), _BLOCK):
        # In blocks that fit into the processor's cache.
        small = windows[start : start + _BLOCK] * multiplier < limit
        found += (numpy.flatnonzero(small) + (start + 8)).tolist()
    return found


_FRAME = 0x95
_LONG = {
    ord("X"): struct.Struct("<I"),
    ord("B"): struct.Struct("<I"),
    0x8D: struct.Struct("<Q"),
    0x8E: struct.Struct("<Q"),
    0x96: struct.Struct("<Q"),
}
"""Opcodes of strings, bytes and bytearrays that begin with a length, and the format of the length."""
_SHORT = {ord("C"), ord("U"), 0x8A, 0x8C}
_PLAIN = {
    ord(op.code): 0 if op.arg is None else op.arg.n for op in pickletools.opcodes if op.arg is None or op.arg.n >= 0
}
_LENGTH = struct.Struct("<Q")


_SHORT_FRAME = 4 << 10
_STR = re.compile(rb"X[\x00-\xff][\x08-\xff]\x00\x00")
"""The beginning of a str of 2 KiB or more within a frame."""


@dataclass(frozen=True)
class Unframed:
    """A pickle without its FRAME opcodes."""

    body: bytes
    long: int
    """Bytes of the strings of 64 KiB and more, which are between frames."""
    places: "list[tuple[memoryview, bool]]"
    """The contents of frames (False), and the long strings between them (True)."""

    def some_long(self, count: int) -> "Iterator[bytes]":
        """Yield what looks like a long str at `count` places all over the pickle, where there is one."""
        for number in range(count if self.places else 0):
            place, is_long = self.places[number * (len(self.places) - 1) // max(1, count - 1)]
            if is_long:
                yield bytes(place)
            elif begin := _STR.search(place, 0, _SHORT_FRAME):
                start = begin.end()
                yield bytes(place[start : start + int.from_bytes(place[begin.start() + 1 : start], "little")])


def without_frames(pickled: bytes) -> Unframed:
    """Return the same pickle without its FRAME opcodes.

    Frames end every 64 KiB of the whole, so behind an insertion all of them would move. They are only a hint for
    reading (PEP 3154). Raises ValueError for what is not a pickle of protocol 4 or later.
    """
    view = memoryview(pickled)
    kept = [view[:2]]
    places: list[tuple[memoryview, bool]] = []
    at, long = 2, 0
    while at < len(view):
        opcode = view[at]
        if opcode == _FRAME:
            [length] = _LENGTH.unpack_from(view, at + 1)
            at, end = at + 9, at + 9 + length
            places.append((view[at:end], False))
        elif opcode in _LONG:
            form = _LONG[opcode]
            [length] = form.unpack_from(view, at + 1)
            end = at + 1 + form.size + length
            long += length
            places.append((view[end - length : end], True))
        elif opcode in _PLAIN:
            end = at + 1 + _PLAIN[opcode]
        elif opcode in _SHORT:
            end = at + 2 + view[at + 1]
        else:
            raise ValueError(f"opcode {opcode:#x} outside of a frame")
        kept.append(view[at:end])
        at = end
    return Unframed(b"".join(kept), long, places)
