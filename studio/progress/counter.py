"""The progress of a long scan: a line that changes on a terminal, occasional plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.status import Status
from rich.text import Text

from ..terminal.console import cursor_moves, say, stderr_console
from .lines import BETWEEN

_PER_SECOND = 10


class Counting:
    """A display of the latest text. `update` may be called from any thread, and often."""

    def __init__(self, beginning: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        terminal = cursor_moves()
        self._between = 1 / _PER_SECOND if terminal else BETWEEN
        self._next = clock() + self._between
        self._status = Status(Text(beginning), console=stderr_console()) if terminal else None

    def update(self, text: Callable[[], str]) -> None:
        """Show the text that `text` returns, unless another one was shown just before."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._between
        if self._status:
            self._status.update(Text(text()))
        else:
            say(text())

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._status:
            self._status.stop()
