"""Python code in the colours of a terminal."""

from rich.syntax import Syntax
from rich.text import Text

LONGEST = 4_000
"""The most characters of code that are coloured. A lexer's time grows with their square where a model wants it to."""


def python_text(code: str, *, tab_size: int = 4) -> Text:
    """Return Python code in colours; without any where it is longer than `LONGEST`."""
    if len(code) > LONGEST:
        return Text(code)
    return Syntax("", "python", theme="ansi_dark", background_color="default", tab_size=tab_size).highlight(code)
