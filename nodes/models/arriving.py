"""Count the output of a request while it arrives, and report it a few times a second."""

from collections.abc import Callable

from .provider_protocol import OnOutput
from .tokens import estimate_tokens

BETWEEN = 0.5
"""Seconds between two reports."""


class ArrivingOutput:
    """The output of one attempt, as far as it has arrived. `add` is called with each piece, and is cheap."""

    def __init__(self, report: OnOutput | None, clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._pieces: list[str] = []
        self._counted = 0
        self._began = 0.0
        self._next: float | None = None

    def add(self, piece: str) -> None:
        """Take in a piece, and report if it is time."""
        self._pieces.append(piece)
        if self._report is None:
            return
        now = self._clock()
        if self._next is None:
            self._began, self._next = now, now + BETWEEN
        elif now >= self._next:
            self._next = now + BETWEEN
            tokens = self.count()
            self._report(tokens, round(tokens / (now - self._began)))

    def count(self) -> int:
        """Return an estimate of the tokens that have arrived."""
        self._counted += estimate_tokens("".join(self._pieces))
        self._pieces.clear()
        return self._counted
