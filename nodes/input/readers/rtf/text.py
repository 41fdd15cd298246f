"""The text that an RTF reader writes: lines with marks for struck, hidden and changed words, and notes behind them.

The notation is that of office documents: `[-struck- by Ann, 2026-01-02]`, `[+inserted+ by Ann]`, `[hidden: words]`,
`[^1]` for a footnote whose text follows its paragraph, `[comment 1]` for a comment.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mark:
    """The signs around words."""

    opening: str
    closing: str = "]"


@dataclass
class Flow:
    """Text under construction: the body of a file, or a note, a header, a text box."""

    pieces: list[str] = field(default_factory=list[str])
    levels: dict[int, int] = field(default_factory=dict[int, int])
    """The level of each line that is a heading."""
    lines: int = 0
    waiting: list[str] = field(default_factory=list[str])
    """Notes to be written after the present paragraph."""
    marks: tuple[Mark, ...] = ()
    """The marks that are open."""
    in_line: bool = False
    """True when the present line has text."""

    def write(self, text: str, marks: tuple[Mark, ...] = ()) -> None:
        """Append text without line ends."""
        if not text:
            return
        if marks != self.marks:
            self._close()
            self.pieces += [one.opening for one in marks]
            self.marks = marks
        self.pieces.append(text)
        self.in_line = True

    def end_line(self, level: int = 0) -> None:
        """End the paragraph, and write the notes that wait for that. `level`: it is a heading."""
        self._close()
        if level and self.in_line:
            self.levels[self.lines] = level
        self.pieces.append("\n")
        self.lines += 1
        self.in_line = False
        if self.waiting:
            for note in self.waiting:
                self.pieces.append(f"{note}\n")
                self.lines += note.count("\n") + 1
            self.waiting = []

    def end_row(self) -> None:
        """End the row of a table, without the separator behind its last cell."""
        if self.pieces and self.pieces[-1] == "\t":
            self.pieces.pop()
        self.end_line()

    def finished(self) -> str:
        """Return the text, ending with a line end if the last paragraph has text or notes."""
        if self.in_line or self.waiting:
            self.end_line()
        return "".join(self.pieces)

    def inline(self) -> str:
        """Return the text on one line."""
        return " ".join(self.finished().split())

    def _close(self) -> None:
        self.pieces += [one.closing for one in reversed(self.marks)]
        self.marks = ()
