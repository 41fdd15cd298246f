"""Standard streams that may be closed, or whose reader may go away.

A reader that has gone (`rlm list | head -1`, a closed terminal window) is not an error: the rest of the output is
discarded silently, and a run continues. A full disk is an error when a result is lost by it.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from ...state.errors import StoreError


class Lasting:
    """A text stream that discards its output once the reader has gone, instead of raising in the middle of a run."""

    def __init__(self, stream: TextIO, *, results: bool) -> None:
        """Wrap `stream`. With `results` no output may be lost, so that a full disk raises StoreError."""
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
