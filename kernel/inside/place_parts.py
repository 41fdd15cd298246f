"""The parts of a document that its places give: pages, rows, sections and cells."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

from .variables import quoted


class Page(str):
    """The text of a page or slide. It also has `.number`, from 1, and `.label`, as printed on it."""

    __slots__ = ("label", "number")

    number: int
    label: str

    def __new__(cls, text: str, number: int = 0, label: str = "") -> "Page":
        """Make the page. Without a label it is called by its number."""
        made = super().__new__(cls, text)
        made.number, made.label = number, label or str(number)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Page, (str.__str__(self), self.number, self.label)


class Pages(Sequence[Page]):
    """The pages of a document by index, from 0; each is cut from its text when it is asked for."""

    __slots__ = ("_document", "_labels", "_starts")

    def __init__(self, document: Any, starts: Sequence[int], labels: Sequence[str]) -> None:
        """`starts` are the offsets at which the pages begin; each ends where the next one begins."""
        self._document = document
        self._starts = starts
        self._labels = labels

    @property
    def starts(self) -> Sequence[int]:
        """The offsets at which they begin."""
        return self._starts

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> Page: ...
    @overload
    def __getitem__(self, at: slice) -> list[Page]: ...
    def __getitem__(self, at: int | slice) -> Page | list[Page]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        number = range(1, len(self) + 1)[at]
        end = self._starts[number] if number < len(self) else len(self._document)
        return Page(self._document[self._starts[number - 1] : end], number, self._labels[number - 1])

    def __repr__(self) -> str:
        return f"<{len(self):,} page{'s' * (len(self) != 1)} of {quoted(self._document.name)}>"


class Row(list[str]):
    """The cells of a row as a list of texts.

    It also has `.number` (1 is the first row, as a spreadsheet counts), `.lines` (its first and its last line),
    `.start` and `.end` (characters of the document, without the line end), `.sheet`, `.address(i)`, `.addresses`.
    """

    __slots__ = ("_columns", "end", "lines", "number", "sheet", "start")

    def __init__(
        self,
        cells: Sequence[str] = (),
        number: int = 0,
        lines: tuple[int, int] = (0, 0),
        start: int = 0,
        end: int = 0,
        sheet: str = "",
        columns: Sequence[int] | None = None,
    ) -> None:
        """`columns`: the column of each cell, from 1, where they are not simply 1, 2, 3 …"""
        super().__init__(cells)
        self.number, self.lines, self.start, self.end, self.sheet = number, lines, start, end, sheet
        self._columns = columns

    def column(self, at: int) -> int:
        """Return the column of the cell at index `at`, from 1. Raises IndexError."""
        at = range(len(self))[at]
        return self._columns[at] if self._columns and at < len(self._columns) else at + 1

    def address(self, at: int) -> str:
        """Return the address of the cell at index `at`: `B7`. Raises IndexError."""
        return f"{column_letters(self.column(at))}{self.number}"

    @property
    def addresses(self) -> list[str]:
        """The addresses of all cells."""
        return [self.address(at) for at in range(len(self))]


def column_letters(column: int) -> str:
    """Return the letters of a column, from 1: `A` to `Z`, then `AA`."""
    letters = ""
    while column > 0:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


class Section:
    """A section, or a cell of a notebook: `.title`, `.level` (1 is the topmost), `.number`, `.start`, `.end`, `.text`.

    The text of a section has its subsections in it. `.facts` has what else is known of it.
    """

    __slots__ = ("_document", "end", "facts", "level", "number", "start", "title")

    def __init__(
        self, document: Any, number: int, title: str, level: int, start: int, end: int, facts: dict[str, Any]
    ) -> None:
        """`number`: its place among the document's sections, from 1. `start`, `end`: characters of the document."""
        self._document = document
        self.number, self.title, self.level = number, title, level
        self.start, self.end = start, end
        self.facts = facts

    @property
    def document(self) -> Any:
        """The document of which it is a part."""
        return self._document

    @property
    def text(self) -> str:
        """Its text, heading included."""
        return self._document[self.start : self.end]

    @property
    def line(self) -> int:
        """The line at which it begins."""
        return self._document.line_of(self.start)

    def __len__(self) -> int:
        return self.end - self.start

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Section {self.number}, level {self.level}: {quoted(self.title)}, {len(self):,} chars>"


Headings = tuple[Sequence[int], Sequence[str], Sequence[int]]
"""The offsets, titles and levels of sections, in order."""


def nested(document: Any, chars: int, headings: Headings) -> list[Section]:
    """Return the sections of a document, each of which ends at the next one of its level or of a higher one."""
    starts, titles, levels = headings
    ends = [chars] * len(starts)
    still_open: list[int] = []
    for at, level in enumerate(levels):
        while still_open and levels[still_open[-1]] >= level:
            ends[still_open.pop()] = starts[at]
        still_open.append(at)
    parts = enumerate(zip(starts, titles, levels, ends, strict=True), 1)
    return [Section(document, number, title, level, start, end, {}) for number, (start, title, level, end) in parts]


_FENCES = ("```", "~~~")


def markdown_headings(lines: Iterator[str]) -> Headings:
    """Return the offsets, titles and levels of the `#` headings of Markdown that stand outside of fenced code."""
    starts: list[int] = []
    titles: list[str] = []
    levels: list[int] = []
    offset = 0
    fence = ""
    for line in lines:
        text = line.lstrip(" ")
        indented = len(line) - len(text) > 3
        if fence:
            rest = text.strip()
            closing = not indented and len(rest) >= len(fence) and not rest.strip(fence[0])
            fence = "" if closing else fence
        elif not indented and text.startswith(_FENCES):
            fence = text[: len(text) - len(text.lstrip(text[0]))]
        elif not indented and (found := _heading(text.strip())):
            starts.append(offset)
            titles.append(found[1])
            levels.append(found[0])
        offset += len(line)
    return starts, titles, levels


def _heading(text: str) -> tuple[int, str] | None:
    title = text.lstrip("#")
    level = len(text) - len(title)
    if not 1 <= level <= 6 or (title and title[0] not in " \t"):
        return None
    title = title.strip()
    bare = title.rstrip("#")
    return level, bare.rstrip() if not bare or bare[-1] in " \t" else title
