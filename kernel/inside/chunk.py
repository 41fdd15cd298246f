"""A part of a document that works as a document does, and knows its place in it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, SupportsIndex

from .context import Document
from .context_file import Pack
from .context_text import TextDocument
from .cuts import note
from .place_parts import Row
from .records import records_of_rows
from .variables import quoted

Source = Document | TextDocument | str
"""A text that chunks are cut from."""


class Chunk(Document):
    """A part of a document: its text from `.start` to `.end`, in characters. It is read when it is used.

    It works wherever a document does. `.document` and `.name` are those of the document it was cut from, and lines and
    pages are numbered as there: `.line`, `.page` (None without pages) and `.place` (in words) are where it begins.
    """

    __slots__ = ("document", "end", "start")

    def __init__(self, document: Source, start: int, end: int, stored: tuple[Pack, int, int] | None) -> None:
        """`start`, `end`: characters of `document`. `stored`: its pack and its range there; None without one.

        Raises ValueError for a range that lies outside of the pack.
        """
        if stored and not 0 <= stored[1] <= stored[2] <= stored[0].size:
            raise ValueError("a chunk lies outside its pack")
        self.document, self.start, self.end = document, start, end
        self._pack, self._start, self._end = stored or (None, 0, 0)  # type: ignore[assignment]
        self._chars = end - start
        self._line = b""
        self.name = getattr(document, "name", "")
        self.meta = getattr(document, "meta", {})

    def whole(self) -> str:
        """Return the text for work whose results have nothing of it: it is not noted as read."""
        if isinstance(self.document, str):
            return self.document[self.start : self.end]
        pack, first, last = self.stored()
        return pack.text(first, last)

    def stored(self) -> tuple[Pack, int, int]:
        """Return the pack and the range of it, in bytes, that is the text. Raises LookupError without one."""
        if not self._pack:
            raise LookupError("this was cut from a text that is not stored: it has no places")
        return self._pack, self._start, self._end

    def part(self, start: int, end: int) -> str:
        """Return the characters from `start` to `end` for work whose results have nothing of them."""
        return self.whole()[start:end]

    def cut_from(self) -> tuple[str, tuple[int, int], str, int, int]:
        """Return what `cuts.note` needs: what is cut from a chunk is cut from the document."""
        self.stored()
        path, part, name, before, chars = self.document.cut_from()  # type: ignore[union-attr]
        return path, part, name, before + self.start, chars

    def __getitem__(self, at: SupportsIndex | slice) -> str:
        text = self.whole()
        if not isinstance(at, slice):
            return text[at]
        first, last, step = at.indices(len(text))
        part = text[at]
        if step == 1:
            note(self, first, max(first, last), part)
        return part

    # -- places, which are those of the document

    @property
    def line(self) -> int:
        """The line of the document at which it begins, from 1."""
        return self.line_of(0)

    @property
    def page(self) -> int | None:  # type: ignore[override]
        """The number of the page on which it begins; None without pages."""
        try:
            return self.page_of(0)
        except LookupError:
            return None

    @property
    def place(self) -> str:
        """The place at which it begins, in words: `page 7`, `§ Scope`, `line 120`."""
        return self.place_of(0)

    @property
    def handed_name(self) -> str:
        """The name that a sub-RLM gets it under, which says its place."""
        last = self.line_of(max(len(self) - 1, 0))
        lines = f"lines {self.line} to {last}" if last > self.line else f"line {last}"
        place = self.place
        return ", ".join(filter(None, (str(self.name), "" if place.startswith("line ") else place, lines)))

    def line_of(self, offset: int) -> int:
        """Return the line of the document in which the chunk's character at `offset` is. Raises IndexError."""
        self._check(offset)
        where = self._placed()
        if where is None:
            return str(self.document).count("\n", 0, self.start + offset) + 1
        return where.line_of(self.start + offset) if self._chars else 1

    def page_of(self, offset: int) -> int:
        """Return the number of the page of the character at `offset`. Raises LookupError without pages."""
        self._check(offset)
        where = self._placed()
        if where is None:
            raise LookupError("a text that is not stored has no pages")
        return where.page_of(self.start + offset)

    def place_of(self, offset: int) -> str:
        """Return the place of the character at `offset` in words. Raises IndexError."""
        self._check(offset)
        where = self._placed()
        return f"line {self.line_of(offset)}" if where is None else where.place_of(self.start + offset)

    def lines(self, first: int, last: int, numbered: bool = False) -> str:
        """Return lines of the document, by its numbers. Raises IndexError, and LookupError without a document."""
        where = self._placed()
        if where is None:
            raise LookupError("a text that is not stored has no lines by number; .splitlines() works")
        return where.lines(first, last, numbered)

    def records(self, numbered: bool = False, errors: Literal["raise", "skip"] = "raise") -> Iterator[Any]:
        """Yield the records that it holds, those of a CSV file by the names in the file's first row."""
        where = self._placed()
        if where is None or self._kind() != "CSV" or not self.start:
            return super().records(numbered, errors)
        header: list[Row] = [next(where._rows())]
        found = records_of_rows(chain(header, self.rows()))
        return ((self.line + line - 1, one) if numbered else one for line, one in found)

    def _placed(self) -> Document | TextDocument | None:
        """Return the document, if it has places."""
        return None if self._pack is None or type(self.document) is str else self.document  # type: ignore[return-value]

    # -- identity

    def __repr__(self) -> str:
        return f"<Chunk of {quoted(self.name or 'a text')}, {self.place}: {self._chars:,} chars>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chunk):
            return NotImplemented
        return (self.start, self.end) == (other.start, other.end) and self.document == other.document

    def __hash__(self) -> int:
        return hash((self.name, self.start, self.end))

    def __reduce__(self) -> tuple[Any, ...]:
        # The document's own path of the pack is used again, which a restore may have changed.
        offsets = None
        if self._pack is not None:
            first = self.document.stored()[1]  # type: ignore[union-attr]
            offsets = self._start - first, self._end - first
        return _chunk, (self.document, self.start, self.end, offsets)


def _chunk(document: Any, start: int, end: int, offsets: tuple[int, int] | None) -> Chunk:
    """Return a chunk again. `offsets`: its range in bytes of the document."""
    stored: tuple[Pack, int, int] | None = None
    if offsets is not None:
        try:
            pack, first, _ = document.stored()
            stored = pack, first + offsets[0], first + offsets[1]
        except LookupError:
            pass
    return Chunk(document, start, end, stored)
