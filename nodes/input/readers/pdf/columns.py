"""Pages of two columns that were written row by row: engines return `left right left right`, one line after another.

A gutter is a vertical strip that most lines leave empty in the middle, where the file itself jumps from left to
right. A page with one, whose halves are filled like prose and not like a table, is read half by half. Everything is
sorted once; nothing is compared in pairs.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from .text import letters

_FEWEST_LINES = 6
_MOST_BOXES = 20_000
_MOST_BANDS = 40
_FILLED = 0.7
"""The part of a column's width that its lines have on average in prose."""


class Box(NamedTuple):
    """A run of text on the page, in points from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float


class _Line(NamedTuple):
    bottom: float
    top: float
    boxes: list[Box]


TextIn = Callable[[float, float, float, float], str]
"""Returns the text between left, bottom, right and top."""


def boxes_of(textpage: Any) -> list[Box]:
    """Return the runs of text in the order of the file; none for a page that has too many to be worth it."""
    number = textpage.count_rects()
    return [Box(*textpage.get_rect(one)) for one in range(number)] if 0 < number <= _MOST_BOXES else []


def by_column(boxes: list[Box], text: str, text_in: TextIn) -> str:
    """Return the page's text column by column if it was written row by row, else an empty text."""
    gaps = _jumps(boxes)
    if len(gaps) < _FEWEST_LINES:
        return ""
    lines = _lines(boxes)
    gutter = _gutter(gaps)
    split = [line for line in lines if _sides(line, gutter) is not None]
    both = [sides for line in split if (sides := _sides(line, gutter)) and sides[0] and sides[1]]
    if len(both) < max(_FEWEST_LINES, 0.6 * len(lines)) or not _is_prose(both, gutter):
        return ""
    bands = _bands(lines, gutter)
    if len(bands) > _MOST_BANDS:
        return ""
    left, right = min(box.left for box in boxes) - 1, max(box.right for box in boxes) + 1
    pieces: list[str] = []
    for is_split, bottom, top in bands:
        if is_split:
            pieces += [text_in(left, bottom, gutter, top), text_in(gutter, bottom, right, top)]
        else:
            pieces.append(text_in(left, bottom, right, top))
    lines_of = [line.rstrip() for piece in pieces for line in piece.splitlines()]
    found = "\n".join(line for line in lines_of if line)
    # Better as the file has it than without a letter.
    return found if letters(found) == letters(text) else ""


def _jumps(boxes: list[Box]) -> list[tuple[float, float]]:
    """Return the gaps over which the file goes on at the right on the same line."""
    gaps: list[tuple[float, float]] = []
    for one, following in itertools.pairwise(boxes):
        height = one.top - one.bottom
        same_line = one.bottom < (following.top + following.bottom) / 2 < one.top
        if same_line and following.left - one.right > max(height, 4):
            gaps.append((one.right, following.left))
    return gaps


def _gutter(gaps: list[tuple[float, float]]) -> float:
    """Return the middle of the strip that most gaps share."""
    edges = sorted([(left, 0) for left, _ in gaps] + [(right, 1) for _, right in gaps])
    most = here = 0
    best = (0.0, 0.0)
    for number, (at, kind) in enumerate(edges):
        here += 1 if kind == 0 else -1
        if here > most and number + 1 < len(edges):
            most, best = here, (at, edges[number + 1][0])
    return (best[0] + best[1]) / 2


def _lines(boxes: list[Box]) -> list[_Line]:
    """Return the lines from top to bottom."""
    lines: list[_Line] = []
    for box in sorted(boxes, key=lambda box: -(box.bottom + box.top)):
        middle = (box.bottom + box.top) / 2
        if lines and lines[-1].bottom < middle:
            last = lines[-1]
            lines[-1] = _Line(min(last.bottom, box.bottom), max(last.top, box.top), last.boxes)
            last.boxes.append(box)
        else:
            lines.append(_Line(box.bottom, box.top, [box]))
    return lines


def _sides(line: _Line, gutter: float) -> tuple[list[Box], list[Box]] | None:
    """Return the runs at the left and at the right of the gutter; None for a line that crosses it."""
    if any(box.left < gutter < box.right for box in line.boxes):
        return None
    return [box for box in line.boxes if box.right <= gutter], [box for box in line.boxes if box.left >= gutter]


def _is_prose(both: list[tuple[list[Box], list[Box]]], gutter: float) -> bool:
    """Return whether the lines fill both halves, without further gaps, as running text does and tables do not."""
    for side in (0, 1):
        boxes = [sides[side] for sides in both]
        first = min(min(box.left for box in line) for line in boxes)
        last = max(max(box.right for box in line) for line in boxes)
        widths = [max(box.right for box in line) - min(box.left for box in line) for line in boxes]
        height = sum(line[0].top - line[0].bottom for line in boxes) / len(boxes)
        if sum(widths) < _FILLED * len(widths) * (last - first) or last - first < 9 * height:
            return False
        wide = sum(
            any(right.left - left.right > 2 * height for left, right in itertools.pairwise(line))
            for line in (sorted(line) for line in boxes)
        )
        if wide > 0.3 * len(boxes):
            return False
    return both[0][0][0].left < gutter


def _bands(lines: list[_Line], gutter: float) -> list[tuple[bool, float, float]]:
    """Return runs of lines that leave the gutter empty, and runs that cross it, with their lower and upper edges."""
    bands: list[tuple[bool, float, float]] = []
    for number, line in enumerate(lines):
        above = (lines[number - 1].bottom + line.top) / 2 if number else line.top + 10
        below = (line.bottom + lines[number + 1].top) / 2 if number + 1 < len(lines) else line.bottom - 10
        is_split = _sides(line, gutter) is not None
        if bands and bands[-1][0] == is_split:
            bands[-1] = (is_split, below, bands[-1][2])
        else:
            bands.append((is_split, below, above))
    return bands
