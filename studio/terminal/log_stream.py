"""The stream in place of stderr once a run is detached: lines with the time, escaped, into a log of bounded size."""

import contextlib
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .escape import safe

if TYPE_CHECKING:
    from ...state.logs import LogFile

_LONGEST = 16_384
"""Characters of a line of the log; the rest of a longer one is left out."""
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


class LogStream(io.TextIOBase):
    """A text stream whose lines are appended to a log, each behind the time in UTC.

    What cannot be written, on a full disk for example, is left out: it ends no run.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, log: "LogFile", descriptor: int, clock: Callable[[], float]) -> None:
        """Write to `log`; `descriptor` is the number of the stream that this one replaces."""
        self._log = log
        self._descriptor = descriptor
        self._clock = clock
        self._begun = ""
        """The line that has not ended."""

    def write(self, text: str) -> int:
        """Append the lines that end in `text`. Return the number of its characters."""
        *lines, begun = text.split("\n")
        if lines:
            lines[0] = self._begun + lines[0]
            self._begun = ""
            for line in lines:
                self._append(line)
        self._begun = (self._begun + begun)[: _LONGEST + 1]
        return len(text)

    def flush(self) -> None:
        """Append a line that has not ended, as a line."""
        if self._begun:
            self._append(self._begun)
            self._begun = ""

    def _append(self, line: str) -> None:
        shown = safe(_COLORS.sub("", line.removesuffix("\r")))
        shown = f"{shown[: _LONGEST - 1]}…" if len(shown) > _LONGEST else shown
        with contextlib.suppress(OSError):
            self._log.append(self._stamped(shown), self._stamped("Older lines were dropped: a log has at most 5 MB."))

    def _stamped(self, line: str) -> bytes:
        time = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"{time} {line}\n".encode(errors="backslashreplace")

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return False: nobody sees colours, and no cursor moves."""
        return False

    def fileno(self) -> int:
        """Return the number of the stream that this one replaces."""
        return self._descriptor
