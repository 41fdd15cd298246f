"""Texts of others in a frame: every row of the screen that holds some of them begins with a mark of ours.

So no line of a model's code, however long, can pass for a line of the program that asks about it.
"""

from collections.abc import Iterator

from rich.cells import chop_cells
from rich.syntax import Syntax
from rich.text import Text

from .hidden_characters import Marked

HIDDEN = "not dim bold reverse red"
"""The style of an escape that stands for a character that cannot be seen."""
_BAR, _FOLDED = "│", "┊"
_TAB = 8


def coloured(code: Marked) -> Text:
    """Python with syntax colours, exactly `code.text`, and what hides in it standing out."""
    # A lexer would turn tabs into spaces if it were not told that they have no size.
    lexer = Syntax("", "python", theme="ansi_dark", background_color="default", tab_size=0)
    text = lexer.highlight(code.text)
    # It ends in a newline, whether the code does or not.
    if text.plain == f"{code.text}\n":
        text.right_crop()
    if text.plain != code.text:
        # A lexer may normalise what it reads; colours are worth less than what is there.
        text = Text(code.text)
    return _marks(text, code)


def plain(quoted: Marked, style: str = "") -> Text:
    """A text in one style, with what hides in it standing out."""
    return _marks(Text(quoted.text, style=style), quoted)


def _marks(text: Text, of: Marked) -> Text:
    for beginning, end in of.places:
        text.stylize(HIDDEN, beginning, end)
    return text


def framed(text: Text, width: int | None, *, numbered: bool = False) -> Iterator[Text]:
    """Rows of `text` behind a bar, with the number of the line when `numbered`; all of it.

    Lines that are longer than `width` are folded here, so that their other rows have a bar, too. None: not folded.
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
