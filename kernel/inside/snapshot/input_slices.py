"""Strings that were cut from the input are saved as their places in its pack, which is stored anyway.

Where they stand is found by `samples.py`. Whether to look is decided by the size of what may be there: no index of the
input is made for less than a small part of it. Not by what went by before, else equal values would be saved as other
bytes, and look changed.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from ..context_file import Pack
from .slice_index import Part, Samples

SHORTEST = 2 << 10
"""Characters from which a str is looked for."""
_SHARE = 1_000
"""Strings are looked for that are together as long as this part of the input."""
_FREE = 1_000
"""Strings that are looked for in vain in one snapshot, beside as many as were found."""
_KEY = 32
_MOST_KNOWN = 1 << 16
_PIECE = 1 << 20

Cut = tuple[str | int, ...]
"""The pack's name; then, in order, literal strings and ranges: where one begins and where it ends, in bytes."""
_Key = tuple[int, bytes, bytes, bytes]


class NotTheInput(Exception):
    """The input that it was cut from is not here"""


class Cuts:
    """Finds strings in a kernel's own input, and reads them there again. Not safe for threads."""

    def __init__(self, pack: Pack, ranges: "Callable[[], Sequence[tuple[int, int]]]") -> None:
        """`ranges` of the pack are the input, sorted and apart; they are asked for with the first long string."""
        self._pack = pack
        self._ask = ranges
        self._ranges: Sequence[tuple[int, int]] | None = None
        self._samples: Samples | None = None
        self._free = _FREE
        self._known: dict[_Key, list[Part]] = {}
        """Parts that strings had. No more than a hint: two may be alike in their length and in three places."""

    def begin(self) -> None:
        """A snapshot begins."""
        self._free = _FREE

    def worth(self, size: int) -> bool:
        """Whether so much, in long strings, is worth looking for."""
        return size >= SHORTEST and size * _SHARE >= sum(end - start for start, end in self._input())

    def most(self, some: "Sequence[str | bytes]") -> bool:
        """Whether most of `some` strings were cut from the input; False for none."""
        try:
            found = [bool(self._parts(one.encode() if isinstance(one, str) else one)) for one in some]
        except (UnicodeEncodeError, OSError):
            return False
        return sum(found) * 2 > len(found)

    def of(self, text: str) -> "Cut | None":
        """Where a string stands, with what is its own; None when less than half of it is known to be there."""
        try:
            body = text.encode()
            parts = self._parts(body)
        except (UnicodeEncodeError, OSError):  # a lone surrogate, which no input has; or the pack was cut short
            return None
        return self._cut(body, parts) if parts else None

    def text(self, cut: Cut) -> str:
        """The string again. Raises NotTheInput, and OSError or ValueError for a pack that is shorter than it was."""
        name, *rest = cut
        if name != self._pack.name:
            raise NotTheInput
        pieces: list[bytes] = []
        parts: list[Part] = []
        size = 0
        todo = iter(rest)
        for one in todo:
            pieces.append(one.encode() if isinstance(one, str) else self._pack.read(one, int(next(todo))))
            if not isinstance(one, str):
                parts.append(Part(size, size + len(pieces[-1]), one))
            size += len(pieces[-1])
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        # It will be saved again.
        self._note(_key(body), parts)
        return body.decode()

    def _index(self) -> "Samples | None":
        if self._samples is None:
            # Code of cells may have hidden numpy, or taken the memory.
            with suppress(ImportError, MemoryError):
                self._samples = Samples(self._pack, self._input())
        return self._samples

    def _input(self) -> "Sequence[tuple[int, int]]":
        if self._ranges is None:
            self._ranges = self._ask()
        return self._ranges

    def _parts(self, body: bytes) -> list[Part]:
        """The parts that were cut from the input; none unless they are half of it."""
        key = _key(body)
        parts = self._known.get(key)
        if parts is not None and self._hold(parts, body):
            return parts
        samples = self._index() if self._free > 0 else None
        if samples is None:
            return []
        parts = samples.parts(body)
        if 2 * sum(part.end - part.start for part in parts) < len(body):
            parts = []
        self._free += 1 if parts else -1
        self._note(key, parts)
        return parts

    def _hold(self, parts: "Sequence[Part]", body: bytes) -> bool:
        """Whether the parts of `body` are what they are said to be, byte by byte."""
        for start, end, place in parts:
            for first in range(start, end, _PIECE):
                last = min(first + _PIECE, end)
                if body[first:last] != self._pack.read(place + first - start, place + last - start):
                    return False
        return True

    def _cut(self, body: bytes, parts: "Sequence[Part]") -> Cut:
        cut: list[str | int] = [self._pack.name]
        done = 0
        for start, end, place in parts:
            if start > done:
                cut.append(body[done:start].decode())
            cut += place, place + end - start
            done = end
        if done < len(body):
            cut.append(body[done:].decode())
        return tuple(cut)

    def _note(self, key: _Key, parts: list[Part]) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = parts


class CutsOnce:
    """Where the strings of one pickle were cut from, each asked for once; `chars` counts those that were."""

    def __init__(self, cuts: "Cuts | None") -> None:
        self._cuts = cuts
        self._asked: dict[int, tuple[str, Cut | None]] = {}
        self.chars = 0

    def of(self, text: str) -> "Cut | None":
        """As `Cuts.of`."""
        if self._cuts is None:
            return None
        if id(text) not in self._asked:
            self._asked[id(text)] = text, self._cuts.of(text)  # held: no id is used twice
        _, cut = self._asked[id(text)]
        self.chars += len(text) if cut else 0
        return cut


def _key(body: bytes) -> _Key:
    middle = len(body) // 2
    return len(body), body[:_KEY], body[middle : middle + _KEY], body[-_KEY:]
