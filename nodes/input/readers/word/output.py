"""The places that the words of a Word document go to while it is traversed: the open paragraph, cell, box or mark."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..office.office_notation import Ranges

Emit = Callable[[str, int, str], None]
"""Takes a finished block, its level (1 to 9 for a heading, 0 for others), and a heading's words."""


@dataclass
class OpenParagraph:
    """A paragraph whose words are being collected."""

    label: str
    """Its number."""
    level: int
    """1 to 9 for a heading, else 0."""
    end: tuple[str, str] | None
    """The marks around its end, if that was inserted or struck."""
    hidden: bool
    boxes: list[str] = field(default_factory=list[str])
    """Text boxes and charts that are anchored in it, written after it."""


@dataclass
class Output:
    """The open places, the innermost last, and the finished blocks."""

    emit: Emit
    ranges: Ranges
    _open: list[list[str]] = field(default_factory=list[list[str]])
    paragraphs: list[OpenParagraph] = field(default_factory=list[OpenParagraph])
    _last: tuple[int, int, str] = (0, 0, "")
    """The place, its length and the end of the last marked words."""

    def write(self, text: str) -> None:
        """Append words; outside of any paragraph they are a block."""
        if self._open:
            self._open[-1].append(text)
            self.ranges.add(text)
        elif text.strip():
            self.emit(f"{text}\n", 0, "")

    def mark(self, text: str) -> None:
        """Append a mark, which is not a word of a commented place."""
        if self._open:
            self._open[-1].append(text)
        elif text:
            self.emit(f"{text}\n", 0, "")

    def push(self) -> None:
        """Open a place."""
        self._open.append([])

    def pop(self) -> str:
        """Close the innermost place and return its words."""
        return "".join(self._open.pop()) if self._open else ""

    @property
    def length(self) -> int:
        """The number of pieces in the innermost place."""
        return len(self._open[-1]) if self._open else 0

    def since(self, length: int) -> str:
        """Return the words added to the innermost place since it had so many pieces."""
        return "".join(self._open[-1][length:]) if self._open else ""

    @property
    def inside(self) -> bool:
        """Tell whether any place is open."""
        return bool(self._open)

    def block(self, text: str, level: int = 0, title: str = "") -> None:
        """Add a finished block to the place that is open, or to the document."""
        if self._open:
            self._open[-1].append(text)
        else:
            self.emit(text, level, title)

    def marked(self, begin: str, text: str, end: str) -> None:
        """Add words between marks; those that follow words with the same marks are joined to them."""
        if not text:
            return
        if not self._open:
            self.block(f"{begin}{text}{end}\n")
            return
        place = self._open[-1]
        if self._last == (id(place), len(place), begin + end) and place:
            place[-1:] = [text, end]
        else:
            place += [begin, text, end]
        self._last = (id(place), len(place), begin + end)

    def aside(self, text: str) -> None:
        """Add a block that stands beside the words: after the paragraph that it is anchored in."""
        if self.paragraphs:
            self.paragraphs[-1].boxes.append(text)
        else:
            self.block(text)
