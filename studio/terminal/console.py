"""The two consoles, results alone on stdout and everything else on stderr, and the standard streams below them.

A reader that has gone (`rlm list | head -1`, a closed terminal window) is not an error: the rest of the output is
discarded silently, and a run continues. A full disk is an error when a result is lost by it.
"""

import codecs
import contextlib
import io
import os
import select
import sys
from pathlib import Path
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.control import strip_control_codes
from rich.text import Text

from ...state.errors import StoreError

_ESCAPED = "rlm-escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return the characters that an encoding lacks as escapes that are also valid in JSON, and where they end."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


codecs.register_error(_ESCAPED, _escaped)


class Lasting:
    """A text stream that discards its output once the reader has gone, instead of raising in the middle of a run."""

    def __init__(self, stream: TextIO, *, results: bool) -> None:
        """Wrap `stream`. With `results` no output may be lost, so that a full disk raises StoreError."""
        # Otherwise a character that the locale does not have would be an error, and the text around it lost with it.
        if isinstance(stream, io.TextIOWrapper) and stream.errors != _ESCAPED:
            stream.reconfigure(errors=_ESCAPED)
        self._stream = stream
        self._results = results

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._failed(error)

    def _failed(self, error: OSError | ValueError) -> None:
        drain(self._stream)
        if self._results and isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise StoreError(
                f"The output could not be written: {error.strerror}.",
                hint="A run's answer is saved: `rlm resume` prints it again.",
            ) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drain(stream: TextIO) -> None:
    """Discard everything that is written to `stream` from now on."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        _drained.add(stream.fileno())


_drained: set[int] = set()


def reader_is_gone() -> bool:
    """Return whether nobody reads what is printed on stdout any more: the other end of its pipe is closed."""
    with contextlib.suppress(OSError, ValueError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return sys.stdout.fileno() in _drained or any(events & select.POLLERR for _, events in poll.poll(0))
    return False


def fill_closed_streams() -> None:
    """Open the null device in the place of standard streams that the caller has closed (`rlm run … >&-`).

    Otherwise the next file that is opened, the database perhaps, takes their number and receives what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    # Python sets a stream to None if it was closed at the start.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Stays open until the process ends.
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115


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


def at_terminal() -> bool:
    """Return whether a user can be asked: stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def cursor_moves() -> bool:
    """Return whether stderr is a terminal whose cursor can be moved, so that a line can be replaced."""
    # The stream itself is asked: Rich also takes forced colours for a terminal.
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


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
