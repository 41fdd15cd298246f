"""How far a long look is: a line that changes on a terminal, plain lines now and then elsewhere."""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.status import Status
from rich.text import Text

from ..terminal.console import say, stderr_console
from .lines import BETWEEN

_PER_SECOND = 10


class Counting:
    """Shows the latest text that it was told. `tell` may be called from any thread, and often."""

    def __init__(self, beginning: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._between = 1 / _PER_SECOND if terminal else BETWEEN
        self._next = clock() + self._between
        self._status = Status(Text(beginning), console=stderr_console()) if terminal else None

    def tell(self, text: Callable[[], str]) -> None:
        """Show what `text` says, unless something was shown a moment ago."""
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
