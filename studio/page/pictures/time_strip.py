"""Time as a picture: turns as cells, calls under way as a band, sub-RLMs as bars, pauses folded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ....graph.run_times import ChildRun, RunTimes
from ....state.turn_rows import TurnRow
from ....state.wording import counted
from ..escaped import plain
from ..numbers import span
from .drawing import line, link, picture, rect, words
from .scale import Scale

BINS = 240
"""Parts of the width in which calls are counted."""
_CELLS, _CELL = 20, 18
_BAND, _BAND_HEIGHT = 46, 28
_BASE = _BAND + _BAND_HEIGHT
_ROWS = _BASE + 8
_MOST_ROWS = 24
_THIN_FROM = 10
_NUMBERED = 2.2
"""Per cent of the width from which a cell has its number in it."""
_LINKED = 0.5
"""Per cent of the width from which a cell is a link: nobody can hit a smaller one."""
_PIXEL = 0.1
_ZOOMS = 20
"""Parts of a long run that lead to a closer look at their turns."""
_TICKS = (0, 25, 50, 75, 100)
_APART = 7.0
"""Per cent between two texts that do not meet."""

Href = Callable[..., str]


@dataclass(frozen=True)
class Strip:
    """The picture, and sentences that say the same."""

    drawn: Markup
    said: str
    pauses: list[str]
    """The folded pauses, the longest ones first."""
    most: int
    """The most calls that were under way within one part of the width: of short ones, more than at any one time."""
    rows: int
    """The number of rows of bars that are drawn."""
    failed: bool
    """True when code of one of the turns has failed, which has a colour of its own."""


def time_strip(times: RunTimes, href: Href, thread: str, scale: Scale | None = None) -> Strip:
    """Return the picture of a run's times. `href` gives the address of a screen."""
    scale = scale or Scale(times)
    rows = _rows(times)
    shown = min(len(rows), _MOST_ROWS)
    thick = 14 if shown <= _THIN_FROM else 7
    height = _ROWS + shown * (thick + 3) + (4 if shown else -4)
    flights = _in_flight(times, scale)
    most = max(flights, default=0)
    drawn = [
        rect("s-back", 0, 18, 100, height - 18, radius=3),
        *_cells(times, scale, href, thread),
        *_band(flights, most),
        line("s-line", 0, 100, _BASE + 0.5, _BASE + 0.5),
        *_children(rows[:_MOST_ROWS], times, scale, href, thick),
        *_folds(scale, height),
        *_ticks(scale),
        *_zooms(times, scale, href, thread),
    ]
    pauses = [fold.why for fold in sorted(scale.folds, key=lambda fold: -fold.seconds)]
    said = _said(times, scale)
    failed = any(map(_is_failed, times.turns))
    return Strip(picture("strip", said, height, drawn, linked=True), said, pauses, most, shown, failed)


def _said(times: RunTimes, scale: Scale) -> str:
    parts = [f"{counted(len(times.turns), 'turn')}, {span(scale.seconds)} drawn"]
    parts += [counted(len(times.children), "sub-RLM")] if times.children else []
    return ", ".join(parts)


def _cells(times: RunTimes, scale: Scale, href: Href, thread: str) -> Iterator[Markup]:
    """Yield the cells of turns: the root model at work, then code. What is narrower than a pixel is drawn once."""
    drawn: dict[str, float] = {}
    for turn in times.turns:
        for kind, low, high in _parts_of(turn, times.end if times.alive else None):
            x, until = scale(low), scale(high)
            css = f"s-{kind}{' bad' if kind == 'code' and _is_failed(turn) else ''}"
            if until - x < _PIXEL and drawn.get(css, -1.0) > x - _PIXEL:
                continue
            drawn[css] = until
            yield _cell(turn, kind, css, x, max(until - x, 0.15), high - low, href, thread)


def _cell(
    turn: TurnRow, kind: str, css: str, x: float, width: float, seconds: float, href: Href, thread: str
) -> Markup:
    if width < _LINKED:
        return rect(css, x, _CELLS, width, _CELL)
    doing = {"plan": "the model writes", "code": "code runs", "wait": "code waits for its calls"}[kind]
    title = f"Turn {turn.turn}: {doing}, {span(seconds)}"
    cell = rect(css, x, _CELLS, width, _CELL, title=title, radius=1.5)
    if kind == "plan" and width > _NUMBERED:
        cell += words("s-no", x + width / 2, _CELLS + 13, str(turn.turn))
    return link(href("runs", thread, "turns", turn.turn), f"Turn {turn.turn}", cell)


def _is_failed(turn: TurnRow) -> bool:
    return turn.status not in (None, "ok")


def _parts_of(turn: TurnRow, now: float | None) -> Iterator[tuple[str, float, float]]:
    """Yield the parts of a turn with their times: `plan`, `code`, and `wait` where code waits for its calls."""
    asked, planned, began, ended = turn.asked, turn.planned, turn.began, turn.ended
    if asked is not None and (until := planned if planned is not None else now) is not None:
        yield "plan", asked, max(asked, until)
    if began is None and now is not None:
        # That a cell has begun is saved once it has made calls or has ended.
        began = planned
    if began is None or (end := ended if ended is not None else now) is None:
        return
    first, last = turn.first_call, turn.last_call
    end = max(began, end)
    if first is None or first >= end:
        yield "code", began, end
        return
    # A call of an earlier run of the same cell is older than the cell.
    first = max(began, first)
    last = end if last is None or ended is None else max(first, min(end, last))
    yield "code", began, first
    yield "wait", first, last
    if last < end:
        yield "code", last, end


def _in_flight(times: RunTimes, scale: Scale) -> list[int]:
    """Return how many calls were under way in each part of the width."""
    changes = [0] * (BINS + 1)
    for begin, until, count in times.flights:
        low, high = (min(BINS - 1, int(scale(at) / 100 * BINS)) for at in (begin, until))
        changes[low] += count
        changes[max(high, low + 1)] -= count
    found: list[int] = []
    now = 0
    for change in changes[:BINS]:
        now += change
        found.append(now)
    return found


def _band(flights: Sequence[int], most: int) -> Iterator[Markup]:
    width = 100 / BINS
    at = 0
    while at < BINS:
        until = at
        while until < BINS and flights[until] == flights[at]:
            until += 1
        if flights[at]:
            # By the square root: a single call is seen beside a hundred.
            height = max(2.0, _BAND_HEIGHT * (flights[at] / most) ** 0.5)
            title = counted(flights[at], "call") + " under way"
            yield rect("s-calls", at * width, _BASE - height, (until - at) * width + 0.03, height, title=title)
        at = until


def _rows(times: RunTimes) -> list[list[ChildRun]]:
    """Return the sub-RLMs in as many rows as ran at once."""
    rows: list[list[ChildRun]] = []
    for child in times.children:
        free = next((row for row in rows if _until(row[-1], times) <= child.created), None)
        if free is None:
            rows.append([child])
        else:
            free.append(child)
    return rows


def _until(child: ChildRun, times: RunTimes) -> float:
    return times.end if child.status == "running" and times.alive else child.updated


def _children(
    rows: Sequence[Sequence[ChildRun]], times: RunTimes, scale: Scale, href: Href, thick: int
) -> Iterator[Markup]:
    for place, row in enumerate(rows):
        for child in row:
            x, until = scale(child.created), scale(_until(child, times))
            question = plain(child.question, 80)
            title = f"{question} ({child.status}, {counted(child.turns, 'turn')})"
            status = child.status if child.status in ("failed", "running") else "done"
            y = _ROWS + place * (thick + 3)
            bar = rect(f"s-child {status}", x, y, max(0.3, until - x), thick, title=title, radius=2)
            yield link(href("runs", child.thread_id), f"Sub-RLM: {question}", bar)


def _folds(scale: Scale, height: float) -> Iterator[Markup]:
    before = -_APART
    for fold in scale.folds:
        x = scale(fold.begin) + scale.gap / 2
        yield rect("s-gap", x - scale.gap / 2, 18, scale.gap, height - 18, title=fold.why)
        yield line("s-fold", x, x, 18, height)
        if x - before >= _APART and 4 < x < 96:
            yield words("s-folded", x, 12, span(fold.seconds))
            before = x


def _ticks(scale: Scale) -> Iterator[Markup]:
    for share in _TICKS:
        if share in (0, 100) or not scale.folds:
            anchor = "start" if share == 0 else "end" if share == 100 else "middle"
            yield words("s-tick", share, 12, span(scale.seconds * share / 100) if share else "0 s", anchor)


def _zooms(times: RunTimes, scale: Scale, href: Href, thread: str) -> Iterator[Markup]:
    """Yield parts of a run of many turns as links to a picture of their turns alone."""
    if len(times.turns) <= 2 * BINS // 4:
        return
    each = -(-len(times.turns) // _ZOOMS)
    for at in range(0, len(times.turns), each):
        some = times.turns[at : at + each]
        known = [moment for turn in (some[0], some[-1]) for moment in (turn.asked, turn.ended) if moment is not None]
        if not known:
            continue
        x, until = scale(min(known)), scale(max(known))
        label = f"Turns {some[0].turn} to {some[-1].turn}"
        area = rect("s-zoom", x, 18, max(0.5, until - x), _BASE - 18, title=label)
        address = href("runs", thread, **{"from": some[0].turn, "to": some[-1].turn})
        yield link(address, label, area)
