"""Strings that were cut from the input, which are saved as their places in its pack, which is stored anyway.

`slice_index.py` finds the places. The size of the strings decides whether to search: no index of the input is made for
less than a small part of it. Earlier snapshots do not decide, or equal values would be saved as other bytes and look
changed.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from ..context_file import Pack
from .slice_index import Part, Samples

SHORTEST = 2 << 10
"""Characters from which a str is searched for."""
_SHARE = 1_000
"""Strings are searched for when they are together at least as long as the input divided by this."""
_FREE = 1_000
"""Strings searched for in vain in one snapshot, at most; each one that is found allows one more."""
_KEY = 32
_MOST_KNOWN = 1 << 16
_PIECE = 1 << 20

Cut = tuple[str | int, ...]
"""The pack's name; then, in order, literal strings and ranges: the start and the end of one, in bytes."""
_Key = tuple[int, bytes, bytes, bytes]


class NotTheInput(Exception):
    """The input that it was cut from is not here"""


class Cuts:
    """A finder of strings in a kernel's own input, which also reads them there again. Not thread-safe."""

    def __init__(self, pack: Pack, ranges: "Callable[[], Sequence[tuple[int, int]]]") -> None:
        """Initialize the finder.

        `ranges` returns the ranges of the pack that are the input, sorted and disjoint. The first long string calls it.
        """
        self._pack = pack
        self._ask = ranges
        self._ranges: Sequence[tuple[int, int]] | None = None
        self._samples: Samples | None = None
        self._free = _FREE
        self._known: dict[_Key, list[Part]] = {}
        """Parts found for earlier strings. Only a hint: two strings may agree in their length and at three places."""

    def begin(self) -> None:
        """Begin a snapshot."""
        self._free = _FREE

    def worth(self, size: int) -> bool:
        """Return whether long strings of this total size are worth searching for."""
        return size >= SHORTEST and size * _SHARE >= sum(end - start for start, end in self._input())

    def most(self, some: "Sequence[str | bytes]") -> bool:
        """Return whether most of `some` strings were cut from the input. Return False when there are no strings."""
        try:
            found = [bool(self._parts(one.encode() if isinstance(one, str) else one)) for one in some]
        except (UnicodeEncodeError, OSError):
            return False
        return sum(found) * 2 > len(found)

    def of(self, text: str) -> "Cut | None":
        """Return a string as ranges of the input and literals, or None when less than half of it is in the input."""
        try:
            body = text.encode()
            parts = self._parts(body)
        except (UnicodeEncodeError, OSError):  # a lone surrogate, which no input has; or the pack was truncated
            return None
        return self._cut(body, parts) if parts else None

    def text(self, cut: Cut) -> str:
        """Read the string again. Raises NotTheInput, and OSError or ValueError for a pack that has become shorter."""
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
        # Noted, because it will be saved again.
        self._note(_key(body), parts)
        return body.decode()

    def _index(self) -> "Samples | None":
        if self._samples is None:
            # Code of cells may have hidden numpy or used up the memory.
            with suppress(ImportError, MemoryError):
                self._samples = Samples(self._pack, self._input())
        return self._samples

    def _input(self) -> "Sequence[tuple[int, int]]":
        if self._ranges is None:
            self._ranges = self._ask()
        return self._ranges

    def _parts(self, body: bytes) -> list[Part]:
        """Return the parts that were cut from the input, or an empty list unless they are half of `body`."""
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
        """Return whether the parts of `body` equal their places in the pack, byte by byte."""
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
    """Cuts of the strings of one pickle, each searched for once. `chars` counts the characters that were cut."""

    def __init__(self, cuts: "Cuts | None") -> None:
        self._cuts = cuts
        self._asked: dict[int, tuple[str, Cut | None]] = {}
        self.chars = 0

    def of(self, text: str) -> "Cut | None":
        """Return what `Cuts.of` returns, or None without cuts."""
        if self._cuts is None:
            return None
        if id(text) not in self._asked:
            self._asked[id(text)] = text, self._cuts.of(text)  # kept alive, so that no id is used twice
        _, cut = self._asked[id(text)]
        self.chars += len(text) if cut else 0
        return cut


def _key(body: bytes) -> _Key:
    middle = len(body) // 2
    return len(body), body[:_KEY], body[middle : middle + _KEY], body[-_KEY:]
