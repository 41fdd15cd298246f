"""The two consoles: results alone on stdout, everything else on stderr."""

import sys
from typing import IO, TextIO, cast

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

from .streams import Lasting


def _console(stream: TextIO, *, results: bool) -> Console:
    # No markup, emoji codes or highlighting: text that is shown is never interpreted.
    lasting = cast(IO[str], Lasting(stream, results=results))
    return Console(file=lasting, markup=False, emoji=False, highlight=False)


def stdout_console() -> Console:
    """Return a console for tables and other results. Printing raises StoreError when the disk is full."""
    return _console(sys.stdout, results=True)


def stderr_console() -> Console:
    """Return a console for progress, notes and errors."""
    return _console(sys.stderr, results=False)


def say(text: str, style: str = "", *, whole: bool = False) -> None:
    """Print a note on stderr. `text` is printed as it is: escape untrusted parts first.

    On a terminal it is wrapped at words, except with `whole`: the terminal then wraps it, so that it can be copied.
    """
    console = stderr_console()
    if console.is_terminal:
        console.print(Text(text, style=style), soft_wrap=whole)
    else:
        # The same output as Rich's, at a tenth of the cost: a long run prints a line or two per turn.
        console.file.write(f"{strip_control_codes(text)}\n")
        console.file.flush()


def put(text: str) -> None:
    """Print a result on stdout: exactly `text`, and a newline unless it ends in one. Raises StoreError."""
    stream = Lasting(sys.stdout, results=True)
    stream.write(text if text.endswith("\n") else f"{text}\n")
    stream.flush()
