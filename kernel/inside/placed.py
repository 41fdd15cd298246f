"""A document's lines, pages, rows, records and sections, and the place of a character in words.

Lines and pages count from 1, and both ends of a range are included. Offsets count the characters of the text from 0.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

from .context_file import Pack
from .context_index import places_in
from .cuts import CELLS, note, note_lines, noted_records, noted_rows
from .line_index import LineIndex, line_index, lines_in_order
from .place_parts import Page, Pages, Row, Section, column_letters, markdown_headings, nested
from .places import Marks, Runs, marks_of, runs_of
from .records import csv_rows, delimiter_of, json_records, records_of_rows, sheet_rows
from .variables import quoted

if TYPE_CHECKING:
    from .grep import Line
    from .search import Hits

_MARKDOWN = (".md", ".markdown")
_LONGEST_TITLE = 80
_PAGED = ("pages", "slides")
_NAMED = (("pages", "page"), ("slides", "slide"), ("messages", "message"), ("cells", "cell"))
"""Kinds of places, and the word with which one is called by its number."""
_NO_MARKS = Marks((), (), {})


class Placed:
    """A document whose text is a range of a pack, and whose places stand in the pack's index."""

    __slots__ = ()

    name: str
    meta: dict[str, Any]

    def stored(self) -> tuple[Pack, int, int]:
        """Return the pack and the range of it, in bytes, that is the text. Raises LookupError without one."""
        raise NotImplementedError

    def cut_from(self) -> tuple[str, tuple[int, int], str, int, int]:
        """Return what `cuts.note` needs: the path of the pack, the document's range and name, an offset, its length.

        Offsets of this text plus the offset are those of the document. Raises LookupError without a pack.
        """
        pack, start, end = self.stored()
        return pack.path, (start, end), self.name, 0, self._chars_now()

    def index_line(self) -> bytes:
        """Return the document's line of the index; empty without one."""
        raise NotImplementedError

    # -- search

    def search(self, words: str | Iterable[str], k: int = 20) -> "Hits":
        """Return the best `k` passages of this document that have some of the words, best first (`search.Hit`)."""
        from .search import search

        _, start, end = self.stored()
        return search(words, k, [(start, end)], lambda _: self)

    def grep(
        self,
        pattern: str | re.Pattern[str],
        files: str | Iterable[Any] | int | None = None,
        context: int = 0,
        flags: int = 0,
        limit: int | None = None,
    ) -> "Iterator[Line]":
        """Yield every line in which the regular expression is found, as `(name, number from 1, line)` (`grep.Line`).

        `files`: patterns or names, of which the document's name must be one. `context`: how many lines before and after
        each it also has. `limit`: the most lines.
        """
        from .grep import grep, is_chosen

        if isinstance(files, int):  # `grep(pattern, re.I)`, as `re` has it
            files, flags = None, files
        return grep([self] if files is None or is_chosen(self.name, files) else [], pattern, flags, context, limit)

    # -- lines

    @property
    def line_count(self) -> int:
        """The number of lines: those that an editor counts, without an empty one after the last line end."""
        return self._line_index().count

    def lines(self, first: int, last: int, numbered: bool = False) -> str:
        """Return the lines `first` to `last`, both included, from 1, with their line ends.

        `numbered` puts its number before each: `12: text`. Raises IndexError, which names the last line.
        """
        index = self._line_index()
        if not 1 <= first <= last <= index.count:
            raise IndexError(
                f"there are no lines {first} to {last}: {self._called()} has {_count(index.count, 'line')}"
            )
        pack, _, _ = self.stored()
        text = index.read(pack, first, last)
        note_lines(self, first, last, text)
        if not numbered:
            return text
        mark = index.mark.decode()
        whole = text.removesuffix(mark)
        lines = (f"{number}: {line}" for number, line in enumerate(whole.split(mark), first))
        return mark.join(lines) + text[len(whole) :]

    def line_of(self, offset: int) -> int:
        """Return the line, from 1, in which the character at `offset` is. Raises IndexError."""
        self._check(offset)
        index = self._line_index()
        if not index.count:
            raise IndexError(f"{self._called()} is empty: it has no lines")
        return index.line_at(self.stored()[0], offset)

    def column_of(self, offset: int) -> int:
        """Return the column, from 1, of the character at `offset` in its line. Raises IndexError."""
        self._check(offset)
        return offset - self._line_index().start_before(self.stored()[0], offset) + 1 if self._chars_now() else 1

    # -- pages

    @property
    def pages(self) -> Pages:
        """The pages, or the slides of a presentation, from index 0; `.page(n)` counts from 1. Empty without any."""
        found = self._paged()
        return Pages(self, found.at, found.labels) if found else Pages(self, (), ())

    def page(self, number: int) -> Page:
        """Return the page or slide with this number, from 1, wherever its printed number begins. Raises IndexError."""
        pages = self.pages
        if not pages:
            raise IndexError(f"{self._none('pages')}; .lines(a, b) reads it by lines")
        if not 1 <= number <= len(pages):
            raise IndexError(f"there is no page {number}: the document has {_count(len(pages), 'page')}")
        return pages[number - 1]

    def page_of(self, offset: int) -> int:
        """Return the number of the page in which the character at `offset` is. Raises LookupError without pages."""
        self._check(offset)
        found = self._paged()
        if not found:
            raise LookupError(f"{self._none('pages')}; .line_of(offset) tells the line")
        number = found.number_at(offset)
        if not number:
            raise LookupError(f"the character {offset:,} stands before the first page of {self._called()}")
        return number

    # -- tables

    @property
    def sheets(self) -> list[str]:
        """The names of the sheets of a spreadsheet, in order."""
        found = self._marks("sheets")
        return list(found.labels) if found else []

    def rows(self, sheet: str | None = None) -> Iterator[Row]:
        """Yield the rows of a table as lists of texts, of one sheet or of all. Raises LookupError without a table."""
        return noted_rows(self, self._rows(sheet))

    def _rows(self, sheet: str | None = None) -> Iterator[Row]:
        """Return what `rows` does, for work whose results have nothing of it: they are not noted as read."""
        runs = self._runs()
        if sheet is not None and sheet not in self.sheets:
            names = ", ".join(map(quoted, islice(self.sheets, 20)))
            raise LookupError(
                f"there is no sheet {quoted(sheet)} in {self._called()}" + (f", but {names}" if names else "")
            )
        if runs is not None:
            found = self._marks("sheets") or _NO_MARKS
            rows = sheet_rows(self._whole(), runs.runs, runs.columns, (found.at, found.labels), self.line_of)
            return rows if sheet is None else (row for row in rows if row.sheet == sheet)
        if self._kind() == "CSV":
            mark = self._line_index().mark.decode()
            return csv_rows(self.name, self._in_lines(""), mark, self._delimiter())
        raise LookupError(f"{self._none('rows')}; .lines(a, b) reads it by lines")

    def cell(self, address: str) -> str:
        """Return the text of a cell, `Sheet1!B7`, or `B7` of the first sheet. An empty one is an empty text.

        Raises LookupError for another sheet, or without a table.
        """
        sheet, _, place = address.rpartition("!")
        place = place.replace("$", "").upper()
        name = sheet[1:-1].replace("''", "'") if sheet[:1] == sheet[-1:] == "'" and len(sheet) > 1 else sheet
        letters = place.rstrip("0123456789")
        if not letters.isalpha() or not letters.isascii() or not place[len(letters) :]:
            raise LookupError(f"{quoted(address)} is no address of a cell, such as 'Sheet1!B7'")
        wanted = int(place[len(letters) :])
        for row in self._rows(name or next(iter(self.sheets), None)):
            if row.number == wanted:
                note(self, row.start, row.end, "\n".join(row), CELLS)
                columns = {column_letters(row.column(at)): cell for at, cell in enumerate(row)}
                return columns.get(letters, "")
        return ""

    def records(self, numbered: bool = False, errors: Literal["raise", "skip"] = "raise") -> Iterator[Any]:
        """Yield the records: values of JSON Lines, messages of a history, rows of CSV as dicts by the first row.

        `numbered`: yield each with the line at which it begins, as `(line, value)`. A line that is no JSON raises
        ValueError, which names it; with `errors="skip"` a warning at the end names the lines that were left out.
        """
        messages = self._marks("messages")
        if messages:
            found: Iterator[tuple[int, Any]] = self._messages(messages)
        elif self._kind() == "CSV":
            found = records_of_rows(self.rows())
        else:
            mark = self._line_index().mark.decode()
            lines = noted_records(self, self._in_lines(mark))
            found = json_records(self.name, lines, skip=errors == "skip")
        return found if numbered else (value for _, value in found)

    # -- sections

    def sections(self) -> list[Section]:
        """Return the sections, each with its subsections in its text; of Markdown those of its `#` headings."""
        found = self._marks("sections")
        chars = self._chars_now()
        if found:
            levels = [level if type(level) is int else 1 for level in found.facts.get("level", [1] * len(found.at))]
            return nested(self, chars, (found.at, found.labels, levels))
        if found is None and self.name.lower().endswith(_MARKDOWN):
            return nested(self, chars, markdown_headings(self._in_lines(self._line_index().mark.decode())))
        return []

    @property
    def cells(self) -> list[Section]:
        """The cells of a notebook, in order."""
        found = self._marks("cells")
        if not found:
            return []
        facts = [dict(zip(found.facts, values, strict=True)) for values in zip(*found.facts.values(), strict=True)]
        spans = enumerate(found.spans(self._chars_now()))
        return [
            Section(self, at + 1, label, 1, start, end, facts[at] if facts else {}) for at, (label, start, end) in spans
        ]

    # -- any place

    @property
    def places(self) -> dict[str, list[tuple[str, int, int]]]:
        """All marked places: by their kind, a list of `(label, start, end)`; of rows, those that follow each other."""
        chars = self._chars_now()
        found: dict[str, list[tuple[str, int, int]]] = {}
        for kind in self._places():
            if kind != "rows" and (marks := self._marks(kind)):
                found[kind] = marks.spans(chars)
        if runs := self._runs():
            # Rows do not go into the next sheet.
            ends = sorted({*(start for start, _, _ in runs.runs), *(self._marks("sheets") or _NO_MARKS).at, chars})
            found["rows"] = [
                (f"rows {first} to {first + count - 1}", start, ends[min(bisect_right(ends, start), len(ends) - 1)])
                for start, first, count in runs.runs
            ]
        return found

    def address_of(self, offset: int) -> str:
        """Return the address of the cell of a spreadsheet in which a character is: `Sheet1!B7`; empty outside of cells.

        Raises IndexError outside of the text.
        """
        self._check(offset)
        sheets, runs = self._marks("sheets"), self._runs()
        sheet = sheets.number_at(offset) if sheets else 0
        if not sheets or not runs or not sheet or not (row := self._row_at(offset, sheets.at[sheet - 1])):
            return ""
        line = self.line_of(offset)
        cell = self.lines(line, line).count("\t", 0, self.column_of(offset) - 1)
        columns = runs.columns.get(f"{sheet}:{row}", ())
        return f"{sheets.labels[sheet - 1]}!{column_letters(columns[cell] if cell < len(columns) else cell + 1)}{row}"

    def place_of(self, offset: int) -> str:
        """Return the place of a character in words: `page 7`, `slide 3`, `Sheet1 row 12`, `§ Scope`, `line 120`.

        Raises IndexError outside of the text.
        """
        self._check(offset)
        sheets = self._marks("sheets")
        if sheets and (sheet := sheets.number_at(offset)):
            row = self._row_at(offset, sheets.at[sheet - 1])
            return sheets.labels[sheet - 1] + (f" row {row}" if row else "")
        for kind, word in _NAMED:
            found = self._marks(kind)
            if found and (number := found.number_at(offset)):
                return f"{word} {number}"
        sections = self._marks("sections")
        if sections and (number := sections.number_at(offset)) and (title := sections.labels[number - 1]):
            return f"§ {title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + '…'}"
        return f"line {self.line_of(offset)}" if self._chars_now() else "line 1"

    # -- from the index

    def _row_at(self, offset: int, sheet_start: int) -> int:
        """Return the number of the row in which a character is; 0 outside of rows."""
        runs = self._runs() or Runs((), {})
        at = bisect_right(runs.runs, offset, key=itemgetter(0)) - 1
        if at < 0 or runs.runs[at][0] < sheet_start:
            return 0
        start, first, count = runs.runs[at]
        number = self.line_of(offset) - self.line_of(start)
        return first + number if number < count else 0

    def _messages(self, found: Marks) -> Iterator[tuple[int, dict[str, Any]]]:
        roles = found.facts.get("role", found.labels)
        document: Any = self
        for number, (role, (_, start, end)) in enumerate(zip(roles, found.spans(self._chars_now()), strict=True), 1):
            message = {"number": number, "role": role, "text": document[start:end], "start": start, "end": end}
            yield self.line_of(start), message

    def _places(self) -> dict[str, Any]:
        return places_in(self.index_line())

    def _marks(self, kind: str) -> Marks | None:
        return _marks_in(self.index_line(), kind, self._chars_now())

    def _runs(self) -> Runs | None:
        return _runs_in(self.index_line(), self._chars_now())

    def _paged(self) -> Marks | None:
        return next((found for kind in _PAGED if (found := self._marks(kind))), None)

    def _line_index(self) -> LineIndex:
        return line_index(*self.stored())

    def _in_lines(self, newline: str) -> Iterator[str]:
        return lines_in_order(*self.stored(), newline)

    def _delimiter(self) -> str:
        known = self.meta.get("delimiter")
        if isinstance(known, str) and len(known) == 1:
            return known
        return "\t" if self.name.lower().endswith(".tsv") else delimiter_of(self._in_lines(""))

    def _kind(self) -> str:
        return str(self.meta.get("kind", ""))

    def _whole(self) -> str:
        document: Any = self
        return document.whole()

    def _chars_now(self) -> int:
        document: Any = self
        return len(document)

    def _check(self, offset: int) -> None:
        """Raise IndexError unless this is an offset of the text, or its end."""
        chars = self._chars_now()
        if not 0 <= offset <= chars:
            raise IndexError(f"there is no character {offset:,}: {self._called()} has {_count(chars, 'character')}")

    def _called(self) -> str:
        return quoted(self.name) if self.name else "the text"

    def _none(self, kind: str) -> str:
        of = f" ({self._kind()})" if self._kind() else ""
        return f"{self._called()}{of} has no {kind}: the index has no such places"


# Code asks for the place of one character after another.


@lru_cache(maxsize=16)
def _marks_in(line: bytes, kind: str, chars: int) -> Marks | None:
    return marks_of(places_in(line), kind, chars)


@lru_cache(maxsize=4)
def _runs_in(line: bytes, chars: int) -> Runs | None:
    return runs_of(places_in(line), chars)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
