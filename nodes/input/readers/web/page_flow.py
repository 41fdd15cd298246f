"""Text under construction from a page: words, line breaks and sections, with offsets that stay right when it is moved.

White space is collapsed as browsers do it, except in preformatted text. A cell of a table is a flow of its own, which
its row then takes over.
"""

import re
from dataclasses import dataclass, field

_LONGEST_LINE = 1_000
_MOST_LINES = 8
"""A row with a cell beyond these is the layout of a page rather than a table: its cells follow each other as blocks."""
_WIDEST = 200
_LETTERS = re.compile(r"[^\W\d_]")


@dataclass
class Section:
    """A heading."""

    at: int
    label: str
    level: int


@dataclass
class Numbering:
    """A list that is open."""

    style: str
    """`-` for bullets, else the type of its numbers: `1`, `a`, `A`, `i`, `I`."""
    number: int = 1
    step: int = 1

    def marker(self) -> str:
        """Return the next item's mark."""
        if self.style == "-":
            return "- "
        number, self.number = self.number, self.number + self.step
        return f"{_numeral(number, self.style)}. "


@dataclass
class Opener:
    """A mark such as `[hidden: `, written before the first word of its element, if there is one."""

    text: str
    written: bool = False


@dataclass
class Flow:
    """Lines of text."""

    pieces: list[str] = field(default_factory=list[str])
    chars: int = 0
    sections: list[Section] = field(default_factory=list[Section])
    lists: list[Numbering] = field(default_factory=list[Numbering])
    marker: str = ""
    """The mark of the list item that begins, not yet written."""
    quotes: int = 0
    breaks: int = 0
    """Line ends that come before the next word."""
    space: bool = False
    preformatted: int = 0

    def end_line(self, lines: int = 1) -> None:
        """Put the next word on a new line; with 2 after an empty line."""
        self.breaks = max(self.breaks, lines)
        self.space = False

    def words(self, text: str, openers: list[Opener]) -> None:
        """Write text, its white space collapsed unless it is preformatted."""
        if self.preformatted:
            for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")):
                if number:
                    self.breaks += 1
                if line:
                    self.put(line, openers)
            return
        words = text.replace("\xad", "").split()
        if not words:
            self.space = self.space or bool(text)
            return
        self.space = self.space or text[0].isspace()
        self.put(" ".join(words), openers)
        self.space = text[-1].isspace()

    def put(self, text: str, openers: list[Opener]) -> None:
        """Write text as it is, after the line ends, the space and the marks that wait for it."""
        self.start()
        for one in openers:
            one.written = True
            self.raw(one.text)
        openers.clear()
        self.raw(text)

    def start(self) -> None:
        """Write what waits for the next word: line ends, indentation, a space."""
        if self.breaks or not self.chars:
            if self.chars:
                self.raw("\n" * self.breaks)
            self.raw(self._lead())
            self.breaks = 0
        elif self.space:
            self.raw(" ")
        self.space = False

    def raw(self, text: str) -> None:
        """Append text."""
        if text:
            self.pieces.append(text)
            self.chars += len(text)

    def _lead(self) -> str:
        lead = "> " * min(self.quotes, 10)
        if self.lists:
            depth = min(len(self.lists), 10)
            lead += "  " * (depth - 1) + self.marker if self.marker else "  " * depth
            self.marker = ""
        return lead

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    @property
    def last(self) -> str:
        """The last character, if the next word follows it without a space."""
        return self.pieces[-1][-1] if self.pieces and not self.space and not self.breaks else ""

    def since(self, at: int) -> str:
        """Return the text from an offset on, if it is not long; else an empty text."""
        found: list[str] = []
        left = self.chars - at
        if not 0 < left <= 2_000:
            return ""
        for piece in reversed(self.pieces):
            found.append(piece)
            left -= len(piece)
            if left <= 0:
                break
        joined = "".join(reversed(found))
        return joined[-left:] if left < 0 else joined

    def take(self, other: "Flow") -> None:
        """Append the lines of another flow as they are, each after this one's indentation."""
        if not other.chars:
            return
        self.end_line()
        self.start()
        lead = "> " * min(self.quotes, 10) + "  " * min(len(self.lists), 10)
        text = other.text
        for one in other.sections:
            shift = text.count("\n", 0, one.at) * len(lead) if lead else 0
            self.sections.append(Section(self.chars + one.at + shift, one.label, one.level))
        self.raw(text.replace("\n", f"\n{lead}") if lead else text)
        self.end_line()


_EMPTY = Flow()
"""A cell without words; nothing is written to it."""


@dataclass
class Table:
    """A table whose rows become lines, their cells separated by tabs."""

    flow: Flow
    """The text in which it stands."""
    layout: bool = False
    """True if it only arranges a page, as its author says."""
    tabular: bool = False
    """True once a row had several cells with words: from then on empty cells keep their place."""
    row: list[Flow] = field(default_factory=list[Flow])
    spans: dict[int, int] = field(default_factory=dict[int, int])
    """Columns that cells of earlier rows fill, and for how many more rows."""

    def add(self, cell: Flow, columns: int, rows: int) -> None:
        """Add a cell to the row."""
        self._fill()
        at = len(self.row)
        self.row.append(cell)
        self.row += [_EMPTY] * min(columns - 1, _WIDEST - len(self.row))
        if rows > 1 and at < _WIDEST:
            self.spans.update(dict.fromkeys(range(at, len(self.row)), min(rows, 65_534)))

    def _fill(self) -> None:
        while self.spans.get(len(self.row), 0) > 0 and len(self.row) < _WIDEST:
            self.row.append(_EMPTY)

    def end_row(self) -> None:
        """Write the row."""
        row, self.row = self.row, []
        self.spans = {column: left - 1 for column, left in self.spans.items() if left > 1}
        full = [cell for cell in row if cell.chars]
        if not full:
            return
        self.tabular = self.tabular or len(full) > 1
        if self.layout or not self.tabular or any(_large(cell) for cell in full):
            for cell in full:
                self.flow.take(cell)
            return
        self.flow.end_line()
        self.flow.start()
        while row and not row[-1].chars:
            row.pop()
        for number, cell in enumerate(row):
            if number:
                self.flow.raw("\t")
            for one in cell.sections:
                self.flow.sections.append(Section(self.flow.chars + one.at, one.label, one.level))
            text = cell.text
            # The offsets of headings must not change.
            text = text if "\n" not in text else text.replace("\n", " ") if cell.sections else " ".join(text.split())
            self.flow.raw(text.replace("\t", " "))
        self.flow.end_line()


def _large(cell: Flow) -> bool:
    return cell.chars > _LONGEST_LINE or cell.text.count("\n") >= _MOST_LINES


def _numeral(number: int, style: str) -> str:
    if style in "aA" and number > 0:
        letters = ""
        while number:
            number, digit = divmod(number - 1, 26)
            letters = chr(ord(style) + digit) + letters
        return letters
    if style in "iI" and 0 < number < 4_000:
        roman = ""
        for value, sign in zip(
            (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
            ["m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"],
            strict=True,
        ):
            times, number = divmod(number, value)
            roman += sign * times
        return roman.upper() if style == "I" else roman
    return str(number)


def has_words(text: str) -> bool:
    """Return whether a text holds letters."""
    return _LETTERS.search(text) is not None
