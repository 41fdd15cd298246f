"""The text of one sheet, in one form for all formats of spreadsheets.

A line `## Name`, then one line for each row that is not empty: its cells from column A to the last filled one,
separated by tabs. Tabs and line ends inside of a cell are blanks. A row with more than twenty empty columns in sequence
is written without its empty cells; the index has the column of each cell. What belongs to the sheet but to no row
follows in lines with brackets: `[merged cells: A1:B1]`, `[comment on C3 by Ann]: …`.
"""

import re
from collections.abc import Iterable

from ...draft import Draft

MOST_ROWS = 1 << 20
"""The most rows that a sheet of any program has."""
MOST_COLUMNS = 1 << 14
LARGEST_TEXT = 200 << 20
"""Characters of one workbook. The host refuses longer texts."""
_LONGEST_GAP = 20
_MOST_RANGES = 2_000
_BREAKS = re.compile(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_STATES = {"visible": "", "hidden": " (hidden)", "veryHidden": " (very hidden)"}


class TooMuch(ValueError):
    """More text or more cells than are read."""


def cell_text(text: str) -> str:
    """Return a cell's text as one field of a line."""
    return _BREAKS.sub(" ", text) if not text.isascii() or not text.isprintable() else text


class SheetText:
    """Writes the sheets of one workbook into a draft."""

    def __init__(self, draft: Draft) -> None:
        """Begin a workbook. `draft.meta` gains `sheets`, `hidden_sheets` and the numbers of rows."""
        self._draft = draft
        self._names: list[str] = []
        self._between = ""
        draft.meta["sheets"] = self._names

    def begin(self, name: str, state: str = "visible") -> None:
        """Begin a sheet. `state`: `visible`, `hidden` or `veryHidden`."""
        if self._names:
            self._draft.write("\n")
        self._names.append(name)
        if state != "visible":
            self._draft.meta.setdefault("hidden_sheets", []).append(name)
        self._draft.mark("sheets", name, state=state)
        self._draft.write(f"## {cell_text(name)}{_STATES.get(state, f' ({state})')}\n")
        self._draft.meta.setdefault("rows", []).append(0)

    def row(self, number: int, cells: list[tuple[int, str]]) -> None:
        """Write one row: its cells that are not empty, with their columns from 1. Raises TooMuch."""
        if not cells:
            return
        line, columns = _line(cells)
        if self._draft.chars + len(line) > LARGEST_TEXT:
            raise TooMuch("too much text")
        self._draft.mark_row(number, columns)
        self._draft.write(line)
        self._draft.meta["rows"][-1] += 1

    def end(self) -> None:
        """End the last sheet: an empty line stands before what is noted of the workbook."""
        self._between = "\n"

    def note(self, text: str) -> None:
        """Write a line about the sheet, such as a comment. Raises TooMuch."""
        line = cell_text(text).strip()
        if self._draft.chars + len(line) > LARGEST_TEXT:
            raise TooMuch("too much text")
        if line:
            self._draft.write(f"{self._between}{line}\n")
            self._between = ""

    def ranges(self, noun: str, ranges: Iterable[str]) -> None:
        """Write a line with ranges of the sheet: `[merged cells: A1:B1, C3:C4]`."""
        found = list(dict.fromkeys(ranges))
        if found:
            more = f" and {len(found) - _MOST_RANGES:,} more" if len(found) > _MOST_RANGES else ""
            self.note(f"[{noun}: {', '.join(found[:_MOST_RANGES])}{more}]")


def _line(cells: list[tuple[int, str]]) -> tuple[str, list[int] | None]:
    """Return the line of a row, and its columns where they are not simply 1, 2, 3 …"""
    count = len(cells)
    if cells[0][0] == 1 and cells[-1][0] == count and all(cell[0] == at for at, cell in enumerate(cells, 1)):
        return "\t".join([text for _, text in cells]) + "\n", None
    pieces: list[str] = []
    before = 0
    for column, text in cells:
        if not 0 < column - before <= _LONGEST_GAP + 1:
            # A long gap, or columns in disorder.
            return "\t".join([text for _, text in cells]) + "\n", [column for column, _ in cells]
        pieces.append("\t" * (column - before if before else column - 1))
        pieces.append(text)
        before = column
    return "".join(pieces) + "\n", None


def column_name(number: int) -> str:
    """Return a column's letters: `A` for 1, `AA` for 27."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_number(letters: str) -> int:
    """Return a column's number from its letters; 0 for one that no sheet has."""
    number = 0
    for letter in letters[:4].upper():
        if not "A" <= letter <= "Z":
            return 0
        number = number * 26 + ord(letter) - 64
    return number if number <= MOST_COLUMNS else 0


def spans(numbers: Iterable[int]) -> list[str]:
    """Return numbers as ranges: `3-5`, `9`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{first}" if first == last else f"{first}-{last}" for first, last in found]
