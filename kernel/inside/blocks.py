"""The blocks of a cell as they ran: what each printed, how it failed, and how long it took."""

import time
from collections.abc import Callable
from typing import Any

from .output import Capture
from .protocol import MOST_BLOCKS

_LONGEST_ERROR = 1_000
_clock = time.perf_counter  # bound now: code of cells may patch the module


class Blocks:
    """Measures the blocks of the running cell, one after another."""

    def __init__(self, output: Capture, waited: Callable[[], float]) -> None:
        """`waited` returns the seconds that the cell has waited for calls so far."""
        self._output = output
        self._waited = waited
        self._ended: list[tuple[int, int, str | None, float, float]] = []
        self.begin()

    def begin(self) -> None:
        """Note that a block begins."""
        self._start = self._output.written
        self._began, self._waited_before = _clock(), self._waited()

    def end(self, error: dict[str, str] | None) -> None:
        """Note that the block has ended, with this error if any."""
        seconds = max(0.0, _clock() - self._began)
        computed = max(0.0, seconds - (self._waited() - self._waited_before))
        why = f"{error['name']}: {error['message']}"[:_LONGEST_ERROR] if error else None
        if len(self._ended) < MOST_BLOCKS:
            self._ended.append((self._start, self._output.written, why, seconds, computed))

    def said(self) -> list[dict[str, Any]]:
        """Return the blocks as they are sent, with the places of what they printed in the text of the output."""
        place = self._output.place
        return [
            {"output": [place(start), place(end)], "error": error, "seconds": seconds, "computed": computed}
            for start, end, error, seconds, computed in self._ended
        ]
