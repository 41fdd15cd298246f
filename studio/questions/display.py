"""The display of many questions on stderr: a table that is redrawn on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...state.wording import counted, duration
from ..progress.lines import BETWEEN
from ..progress.text import reading_of, retry_line, spent, spoken
from ..terminal.console import cursor_moves, say, stderr_console
from ..terminal.escape import safe_line
from ..terminal.tables import STATUS_STYLES
from .progress import WORDS, BatchProgress, counts, doing, totals, under_way

if TYPE_CHECKING:
    from ...graph.run import Run

_PER_SECOND = 4
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MOST_ROWS = 12
_AROUND_ROWS = 8
"""Lines of the terminal that are not rows of the table, so that the lines that stay can be read."""
_NARROW = 60
"""Columns of a terminal on which no row has its time and calls."""
_LONG_ID = 40
_SAID = ("input", "notice")
"""Events that are said aloud; the others of so many runs at once would hide what matters."""


class BatchDisplay(Protocol):
    """A display of the progress of many questions."""

    progress: BatchProgress

    def __enter__(self) -> "BatchDisplay": ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, id: str, event: Mapping[str, Any]) -> None:
        """Process an event of a question; an empty `id` is that of all of them."""
        ...

    def ended(self, id: str, run: "Run") -> None:
        """Process the end of a question."""
        ...

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which other output can be printed on the same terminal."""
        ...


def ended_line(id: str, run: "Run", progress: BatchProgress) -> str:
    """Return a line about a question that has ended; the reason too, unless it was answered."""
    words = WORDS[run.status]
    parts = [f"{safe_line(id, _LONG_ID)}: {words}", counted(run.turns, "turn"), *spent(dict(run.usage))]
    if run.error and run.status in ("failed", "budget"):
        parts.append(safe_line(run.error.get("message", ""), 200))
    return f"{' · '.join(parts)} ({progress.number_ended:,} of {progress.total:,})"


def said_lines(id: str, event: Mapping[str, Any], progress: BatchProgress) -> list[str]:
    """Return the lines that stay for an event that `progress` has processed."""
    if event.get("event") not in _SAID:
        return []
    of = progress.running.get(id, progress.shared)
    return [f"{safe_line(id, _LONG_ID)}: {line}" if id else line for line in spoken(event, of)]


class PlainLines:
    """A display that writes a line for each question that ends, and one every few seconds."""

    def __init__(self, progress: BatchProgress) -> None:
        self.progress = progress
        self._said = progress.began

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, id: str, event: Mapping[str, Any]) -> None:
        """Process an event, and print its lines and, now and then, how far the questions are."""
        state = self.progress.update(id, event)
        for line in said_lines(id, event, self.progress):
            say(line)
        if self.progress.clock() < self._said + BETWEEN:
            return
        self._said = self.progress.clock()
        if event.get("event") == "input":
            if not event.get("done"):
                say(reading_of(state))
        elif self.progress.begun:
            say(f"{counts(self.progress)} · {under_way(self.progress)} · {totals(self.progress)}")

    def ended(self, id: str, run: "Run") -> None:
        """Process the end of a question, and print a line about one that was executed now."""
        if self.progress.ended(id, run):
            say(ended_line(id, run, self.progress))

    def say(self, text: str) -> None:
        """Print a line that belongs to no event."""
        say(text)

    def aside(self) -> AbstractContextManager[None]:
        """Return a context in which other output can be printed."""
        return nullcontext()


class LiveTable:
    """A table of the questions under way, below the lines that stay. Everything shown is escaped first."""

    def __init__(self, progress: BatchProgress, console: Console) -> None:
        self.progress = progress
        self._console = console
        self._frames = _FRAMES if "utf" in console.encoding.lower() else "|/-\\"
        self._live: Live | None = None

    def __enter__(self) -> "LiveTable":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @contextmanager
    def aside(self) -> Generator[None]:
        """Take the table off the screen meanwhile, if stdout is a terminal, too."""
        shown = self._live is not None and sys.stdout.isatty()
        if shown:
            self._stop()
        try:
            yield
        finally:
            if shown:
                self._start()

    def update(self, id: str, event: Mapping[str, Any]) -> None:
        """Process an event; lines that stay are printed above the table."""
        self.progress.update(id, event)
        for line in said_lines(id, event, self.progress):
            self.say(line)

    def ended(self, id: str, run: "Run") -> None:
        """Process the end of a question; one that is news and has no answer gets a line that stays."""
        if self.progress.ended(id, run) and run.status != "answered":
            self._console.print(Text(ended_line(id, run, self.progress), style=STATUS_STYLES.get(run.status, "")))

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(text))

    def draw(self) -> RenderableType:
        """Return the table as it is now."""
        progress = self.progress
        frame = self._frames[int(progress.elapsed * 8) % len(self._frames)]
        if not progress.begun:
            reading = reading_of(progress.shared) if progress.shared.phase == "reading" else "Starting"
            return _line((frame, "cyan"), " ", (reading, "bold"))
        state = "stopping" if progress.stopping else f"{len(progress.running):,} running"
        bar = Table.grid()
        bar.add_row(ProgressBar(total=progress.total, completed=progress.number_ended, width=min(40, self._width)))
        return Group(
            _line((frame, "cyan"), " ", (f"{counts(progress)} · {state}", "bold")),
            bar,
            *self._rows(),
            _line((totals(progress), "dim")),
        )

    @property
    def _width(self) -> int:
        return max(20, self._console.width - 4)

    def _rows(self) -> Iterator[Text]:
        """Yield a line for each of the first questions under way: its id, what it does, and what it has taken."""
        running = list(self.progress.running.items())
        most = max(1, min(_MOST_ROWS, self._console.height - _AROUND_ROWS))
        ids = [safe_line(id, _LONG_ID) for id, _ in running[:most]]
        wide = min(max(map(cell_len, ids), default=0), self._width // 4)
        for id, (_, one) in zip(ids, running, strict=False):
            retried = retry_line(one)
            took = f"{duration(one.elapsed)} · {counted(int(one.usage.get('model_calls', 0)), 'call')}"
            rest = self._width - wide - 4
            room = rest if self._console.width < _NARROW else rest - len(took) - 2
            yield _line(
                f"  {_fitted(id, wide)}  ",
                (_fitted(retried or doing(one), room), "yellow" if retried else ""),
                (f"  {took}" if room < rest else "", "dim"),
            )
        if (more := len(running) - most) > 0:
            yield Text(f"  and {more:,} more")

    def _start(self) -> None:
        self._live = Live(
            console=self._console,
            get_renderable=self.draw,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _fitted(text: str, cells: int) -> str:
    """Return a text with spaces behind it, or cut, so that it fills so many cells of the terminal."""
    return set_cell_size(text, cells) if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1)}…"


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, overflow="ellipsis", no_wrap=True)


def open_batch_display(total: int, *, plain: bool = False) -> BatchDisplay:
    """Return the live table if stderr is a terminal that can move its cursor, else or with `plain` plain lines."""
    progress = BatchProgress(total)
    return PlainLines(progress) if plain or not cursor_moves() else LiveTable(progress, stderr_console())
