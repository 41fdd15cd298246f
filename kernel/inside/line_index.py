"""The lines of a stored text, by number and by character: found by an index that one reading of the text makes.

A line is what editors count. It ends at `\\n` or `\\r\\n`; in a text without any `\\n`, a `\\r` ends it. No other
character does. A line end is part of its line, so that a text which ends with one has no empty line after it.
"""

import io
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from .context_file import Pack

_BLOCK = 64 << 10
"""Bytes between two entries of the index: of 1 GB it takes 256 KB."""
_PIECE = 64 * _BLOCK
_LONG = 1 << 20
"""Bytes from which numpy counts: it has to be imported first."""
_KEPT = 64
_CONTINUED = bytes(range(0x80, 0xC0))
"""The continuation bytes of UTF-8."""


class LineIndex:
    """For every block of a text, how many lines ended before it and how many characters began."""

    def __init__(
        self, pack: Pack, start: int, end: int, counted: "Callable[[LineIndex], None]" = lambda _: None
    ) -> None:
        """Read the bytes from `start` to `end` of the pack. Raises OSError.

        `counted` gets the index after every piece of the text, as far as it is then.
        """
        self._start, self._end = start, end
        self.mark = b"\n"
        """The byte that ends a line."""
        self.count: int = 0
        """The number of lines; 0 until all is read."""
        self._ends, self._chars = array("Q", [0]), array("Q", [0])
        self._read(pack, counted)
        if not self._ends[-1]:
            self.mark = b"\r"
            self._ends, self._chars = array("Q", [0]), array("Q", [0])
            self._read(pack, counted)
        ends_open = start < end and pack.read(end - 1, end) != self.mark
        self.count = self._ends[-1] + ends_open

    def _read(self, pack: Pack, counted: "Callable[[LineIndex], None]") -> None:
        """Count the line ends and the characters before each block, and those of the whole text at last."""
        count = _by_numpy() if self._end - self._start >= _LONG else _by_bytes
        for first in range(self._start, self._end, _PIECE):
            for ended, began in count(pack.read(first, min(first + _PIECE, self._end)), self.mark):
                self._chars.append(self._chars[-1] + began)
                self._ends.append(self._ends[-1] + ended)
            counted(self)
        if len(self._ends) == 1:
            self._chars.append(0)
            self._ends.append(0)

    @property
    def reached(self) -> int:
        """The bytes of the text that are counted."""
        return min((len(self._ends) - 1) * _BLOCK, self._end - self._start)

    @property
    def ended(self) -> int:
        """The lines that have ended in these bytes."""
        return self._ends[-1]

    def read(self, pack: Pack, first: int, last: int) -> str:
        """Return the lines `first` to `last`, which must be between 1 and `count`."""
        behind = self._end if last == self.count else self.start_of(pack, last + 1)
        return pack.read(self.start_of(pack, first), behind).decode()

    def line_at(self, pack: Pack, offset: int) -> int:
        """Return the line of the character at `offset`, from 0 to the number of characters: that is in the last."""
        block = min(bisect_right(self._chars, offset), len(self._chars) - 1) - 1
        data = self._block(pack, block)
        inside = offset - self._chars[block]
        if data.isascii():
            ended = data.count(self.mark, 0, inside)
        else:
            # A block may begin and end within a character, which is counted where it begins: the rest is ignored.
            text = data.decode("utf-8", "ignore")
            ended = text.count(self.mark.decode(), 0, inside)
        return min(self._ends[block] + ended + 1, self.count)

    def start_before(self, pack: Pack, offset: int) -> int:
        """Return the character at which the line of the character at `offset` begins."""
        mark = self.mark.decode()
        block = min(bisect_right(self._chars, offset), len(self._chars) - 1) - 1
        text = self._block(pack, block).decode("utf-8", "ignore")[: offset - self._chars[block]]
        if mark not in text:
            if not self._ends[block]:
                return 0
            # The last line end before this block is in the last block in which lines have ended.
            block = bisect_left(self._ends, self._ends[block]) - 1
            text = self._block(pack, block).decode("utf-8", "ignore")
        return self._chars[block] + text.rindex(mark) + 1

    def offset_of(self, pack: Pack, line: int) -> int:
        """Return the character at which a line begins; behind the last line, the number of characters."""
        if line > self.count:
            return self._chars[-1]
        return self.char_at(pack, self.start_of(pack, line))

    def start_of(self, pack: Pack, line: int) -> int:
        """Return the byte of the pack at which a line begins, from 1 to the one behind the last that has ended."""
        before = line - 1
        if not before:
            return self._start
        block = bisect_left(self._ends, before) - 1
        data = self._block(pack, block)
        rest = data.split(self.mark, before - self._ends[block])[-1]
        return self._start + block * _BLOCK + len(data) - len(rest)

    def line_at_byte(self, pack: Pack, at: int) -> int:
        """Return the line in which a byte of the pack is that is counted."""
        block = (at - self._start) // _BLOCK
        return self._ends[block] + self._block(pack, block).count(self.mark, 0, (at - self._start) % _BLOCK) + 1

    def char_at(self, pack: Pack, at: int) -> int:
        """Return the character that begins at a byte of the pack, up to the first byte that is not counted."""
        block = (at - self._start) // _BLOCK
        return self._chars[block] + len(pack.read(self._start + block * _BLOCK, at).translate(None, _CONTINUED))

    def byte_at(self, pack: Pack, offset: int) -> int:
        """Return the byte of the pack at which a character begins; where counting ends, for those behind."""
        if offset >= self._chars[-1]:
            return self._start + self.reached
        block = bisect_right(self._chars, offset) - 1
        data = self._block(pack, block)
        begun = len(data) - len(data.lstrip(_CONTINUED))
        text = data[begun:].decode("utf-8", "ignore")[: offset - self._chars[block]]
        return self._start + block * _BLOCK + begun + len(text.encode())

    def _block(self, pack: Pack, block: int) -> bytes:
        first = self._start + block * _BLOCK
        return pack.read(first, min(first + _BLOCK, self._end))


_known: "WeakKeyDictionary[Pack, OrderedDict[tuple[int, int], LineIndex]]" = WeakKeyDictionary()
"""The latest indexes. They are here, not in the documents, so that snapshots of variables do not go through them."""


def line_index(pack: Pack, start: int, end: int) -> LineIndex:
    """Return the index of the lines of a range of the pack. Raises OSError."""
    known = _known.setdefault(pack, OrderedDict())
    index = known.get((start, end))
    if index is None:
        index = LineIndex(pack, start, end)
        keep_line_index(pack, start, end, index)
    return index


def keep_line_index(pack: Pack, start: int, end: int, index: LineIndex) -> None:
    """Keep an index for those that will ask for it."""
    known = _known.setdefault(pack, OrderedDict())
    known[start, end] = index
    if len(known) > _KEPT:
        known.popitem(last=False)


def _by_bytes(piece: bytes, mark: bytes) -> "Iterator[tuple[int, int]]":
    for at in range(0, len(piece), _BLOCK):
        block = piece[at : at + _BLOCK]
        began = len(block) if block.isascii() else len(block.translate(None, _CONTINUED))
        yield block.count(mark), began


def _by_numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return _by_bytes

    def count(piece: bytes, mark: bytes) -> "Iterator[tuple[int, int]]":
        numbers = numpy.frombuffer(piece, numpy.uint8)
        ended = numbers == mark[0]
        # As a signed number, a continuation byte is less than -64.
        began = None if piece.isascii() else numbers.view(numpy.int8) >= -64
        for at in range(0, len(piece), _BLOCK):
            size = min(_BLOCK, len(piece) - at)
            chars = size if began is None else int(numpy.count_nonzero(began[at : at + size]))
            yield int(numpy.count_nonzero(ended[at : at + size])), chars

    return count


class _Range(io.RawIOBase):
    """A range of a pack as a file."""

    def __init__(self, pack: Pack, start: int, end: int) -> None:
        self._pack, self._at, self._end = pack, start, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._pack.read(self._at, min(self._at + len(buffer), self._end))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def lines_in_order(pack: Pack, start: int, end: int, newline: str) -> Iterator[str]:
    """Yield the lines of a range with their ends, read as they are needed.

    `newline`: the character that ends a line; empty: `\\n`, `\\r\\n` and a lone `\\r` do.
    """
    return io.TextIOWrapper(io.BufferedReader(_Range(pack, start, end), 1 << 20), "utf-8", newline=newline)
