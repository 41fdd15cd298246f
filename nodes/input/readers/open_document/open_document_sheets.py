"""Workbooks of OpenDocument (ODS, FODS) as text, in the form of `sheet_text.py`.

Values are shown as the file says that they are shown. Rows and cells that the file repeats are written out up to a
limit; beyond it they are shown once, and a loss says how often they are repeated.
"""

from typing import Any

from ...draft import Draft, GivenFile, Read
from ..office.drawing_text import one_line
from ..office.office_parts import Search
from ..office.zip_package import Element, attribute, local
from ..sheets.excel_cells import Metered
from ..sheets.sheet_text import MOST_COLUMNS, MOST_ROWS, SheetText, TooMuch, cell_text, column_name, spans
from .odf_cells import Frames, comment_line, is_shape, paragraphs
from .odf_package import PARSER, OdfPackage, count_media, properties
from .open_document_names import Rest, hidden_tables, page_texts, texts_of

_MOST_COPIES = 1_000
"""Copies of one row or of one cell that are written out."""
_MOST_COPIED = 2_000_000
"""Cells of one file that are copies of the one before."""
_HIDDEN = ("collapse", "filter")
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_PARAGRAPH = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}p"
_VALUES = tuple(f"{_OFFICE}{name}" for name in ("string-value", "date-value", "time-value", "boolean-value", "value"))


def read(given: GivenFile) -> Read:
    """Yield the workbook. Raises Unusable for a protected file."""
    package = OdfPackage(given, "ODS")
    draft = Draft("ODS")
    _Reading(package, draft).read()
    properties(package, draft)
    count_media(package, draft)
    yield draft


def repeated(element: Element, name: str) -> int:
    """Return how often an element stands for itself."""
    value = element.get(_TABLE + name)
    return max(1, int(value)) if value and value.isdigit() and len(value) < 10 else 1


class _Reading:
    def __init__(self, package: OdfPackage, draft: Draft) -> None:
        self._package = package
        self._draft = draft
        self._text = SheetText(draft)
        self._frames = Frames(package, draft, boxes=True)
        self._copied = 0
        self._without_value = 0
        self._formulas = 0
        self._hidden_tables: set[str] | None = None
        self._start("")

    def _start(self, name: str) -> None:
        """Forget the sheet before."""
        self._name = name
        self._row = 0
        self._notes: list[str] = []
        self._merged: list[str] = []
        self._hidden_rows: list[int] = []
        self._columns_known = False
        self._columns: list[str] = []

    def read(self) -> None:
        """Write the whole workbook, as far as it can be read."""
        root = None
        try:
            root = self._sheets()
        except TooMuch as error:
            self._draft.lose(f"sheet {self._name} is cut: {error}")
        except Exception as error:  # zipfile and lxml raise a dozen kinds; what was read is kept
            if not self._draft.chars:
                raise
            self._draft.lose(f"sheet {self._name} cannot be read to its end (damaged: {type(error).__name__})")
        self._text.end()
        if root is not None:
            Rest(self._draft, self._text).write(root)
            masters = dict.fromkeys(attribute(one, "master-page-name") for one in root.iter("{*}style"))
            for line in page_texts(self._package, self._draft, set(masters)):
                self._text.note(line)
            search = Search(self._draft)
            for words in texts_of(root):
                search.add("word of content.xml", words)
            search.report()
        if self._formulas:
            self._draft.meta["formulas"] = self._formulas
        if self._without_value:
            verb = "formulas have" if self._without_value > 1 else "formula has"
            self._draft.lose(f"{self._without_value:,} {verb} no stored value; the formula is shown")

    def _sheets(self) -> Element:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

        depth = 0
        with self._package.stream("content.xml") as stream:
            metered = Metered(stream)
            parsed: Any = etree.iterparse(metered, events=("start", "end"), tag=("{*}table", "{*}table-row"), **PARSER)
            for event, element in parsed:
                table = local(element) == "table"
                if table and event == "start":
                    depth += 1
                    if depth == 1 and _is_sheet(element):
                        self._begin(element)
                elif event == "end":
                    if depth == 1 and _in_sheet(element):
                        metered.since = 0
                        self._end(element) if table else self._rows(element)
                        _forget(element)
                    depth -= table
            return parsed.root

    def _begin(self, table: Element) -> None:
        if self._hidden_tables is None:
            self._hidden_tables = hidden_tables(table.getroottree().getroot())
        name = one_line(attribute(table, "name"))
        self._start(name)
        hidden = attribute(table, "style-name") in self._hidden_tables
        self._text.begin(name, "hidden" if hidden else "visible")

    def _rows(self, row: Element) -> None:
        """Write one row as often as it is repeated."""
        if not self._columns_known:
            self._columns_known = True
            self._columns = _hidden_columns(row)
        number = self._row + 1
        times = repeated(row, "number-rows-repeated")
        self._row += times
        cells = self._cells(row, number)
        if not cells:
            return
        if number > MOST_ROWS:
            raise TooMuch(f"more than {MOST_ROWS:,} rows")
        copies = min(times, MOST_ROWS - number + 1)
        if copies > _MOST_COPIES or self._copied + copies * len(cells) > _MOST_COPIED:
            self._draft.lose(f"row {number} of sheet {self._name} is repeated {times:,} times and shown once")
            copies = 1
        self._copied += (copies - 1) * len(cells)
        for copy in range(copies):
            self._text.row(number + copy, cells)
        if attribute(row, "visibility") in _HIDDEN:
            self._hidden_rows += range(number, number + copies)

    def _cells(self, row: Element, number: int) -> list[tuple[int, str]]:
        cells: list[tuple[int, str]] = []
        column = 1
        for cell in row:
            if cell.tag not in _CELLS:
                continue
            times = repeated(cell, "number-columns-repeated")
            text = self._value(cell)
            self._beside(cell, column, number)
            if text and times == 1:
                cells.append((column, text))
            elif text:
                copies = self._copies(times, column, number)
                cells += [(column + copy, text) for copy in range(copies)]
            column += times
        return cells

    def _copies(self, times: int, column: int, number: int) -> int:
        """Return how often a cell is written out that is repeated."""
        if times > _MOST_COPIES or self._copied + times > _MOST_COPIED:
            place = _place(column, number)
            self._draft.lose(f"cell {place} of sheet {self._name} is repeated {times:,} times and shown once")
            return 1
        self._copied += times - 1
        return times

    def _value(self, cell: Element) -> str:
        """Return a cell's text as it is shown."""
        formula = cell.get(f"{_TABLE}formula")
        if formula:
            self._formulas += 1
        if shown := _shown(cell):
            return shown
        for name in _VALUES:
            if value := cell.get(name):
                return cell_text(value.upper() if name.endswith("boolean-value") else value)
        if formula and not cell.get(f"{_OFFICE}value-type"):
            self._without_value += 1
            prefix, colon, body = formula.partition(":")
            return cell_text(body if colon and prefix.isalnum() else formula)
        return ""

    def _beside(self, cell: Element, column: int, number: int) -> None:
        """Keep what belongs to a cell and is written after the rows."""
        wide, high = repeated(cell, "number-columns-spanned"), repeated(cell, "number-rows-spanned")
        if wide > 1 or high > 1:
            self._merged.append(f"{_place(column, number)}:{_place(column + wide - 1, number + high - 1)}")
        for one in cell:
            if one.tag == _PARAGRAPH and not len(one):
                continue
            name = local(one)
            if name == "annotation":
                self._notes.append(comment_line(one, _place(column, number)))
            elif name == "detective":
                continue
            elif name not in ("p", "h"):
                self._notes += self._shapes([one])
            else:
                for link in one.iter("{*}a"):
                    if target := attribute(link, "href") if not is_shape(link) else "":
                        self._notes.append(f"[link on {_place(column, number)}: {target}]")
                self._notes += self._shapes(one)

    def _shapes(self, elements: Any) -> list[str]:
        found: list[str] = []
        for one in elements:
            found += self._frames.inside_of(one)
        return found

    def _end(self, table: Element) -> None:
        """Write what belongs to a sheet and to no row."""
        self._text.ranges("hidden rows", spans(self._hidden_rows))
        self._text.ranges("hidden columns", self._columns)
        self._text.ranges("merged cells", self._merged)
        for number, key in ((len(self._hidden_rows), "hidden_rows"), (len(self._columns), "hidden_columns")):
            if number:
                self._draft.meta[key] = self._draft.meta.get(key, 0) + number
        for one in table:
            if local(one) == "shapes":
                self._notes += self._shapes(one)
            elif local(one) in ("title", "desc") and one.text:
                self._notes.append(f"[about this sheet: {one_line(one.text)}]")
            elif local(one) == "scenario" and (words := attribute(one, "comment")):
                self._notes.append(f"[scenario: {words}]")
            elif local(one) == "forms" and len(one):
                self._draft.not_shown("form control", sum(1 for _ in one.iter("{*}button", "{*}checkbox", "{*}text")))
        for line in self._notes:
            self._text.note(line)


def _place(column: int, number: int) -> str:
    return f"{column_name(min(column, MOST_COLUMNS))}{number}"


def _shown(cell: Element) -> str:
    """Return the text of a cell's own paragraphs."""
    if len(cell) == 1 and cell[0].tag == _PARAGRAPH and not len(cell[0]):
        return " ".join((cell[0].text or "").split())
    return cell_text(" ".join(paragraphs(cell, links=False))) if len(cell) else ""


def _is_sheet(table: Element) -> bool:
    parent = table.getparent()
    return parent is not None and local(parent) == "spreadsheet"


def _in_sheet(element: Element) -> bool:
    """Return whether an element is a sheet or in one, and not in a chart or in what a tracked change has removed."""
    while element is not None and local(element) != "table":
        element = element.getparent()
    return element is not None and _is_sheet(element)


def _forget(element: Element) -> None:
    """Free an element and those before it, which are read."""
    parent = element.getparent()
    element.clear()
    if local(element) == "table-row" and parent is not None:
        while (before := element.getprevious()) is not None and local(before) in ("table-row", "table-column"):
            parent.remove(before)


def _hidden_columns(row: Element) -> list[str]:
    """Return the hidden columns, from the sheet whose first row this is."""
    table = row
    while local(table) != "table":
        table = table.getparent()
    found: list[str] = []
    column = 1
    for one in table.iter("{*}table-column"):
        times = repeated(one, "number-columns-repeated")
        if attribute(one, "visibility") in _HIDDEN and column <= MOST_COLUMNS:
            names = [column_name(column), column_name(min(column + times - 1, MOST_COLUMNS))]
            found.append(":".join(dict.fromkeys(names)))
        column += times
    return found
