"""Tables and trees as text, with every cell escaped.

Tables are laid out here because Rich's table takes six seconds for ten thousand sub-calls (this one: half a second).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .console import put, stdout_console
from .escape import safe_line

STATUS_STYLES = {
    "answered": "green",
    "running": "cyan",
    "busy": "cyan",
    "paused": "yellow",
    "stopped": "yellow",
    "budget": "yellow",
    "failed": "red",
    "damaged": "red",
}
_GAP = "  "
_LEAST = 16
_IN_A_PIPE = 300


@dataclass(frozen=True)
class Column:
    """A column. `wide` columns share the remaining width of the terminal; the others are cut at `limit` characters.

    The cells of a `safe` column are escaped already, and shown with all their spaces.
    """

    title: str
    right: bool = False
    wide: bool = False
    limit: int = 40
    safe: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, status_column: int | None = None) -> None:
    """Print the rows on stdout. In a pipe they have no colours and are not cut at the terminal's width."""
    console = stdout_console()
    most = console.width if console.is_terminal else _IN_A_PIPE
    limits = [most if column.wide else column.limit for column in columns]
    made_safe = [(column.safe, limit) for column, limit in zip(columns, limits, strict=True)]
    cells = [
        [cell if safe else safe_line(cell, limit) for cell, (safe, limit) in zip(row, made_safe, strict=True)]
        for row in rows
    ]
    widths = _widths(columns, cells, most)
    lines = [_line(columns, widths, row) for row in ([column.title for column in columns], *cells)]
    if not console.is_terminal:
        put("\n".join(lines))
        return
    console.print(Text(lines[0], style="bold"), soft_wrap=True)
    for row, line in zip(cells, lines[1:], strict=True):
        text = Text(line)
        if status_column is not None:
            status = row[status_column]
            start = line.find(f"{_GAP}{status}") + len(_GAP)
            text.stylize(STATUS_STYLES.get(status, ""), start, start + len(status))
        console.print(text, soft_wrap=True)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], most: int) -> list[int]:
    """Return the width of each column: what its cells need, for wide ones at most a share of the remaining width."""
    widths = [max([cell_len(column.title), *(cell_len(row[at]) for row in cells)]) for at, column in enumerate(columns)]
    wide = sorted((at for at, column in enumerate(columns) if column.wide), key=lambda at: widths[at])
    left = most - sum(width for at, width in enumerate(widths) if not columns[at].wide) - len(_GAP) * (len(columns) - 1)
    for place, at in enumerate(wide):
        share = max(_LEAST, left // (len(wide) - place))
        widths[at] = min(widths[at], share)
        left -= widths[at]
    return widths


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts: list[str] = []
    for column, width, cell in zip(columns, widths, row, strict=True):
        size = cell_len(cell)
        if size > width:
            parts.append(f"{set_cell_size(cell, width - 1)}…")
        else:
            room = " " * (width - size)
            parts.append(f"{room}{cell}" if column.right else f"{cell}{room}")
    return _GAP.join(parts).rstrip()


def ago(moment: str, now: datetime | None = None) -> str:
    """Return how long ago a time (ISO 8601) was, such as `12 s ago` or `3 h ago`, or its date from 48 hours on."""
    then = datetime.fromisoformat(moment)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return f"{max(0, int(seconds))} s ago"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    return f"{int(seconds // 3600)} h ago" if seconds < 48 * 3600 else then.date().isoformat()


T = TypeVar("T")


def drawn(
    roots: Sequence[T], below: Callable[[T], Sequence[T]], most: int | None = None
) -> Iterator[tuple[str, T | int]]:
    """Yield the items of a tree, each behind its guides, of each level the first `most`. Roots have no guides.

    A number in place of an item is the number of items left out.
    """
    yield from _level(roots, below, most, "", root=True)


def _level(
    things: Sequence[T], below: Callable[[T], Sequence[T]], most: int | None, guides: str, *, root: bool
) -> Iterator[tuple[str, T | int]]:
    shown = things[:most]
    left = len(things) - len(shown)
    for place, thing in enumerate(shown):
        last = place == len(shown) - 1 and not left
        yield guides + _fork(root=root, last=last), thing
        under = "" if root else ("  " if last else "│ ")
        yield from _level(below(thing), below, most, guides + under, root=False)
    if left:
        yield guides + _fork(root=root, last=True), left


def _fork(*, root: bool, last: bool) -> str:
    if root:
        return ""
    return "└ " if last else "├ "


class Forest:
    """Names, each of which is below another one or is a root."""

    def __init__(self, above: Mapping[str, str | None]) -> None:
        """Build the forest. `above` maps each name to the one above it, which is ignored unless it is a name too."""
        self.roots = [name for name, over in above.items() if over not in above]
        self._below: dict[str, list[str]] = {name: [] for name in above}
        for name, over in above.items():
            if over in self._below:
                self._below[over].append(name)
        # Damaged rows may say that runs are below each other. These runs become roots, so that none is hidden.
        reached = {one for root in self.roots for one in (root, *self._all_below(root))}
        for name in (circling := [name for name in above if name not in reached]):
            self._below[name] = [one for one in self._below[name] if one in reached]
        self.roots += circling

    def below(self, name: str) -> list[str]:
        """Return the names directly below it."""
        return self._below[name]

    def count_below(self, name: str) -> int:
        """Return the number of names below it, at all levels."""
        return sum(1 for _ in self._all_below(name))

    def drawn(self) -> Iterator[tuple[str, str]]:
        """Yield all names, each behind its guides."""
        for guides, name in drawn(self.roots, self.below):
            yield guides, str(name)

    def _all_below(self, name: str) -> Iterator[str]:
        waiting = list(self._below[name])
        while waiting:
            yield (one := waiting.pop())
            waiting += self._below[one]
