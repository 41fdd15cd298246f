"""Progress on a terminal: a panel that is redrawn a few times a second, regardless of the number of events."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...state.wording import duration
from ..terminal.escape import safe_line, safe_lines
from ..terminal.python_code import python_text
from .state import Progress
from .text import (
    calls_line,
    children_line,
    indexing_line,
    latest_line,
    reading_of,
    restoring_line,
    retry_line,
    spent,
    spoken,
    turn_title,
    writing_line,
)

PER_SECOND = 8
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_OUTPUT_LINES = 4
_AROUND_CODE = 16
"""Lines of the panel that are not code, so that it fits a small terminal."""


class LiveDisplay:
    """A panel that shows `progress` below the lines that stay. Everything shown is escaped first."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress = progress
        self._console = console
        self._frames = _FRAMES if "utf" in console.encoding.lower() else "|/-\\"
        self._live = self._new_live()
        self._coloured: tuple[str, int, Text] | None = None

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _new_live(self) -> Live:
        return Live(
            console=self._console,
            get_renderable=self.draw,
            refresh_per_second=PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @contextmanager
    def aside(self) -> Generator[None]:
        """Take the panel away for the duration of the context, so that other output stays above it."""
        self._live.stop()
        try:
            yield
        finally:
            # The one before still knows where its panel was, and would write over the new lines.
            self._live = self._new_live()
            self._live.start()

    def update(self, event: Mapping[str, Any]) -> None:
        """Process an event of the run; lines that stay on the screen are printed above the panel."""
        self.progress.update(event)
        for line in spoken(event, self.progress):
            self.say(line)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(text))

    def draw(self) -> RenderableType:
        """Return the panel as it is now."""
        progress = self.progress
        parts: list[RenderableType] = [self._heading()]
        if progress.code:
            parts.append(Padding(self._code(progress.code), (0, 0, 0, 2)))
        if progress.calls.posted or progress.children.number:
            parts += self._waiting()
        elif not progress.code and progress.ended and progress.ended.preview:
            parts.append(Text(safe_lines(progress.ended.preview, _OUTPUT_LINES, self._width), style="dim"))
        if line := retry_line(progress):
            parts.append(Text(line, style="yellow"))
        facts = [f"{duration(progress.elapsed)}{progress.since}", *(spent(progress.usage) if progress.usage else [])]
        parts.append(Text(" · ".join(facts), style="dim"))
        return Group(*parts)

    @property
    def _width(self) -> int:
        return max(20, self._console.width - 4)

    def _heading(self) -> Text:
        frame = self._frames[int(self.progress.elapsed * PER_SECOND) % len(self._frames)]
        return Text.assemble((frame, "cyan"), " ", (self._doing(), "bold"), overflow="ellipsis", no_wrap=True)

    def _doing(self) -> str:
        progress = self.progress
        match progress.phase:
            case "starting":
                return "Starting"
            case "reading":
                name = safe_line(progress.document, 60)
                return f"{reading_of(progress)} · {name}"
            case "whole":
                asking = "Asking the root model for an answer to the whole input"
                return " · ".join(filter(None, (asking, writing_line(progress))))
            case "asking":
                return f"{turn_title(progress).capitalize()} · {writing_line(progress) or 'asking the root model'}"
            case "running":
                return f"{turn_title(progress).capitalize()} · running its code"
            case "calling":
                return f"{turn_title(progress).capitalize()} · its code waits for sub-calls"
            case "indexing":
                return f"{turn_title(progress).capitalize()} · {indexing_line(progress)}"
            case "restoring":
                return restoring_line(progress)
            case "stopping":
                return "Stopping"

    def _code(self, code: str) -> Text:
        lines = min(14, max(3, self._console.height - _AROUND_CODE))
        if self._coloured is None or self._coloured[:2] != (code, lines):
            # Coloured once per cell, not once per frame.
            shown = safe_lines(code, lines, self._width)
            text = python_text(shown)
            text.no_wrap = True
            text.rstrip()
            self._coloured = code, lines, text
        return self._coloured[2]

    def _waiting(self) -> Iterator[RenderableType]:
        """Yield the bar and the lines about the sub-calls and sub-RLMs that the cell waits for."""
        if self.progress.calls.posted:
            yield self._bar()
        for line, style in ((children_line(self.progress), ""), (latest_line(self.progress), "dim")):
            if line:
                yield Text(f"  {line}", style=style, overflow="ellipsis", no_wrap=True)

    def _bar(self) -> RenderableType:
        calls = self.progress.calls
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, calls.posted), completed=min(calls.done, calls.posted), width=30)
        row.add_row(Text(" "), bar, Text(calls_line(self.progress), overflow="ellipsis", no_wrap=True))
        return row
