"""Frames around untrusted texts: every row of the screen that shows a part of one begins with a mark.

So no line of a model's code, however long, can pass for a line of the program that asks about it.
"""

from collections.abc import Iterator

from rich.cells import chop_cells
from rich.text import Text

from ..terminal.python_code import python_text
from .hidden_characters import Marked

HIDDEN = "not dim bold reverse red"
"""The style of an escape that stands for a hidden character."""
_BAR, _FOLDED = "│", "┊"
_TAB = 8


def coloured(code: Marked) -> Text:
    """Return Python code with syntax colours, exactly `code.text`, its hidden characters highlighted."""
    # With any tab size but 0 the lexer would turn tabs into spaces.
    text = python_text(code.text, tab_size=0)
    # The result ends in a newline, whether or not the code does.
    if text.plain == f"{code.text}\n":
        text.right_crop()
    if text.plain != code.text:
        # A lexer may normalise its input; the exact text matters more than colours.
        text = Text(code.text)
    return _marks(text, code)


def plain(quoted: Marked, style: str = "") -> Text:
    """Return a text in one style, its hidden characters highlighted."""
    return _marks(Text(quoted.text, style=style), quoted)


def _marks(text: Text, of: Marked) -> Text:
    for beginning, end in of.places:
        text.stylize(HIDDEN, beginning, end)
    return text


def framed(text: Text, width: int | None, *, numbered: bool = False) -> Iterator[Text]:
    """Yield all of `text` in rows behind a bar, with line numbers when `numbered`.

    Lines that do not fit `width` columns are folded here, so that all their rows have a bar. None: not folded.
    """
    lines = text.split("\n", allow_blank=True)
    digits = len(str(len(lines))) if numbered else 0
    for number, line in enumerate(lines, 1):
        line.expand_tabs(_TAB)
        label = f"{number:>{digits}} " if numbered else ""
        for place, row in enumerate(_folded(line, width and max(8, width - len(label) - 4))):
            bar = f"  {label}{_BAR} " if place == 0 else f"  {' ' * len(label)}{_FOLDED} "
            yield Text.assemble((bar, "dim"), row) if row.plain else Text(bar.rstrip(), style="dim")


def _folded(line: Text, room: int | None) -> list[Text]:
    if room is None or len(line.plain) * 2 <= room:
        return [line]
    ends: list[int] = []
    for part in chop_cells(line.plain, room)[:-1]:
        ends.append((ends[-1] if ends else 0) + len(part))
    return list(line.divide(ends))
