"""Standard streams whose reader may go, and that may not be there at all.

A reader that has gone (`rlm list | head -1`, a closed terminal window) is no failure of ours: what is left is
written nowhere, quietly, and a run goes on. A disk that is full is one, where a result is lost by it.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from ...state.errors import StoreError


class Lasting:
    """A text stream that turns deaf when its reader has gone, instead of raising in the middle of a run."""

    def __init__(self, stream: TextIO, *, results: bool) -> None:
        """`results`: what is written must not be lost, so that a full disk raises StoreError."""
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
    """Send whatever is still written to `stream` nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def fill_closed_streams() -> None:
    """Put something in the place of standard streams that the caller has closed (`rlm run … >&-`).

    Else the next file that is opened, the database perhaps, takes their number and gets what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    # Python has None for a stream that was closed when it started.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # Open as long as the process is.
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
