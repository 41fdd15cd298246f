"""The two consoles: nothing but results on stdout, everything else on stderr."""

import sys
from typing import IO, TextIO, cast

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

from .streams import Lasting


def _console(stream: TextIO, *, results: bool) -> Console:
    # No markup, emoji codes or highlighting: what is shown is never read as instructions.
    lasting = cast(IO[str], Lasting(stream, results=results))
    return Console(file=lasting, markup=False, emoji=False, highlight=False)


def stdout_console() -> Console:
    """For tables and other results. Printing raises StoreError when the disk behind it is full."""
    return _console(sys.stdout, results=True)


def stderr_console() -> Console:
    """For progress, notes and errors."""
    return _console(sys.stderr, results=False)


def say(text: str, style: str = "", *, whole: bool = False) -> None:
    """One note on stderr. `text` is shown as it is: make what others wrote safe first.

    A terminal wraps it at words; `whole` lines are left for it to wrap anywhere, so that they can be copied.
    """
    console = stderr_console()
    if console.is_terminal:
        console.print(Text(text, style=style), soft_wrap=whole)
    else:
        # As rich would write it, at a tenth of the cost: a long run says a line or two a turn.
        console.file.write(f"{strip_control_codes(text)}\n")
        console.file.flush()


def put(text: str) -> None:
    """A result on stdout, exactly `text` and a newline unless it ends in one. Raises StoreError."""
    stream = Lasting(sys.stdout, results=True)
    stream.write(text if text.endswith("\n") else f"{text}\n")
    stream.flush()
