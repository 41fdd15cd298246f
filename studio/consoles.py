"""The two consoles: nothing but results on stdout, everything else on stderr; neither may end a run.

A reader that has gone (`rlm list | head -1`, a closed terminal window) is no failure of ours: what is left is
written nowhere, quietly.
"""

import contextlib
import os
import sys
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.text import Text


class _Lasting:
    """A text stream that turns deaf when its reader has gone, instead of raising in the middle of a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            drain(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            drain(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drain(stream: TextIO) -> None:
    """Send whatever is still written to `stream` nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _console(stream: TextIO) -> Console:
    # No markup, emoji codes or highlighting: what is shown is never read as instructions.
    return Console(file=cast(IO[str], _Lasting(stream)), markup=False, emoji=False, highlight=False)


def stdout_console() -> Console:
    """For tables and other results."""
    return _console(sys.stdout)


def stderr_console() -> Console:
    """For progress, notes and errors."""
    return _console(sys.stderr)


def say(text: str, style: str = "", *, whole: bool = False) -> None:
    """One note on stderr. `text` is shown as it is: make what others wrote safe first.

    A terminal wraps it at words; `whole` lines are left for it to wrap anywhere, so that they can be copied.
    """
    console = stderr_console()
    console.print(Text(text, style=style), soft_wrap=whole or not console.is_terminal)


def put(text: str) -> None:
    """A result on stdout, exactly `text` and a newline unless it ends in one."""
    stream = _Lasting(sys.stdout)
    stream.write(text if text.endswith("\n") else f"{text}\n")
    stream.flush()
