"""The rows of tables and the records of JSON Lines, one after the other: nothing holds a whole table."""

import csv
import json
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from .place_parts import Row
from .variables import quoted

_LONGEST_CELL = 64 << 20
"""Characters of a cell of a CSV file: a quotation mark that is never closed would take in the whole rest."""
_DELIMITERS = ",;\t|"
_SAMPLE = 20
"""Lines by which the delimiter is guessed."""
_NAMED_LINES = 10


class _Feed:
    """Gives lines to the CSV reader, and counts characters and lines."""

    def __init__(self, lines: Iterator[str], mark: str) -> None:
        self.chars = self.ended = 0
        self.last = ""
        self._lines = lines
        self._mark = mark

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        self.chars += len(self.last)
        self.ended += self.last.endswith(self._mark)
        return self.last

    @property
    def line(self) -> int:
        """The line of the last character that was given."""
        return self.ended + (not self.last.endswith(self._mark))


def csv_rows(name: str, lines: Iterator[str], mark: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows of a CSV file, an empty one for an empty line. Raises ValueError, which names the line.

    `lines` end at any line end, while only `mark` counts as the end of a line of the document.
    """
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(_LONGEST_CELL)
    feed = _Feed(lines, mark)
    reader = csv.reader(feed, delimiter=delimiter)
    number = 0
    while True:
        start, first = feed.chars, feed.ended + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"line {first:,} of {quoted(name)} begins a row that is no CSV: {error}") from None
        number += 1
        end = feed.chars - (len(feed.last) - len(feed.last.rstrip("\r\n")))
        yield Row(cells, number, (first, feed.line), start, end)


def delimiter_of(lines: Iterator[str]) -> str:
    """Return the character that most evenly divides the first lines, outside of quotation marks; else a comma."""
    counts: dict[str, list[int]] = {one: [] for one in _DELIMITERS}
    quoted_part = False
    for _, line in zip(range(_SAMPLE), lines, strict=False):
        parts = line.split('"')
        begins_quoted, quoted_part = quoted_part, quoted_part ^ (len(parts) % 2 == 0)
        bare = "".join(parts[begins_quoted::2])
        for one, found in counts.items():
            found.append(bare.count(one))
    even = {
        one: sum(number == found[0] for number in found) * bool(found and found[0]) for one, found in counts.items()
    }
    best = max(even, key=lambda one: (even[one], sum(counts[one])))
    return best if sum(counts[best]) else ","


def sheet_rows(
    text: str,
    runs: Sequence[Sequence[int]],
    columns: Mapping[str, Sequence[int]],
    sheets: tuple[Sequence[int], Sequence[str]],
    line_of: Callable[[int], int],
) -> Iterator[Row]:
    """Yield the rows of spreadsheets: each is a line of cells separated by tabs, and each run so many lines.

    `sheets`: the offsets at which they begin, and their names.
    """
    starts, names = sheets
    for start, first, count in runs:
        sheet = bisect_right(starts, start)
        line = line_of(start)
        for number in range(first, first + count):
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
            name = names[sheet - 1] if sheet else ""
            cells = text[start:end].split("\t")
            yield Row(cells, number, (line, line), start, end, name, columns.get(f"{sheet}:{number}"))
            start, line = end + 1, line + 1
            if start > len(text):
                break


def records_of_rows(rows: Iterator[Row]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the first line of each row, and the row as a dict by the names in the first one. Empty rows are left out.

    A name that occurs twice is numbered; a cell without a name is called by its column.
    """
    names: list[str] = []
    taken: dict[str, int] = {}
    for cell in next(rows, ()):
        name = cell or f"column {len(names) + 1}"
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    for row in rows:
        if row:
            cells = zip_longest(names, row)
            record = {name or f"column {at}": cell or "" for at, (name, cell) in enumerate(cells, 1)}
            yield row.lines[0], record


def json_records(name: str, lines: Iterator[str], *, skip: bool) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each line of JSON. Empty lines are left out.

    A line that is no JSON raises ValueError. With `skip` it is left out, and a warning at the end names such lines.
    """
    skipped: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t\r\n"):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not skip:
                raise ValueError(
                    f"line {number:,} of {quoted(name)} is no JSON ({error}); errors='skip' leaves such lines out"
                ) from None
            skipped.append(number)
            continue
        yield number, value
    if skipped:
        shown = ", ".join(map(str, skipped[:_NAMED_LINES])) + (", …" if len(skipped) > _NAMED_LINES else "")
        warnings.warn(f"{len(skipped):,} lines of {name} are no JSON and were left out: {shown}", stacklevel=2)
