"""Progress as plain lines, for logs and pipes, and the choice between them and the live panel.

There is a line for each notable event, and one every few seconds of waiting.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from ...state.wording import counted, megabytes
from ..terminal.console import cursor_moves, say, stderr_console
from .state import Progress
from .text import reading_of, restoring_line, retry_line, spent, spoken, turn_title, waiting_line, writing_line

BETWEEN = 3.0
"""Seconds between lines that only report progress."""
_BETWEEN_WRITING = 10.0
"""Seconds between lines that report a reply while it arrives."""


class PlainDisplay:
    """A display that writes lines to stderr."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._said = progress.began
        """The time of the last line that only reports progress, or says what is waited for."""
        self._line = ""
        """The last line that only reports progress: nothing is gained by the same one again."""

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, event: Mapping[str, Any]) -> None:
        """Process an event of the run and print its lines."""
        progress = self.progress
        progress.update(event)
        for line in spoken(event, progress):
            say(line)
        match event.get("event"):
            case "direct" if event.get("outcome") == "asking":
                say("Asking the root model for an answer to the whole input, in one call")
                self._said = progress.clock()
            case "turn":
                so_far = ", ".join(spent(progress.usage))
                say(f"{turn_title(progress).capitalize()}: asking the root model ({so_far} so far)")
                self._said = progress.clock()
            case "code":
                lines = progress.code.rstrip().count("\n") + 1
                say(f"Turn {progress.turn}: running {counted(lines, 'line')} of code")
            case "writing":
                asked = f"Turn {progress.turn}" if progress.turn else "The root model"
                self._now_and_then(f"{asked}: {writing_line(progress)}", between=_BETWEEN_WRITING)
            case "calls" | "child":
                self._now_and_then(f"Turn {progress.turn}: {waiting_line(progress)}")
            case "input" if not event.get("done"):
                self._now_and_then(reading_of(progress))
            case "restore":
                self._now_and_then(restoring_line(progress), first=progress.restored[0] <= 1)
            case "indexing" if not event.get("done") and not event.get("bytes"):
                size = megabytes(progress.indexed[1])
                say(f"Turn {progress.turn}: building the search index, once for this input ({size})")
            case "retry":
                self._now_and_then(retry_line(progress), first=progress.retries == 1)
            case _:
                pass

    def say(self, text: str) -> None:
        """Print a line that belongs to no event."""
        say(text)

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which other output can be printed."""
        return nullcontext()

    def _now_and_then(self, line: str, *, first: bool = False, between: float = BETWEEN) -> None:
        now = self.progress.clock()
        if line and line != self._line and (first or now >= self._said + between):
            self._said, self._line = now, line
            say(line)


class Display(Protocol):
    """A display of a run's progress on stderr."""

    progress: Progress

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, event: Mapping[str, Any]) -> None:
        """Process an event of the run."""
        ...

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which other output can be printed on the same terminal."""
        ...


def open_display(*, plain: bool = False) -> Display:
    """Return the live display if stderr is a terminal that can move its cursor, else or with `plain` plain lines."""
    progress = Progress()
    if plain or not cursor_moves():
        return PlainDisplay(progress)
    from .panel import LiveDisplay

    return LiveDisplay(progress, stderr_console())
