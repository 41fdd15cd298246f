"""Tables for people: every cell is text that is made safe, whatever it holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from rich.table import Table
from rich.text import Text

from .consoles import stdout_console
from .safe_text import safe_line

STATUS_STYLES = {
    "answered": "green",
    "running": "cyan",
    "busy": "cyan",
    "paused": "yellow",
    "stopped": "yellow",
    "budget": "yellow",
    "failed": "red",
}


@dataclass(frozen=True)
class Column:
    """A column. One that is `wide` shares the room that is left and is cut there."""

    title: str
    right: bool = False
    wide: bool = False
    limit: int = 200


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, status_column: int | None = None) -> None:
    """Print the rows on stdout; into a pipe without colours or cuts by the terminal's width."""
    console = stdout_console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        ratio = 1 if column.wide else None
        table.add_column(column.title, justify=justify, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = [Text(safe_line(cell, columns[at].limit)) for at, cell in enumerate(row)]
        if status_column is not None:
            cells[status_column].stylize(STATUS_STYLES.get(row[status_column], ""))
        table.add_row(*cells)
    if not console.is_terminal:
        # A script or `less` gets whole lines.
        console.width = 600
    console.print(table)


def ago(moment: str, now: datetime | None = None) -> str:
    """How long ago a moment (ISO 8601) was: `12 s ago`, `3 h ago`, or its date when that is days."""
    then = datetime.fromisoformat(moment)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return f"{max(0, int(seconds))} s ago"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    return f"{int(seconds // 3600)} h ago" if seconds < 48 * 3600 else then.date().isoformat()
