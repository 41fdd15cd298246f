"""The cells of a worksheet of Excel, row by row: the memory in use is that of one row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from ...draft import Draft
from ..office.drawing_text import rich_text
from ..office.zip_package import Element, Package, local
from .excel_formulas import moved
from .number_formats import BUILT_IN, GENERAL, NumberFormat, number_format, plain
from .sheet_text import MOST_COLUMNS, MOST_ROWS, SheetText, TooMuch, cell_text, column_number

_MOST_BETWEEN_ROWS = 64 << 20
"""Bytes without the end of a row, beyond which a file is not a sheet that a program has saved."""
_MOST_SHOWN_NUMBERS = 200_000
"""Numbers whose text is kept, because most sheets repeat many."""
_MOST_IN_A_ROW = 64 << 20
"""Characters of one row."""
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


class Metered:
    """A stream that raises TooMuch when much is read while nothing is finished."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Wrap a stream."""
        self._stream = stream
        self.since = 0
        """Bytes since something was finished."""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises TooMuch."""
        data = self._stream.read(size)
        self.since += len(data)
        if self.since > _MOST_BETWEEN_ROWS:
            raise TooMuch("a row without an end")
        return data


def elements(package: Package, name: str, tag: str, roots: list[Element] | None = None) -> Iterator[Element]:
    """Yield a part's elements named `tag`, each cleared before the next one is read.

    `roots` gains the part's root when everything is read: with all that is not in such elements. Raises TooMuch,
    KeyError, XMLSyntaxError, BadZipFile.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    with package.stream(name) as stream:
        metered = Metered(stream)
        parsed = etree.iterparse(metered, tag=f"{{*}}{tag}", **_OPTIONS)
        for _, element in parsed:
            metered.since = 0
            yield element
            parent = element.getparent()
            element.clear()
            if parent is not None:
                while element.getprevious() is not None:
                    del parent[0]
        if roots is not None:
            roots.append(parsed.root)


def unescaped(text: str) -> str:
    """Return text with `_x000D_` and its like as the characters that they stand for."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(lambda match: "_" if match[1] == "005F" else chr(int(match[1], 16)), text)


def shared_strings(package: Package, name: str) -> list[str]:
    """Return the texts that cells share. Raises as `elements` does."""
    return [cell_text(unescaped(rich_text(one))) for one in elements(package, name, "si")]


def number_formats(styles: Element, since_1904: bool) -> list[NumberFormat]:
    """Return the number format of each style of cells."""
    codes = dict(BUILT_IN)
    for one in styles.iter("{*}numFmt"):
        number = str(one.get("numFmtId", ""))
        # Conditional formats have numbers of their own, in an element `dxf`.
        if number.isdigit() and local(one.getparent()) == "numFmts":
            codes[int(number)] = one.get("formatCode", "")
    found: list[NumberFormat] = []
    for formats in styles.iter("{*}cellXfs"):
        for one in formats:
            number = str(one.get("numFmtId", "0"))
            found.append(number_format(codes.get(int(number) if number.isdigit() else 0, ""), since_1904))
    return found


@dataclass
class Workbook:
    """All that the cells of a workbook refer to, and how many of them are odd."""

    strings: list[str] = field(default_factory=list[str])
    formats: list[NumberFormat] = field(default_factory=list[NumberFormat])
    since_1904: bool = False
    formulas: int = 0
    without_value: int = 0
    """Formulas without a stored value."""
    shown: dict[tuple[str | None, str], str] = field(default_factory=dict[tuple[str | None, str], str])

    def format_of(self, style: str | None) -> NumberFormat:
        """Return the number format of a style; GENERAL for one that does not exist."""
        at = int(style) if style and style.isdigit() else 0
        return self.formats[at] if at < len(self.formats) else GENERAL

    def number(self, style: str | None, raw: str) -> str:
        """Return a stored number as it is shown."""
        key = (style, raw)
        found = self.shown.get(key)
        if found is None:
            found = self._number(style, raw)
            if len(self.shown) >= _MOST_SHOWN_NUMBERS:
                self.shown.clear()
            self.shown[key] = found
        return found

    def _number(self, style: str | None, raw: str) -> str:
        wanted = self.format_of(style)
        try:
            if wanted.general:
                return raw if raw.isdigit() else plain(float(raw))
            return cell_text(wanted.number(float(raw)))
        except (ValueError, OverflowError):
            return cell_text(raw)

    def date(self, style: str | None, raw: str) -> str:
        """Return a date that is stored in ISO form as it is shown."""
        wanted = self.format_of(style)
        try:
            moment = datetime.fromisoformat(raw.strip().removesuffix("Z"))
        except ValueError:
            return cell_text(raw)
        if wanted.general:
            return cell_text(raw.removesuffix("T00:00:00"))
        begin = datetime(1904, 1, 1) if self.since_1904 else datetime(1899, 12, 30)
        return wanted.number((moment.replace(tzinfo=None) - begin).total_seconds() / 86_400)


class Sheet:
    """Writes the rows of one worksheet."""

    def __init__(self, book: Workbook, text: SheetText, draft: Draft) -> None:
        """Prepare a sheet that is begun in `text`. Losses go to `draft`."""
        self._book = book
        self._text = text
        self._draft = draft
        self.hidden: list[int] = []
        """The numbers of hidden rows with something in them."""
        self._masters: dict[str, tuple[str, int, int]] = {}
        self._columns: dict[str, int] = {}

    def read(self, package: Package, name: str) -> Element:
        """Write the rows, and return the part's root without them. Raises as `elements` does."""
        roots: list[Element] = []
        number = 0
        for row in elements(package, name, "row", roots):
            number = self._row_number(row.get("r"), number)
            cells = self._cells(row, number)
            if cells and row.get("hidden") in ("1", "true"):
                self.hidden.append(number)
            self._text.row(number, cells)
        return roots[0]

    def _row_number(self, stated: str | None, before: int) -> int:
        if stated is None:
            return before + 1
        if stated.isdigit() and len(stated) < 8 and 0 < int(stated) <= MOST_ROWS:
            return int(stated)
        self._draft.lose("rows with a forged number are counted on from the row before")
        return before + 1

    def _cells(self, row: Element, number: int) -> list[tuple[int, str]]:
        cells: list[tuple[int, str]] = []
        column = 0
        length = 0
        columns = self._columns
        for cell in row:
            place = cell.get("r")
            if place is None:
                column += 1
            else:
                letters = place.rstrip("0123456789")
                known = columns.get(letters)
                if known is None:
                    known = columns[letters] = self._column(letters)
                column = known or column + 1
            text = self._value(cell, number, column)
            if text:
                length += len(text)
                if length > _MOST_IN_A_ROW or len(cells) > MOST_COLUMNS:
                    raise TooMuch("too much in one row")
                cells.append((column, text))
        return cells

    def _column(self, letters: str) -> int:
        number = column_number(letters)
        if not number:
            self._draft.lose("cells with a forged address are counted on from the cell before")
        return number

    def _value(self, cell: Element, number: int, column: int) -> str:
        """Return a cell's text as it is shown; an empty one for an empty cell."""
        value = formula = inline = None
        for one in cell:
            tag = one.tag
            name = tag[tag.rfind("}") + 1 :]
            if name == "v":
                value = one.text
            elif name == "f":
                formula = one
            elif name == "is":
                inline = one
        kind = cell.get("t")
        if formula is not None:
            self._book.formulas += 1
            if not value and kind != "str" and inline is None:
                return self._formula(formula, number, column)
            self._remember(formula, number, column)
        if value:
            if kind is None or kind == "n":
                return self._book.number(cell.get("s"), value)
            if kind == "s":
                return self._shared(cell, value)
            return self._other(cell, kind, value)
        return self._styled(cell, cell_text(unescaped(rich_text(inline)))) if inline is not None else ""

    def _shared(self, cell: Element, value: str) -> str:
        try:
            text = self._book.strings[int(value)]
        except (ValueError, IndexError):
            self._draft.not_shown("cell without its text")
            return ""
        return self._styled(cell, text)

    def _other(self, cell: Element, kind: str, value: str) -> str:
        match kind:
            case "b":
                return {"0": "FALSE", "false": "FALSE", "1": "TRUE", "true": "TRUE"}.get(value, cell_text(value))
            case "d":
                return self._book.date(cell.get("s"), value)
            case "e":
                if cell.get("vm"):
                    self._draft.not_shown("picture or linked value")
                return cell_text(value)
            case _:
                return self._styled(cell, cell_text(unescaped(value)))

    def _styled(self, cell: Element, text: str) -> str:
        style = cell.get("s")
        if style is None or not text:
            return text
        wanted = self._book.format_of(style)
        return text if wanted.general else cell_text(wanted.text(text))

    def _remember(self, formula: Element, number: int, column: int) -> None:
        if formula.text and formula.get("t") == "shared":
            self._masters[formula.get("si", "")] = (formula.text, number, column)

    def _formula(self, formula: Element, number: int, column: int) -> str:
        self._book.without_value += 1
        self._remember(formula, number, column)
        if formula.text:
            return "=" + cell_text(formula.text)
        if formula.get("t") == "shared" and (master := self._masters.get(formula.get("si", ""))):
            text, row, first = master
            return "=" + cell_text(moved(text, number - row, column - first))
        return "=(formula without a text)"
