"""Which display a run gets."""

import os
import sys
from typing import Protocol

from ..terminal.console import stderr_console
from .lines import PlainDisplay
from .state import Progress


class Display(Protocol):
    """Shows how a run goes, on stderr."""

    progress: Progress

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...

    def hear(self, event: dict[str, object]) -> None:
        """Take in an event of the run."""
        ...

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...


def open_display() -> Display:
    """The live one when stderr is a terminal that can move its cursor, else plain lines."""
    progress = Progress()
    # Asked of the stream itself: Rich would also take a forced colour for a terminal.
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainDisplay(progress)
    from .panel import LiveDisplay

    return LiveDisplay(progress, stderr_console())
