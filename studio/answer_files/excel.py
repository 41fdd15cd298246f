"""Excel workbooks: dates and numbers as such, text as text, no formulas and no links; more sheets for more rows.

Nothing is rounded or cut in silence: numbers with more digits than Excel keeps, moments with a time zone and dates
before 1900-03-01, where Excel's calendar has a day too many, are written as text.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from ...state.answer_tables import Column
from ...state.errors import StoreError
from .cells import cell_text, computes
from .tables import Table, is_missing
from .typed_cells import read_date, read_datetime, read_decimal, read_duration, read_time

SHEET_ROWS = 1_048_576
_MOST_COLUMNS = 16_384
_MOST_CHARACTERS = 32_767
_DIGITS = 15
"""Decimal digits that Excel keeps of a number."""
_LARGEST = 9.99999999999999e307
_SMALLEST = 2.2251e-308
_FIRST_DAY = date(1900, 3, 1)
_DAY_ZERO = datetime(1899, 12, 30)
_WIDTHS = {"date": 11, "datetime": 20, "text": 24, "json": 24}
_INSTEAD = "Write it as .csv or .parquet, or as .json."


class _Sheets:
    """The sheets of a workbook, of which the last one is being written."""

    def __init__(self, book: Any, columns: list[Column], sheet_rows: int) -> None:
        self._book = book
        self._columns = columns
        self._sheet_rows = sheet_rows
        self._bold = book.add_format({"bold": True})
        self._guarded = book.add_format({"quote_prefix": True})
        self._guarded_bold = book.add_format({"bold": True, "quote_prefix": True})
        self._formats = {
            name: book.add_format({"num_format": code})
            for name, code in {
                "date": "yyyy-mm-dd",
                "datetime": "yyyy-mm-dd hh:mm:ss",
                "datetime fine": "yyyy-mm-dd hh:mm:ss.000",
                "time": "hh:mm:ss",
                "time fine": "hh:mm:ss.000",
                "duration": "[h]:mm:ss",
            }.items()
        }
        self._writers: list[Callable[[int, int, Any], None]] = [self._writer(column) for column in columns]
        self._rows = 0
        self.count = 0
        self._begin()

    def _begin(self) -> None:
        self._sheet = self._book.add_worksheet()
        self.count += 1
        self._sheet.freeze_panes(1, 0)
        for at, column in enumerate(self._columns):
            width = max(len(column.name) + 2, _WIDTHS.get(column.type, 10))
            self._sheet.set_column(at, at, min(width, 60))
            self._string(0, at, column.name, self._guarded_bold if computes(column.name, "text") else self._bold)
        self._next = 1

    def add(self, row: Any) -> None:
        """Write a row, on a new sheet when the last one is full."""
        if self._next == self._sheet_rows:
            self._begin()
        for at, cell in enumerate(row):
            if not is_missing(cell):
                self._writers[at](self._next, at, cell)
        self._next += 1
        self._rows += 1

    def _writer(self, column: Column) -> Callable[[int, int, Any], None]:
        kinds: dict[str, Callable[[Any], tuple[float, str] | None]] = {
            "date": _date,
            "datetime": _datetime,
            "time": _time,
            "duration": _duration,
        }
        reads = kinds.get(column.type)
        exact = column.type == "decimal"

        def write(row: int, at: int, cell: Any) -> None:
            if reads and (found := reads(cell)):
                self._sheet.write_number(row, at, found[0], self._formats[found[1]])
            elif isinstance(cell, bool):
                self._sheet.write_boolean(row, at, cell)
            elif (isinstance(cell, int | float) or exact) and (number := _number(cell)) is not None:
                self._sheet.write_number(row, at, number)
            else:
                self._string(row, at, cell_text(cell), self._guarded if computes(cell, column.type) else None)

        return write

    def _string(self, row: int, at: int, text: str, form: Any) -> None:
        text = text.encode("utf-8", "replace").decode()
        units = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        if units > _MOST_CHARACTERS:
            self._too_long(at, units)
        if text.startswith("<r>") and text.endswith("</r>"):
            # The library takes such a text for markup of its own, and would write it as it is.
            text = f'<r><t xml:space="preserve">{escape(text, quote=False)}</t></r>'
            if len(text.encode("utf-16-le")) // 2 > _MOST_CHARACTERS:
                self._too_long(at, units)
        self._sheet.write_string(row, at, text, form)

    def _too_long(self, at: int, units: int) -> None:
        raise StoreError(
            f"Row {self._rows + 1:,}, column {self._columns[at].name[:60]!r} has {units:,} characters; a cell of Excel "
            f"holds {_MOST_CHARACTERS:,}.",
            hint=_INSTEAD,
        )


def write_excel(path: Path, table: Table, sheet_rows: int = SHEET_ROWS) -> str:
    """Write a workbook. Return what is to be said of it, if anything. Raises OSError, StoreError.

    StoreError: the table has too many columns, or a cell too much text, for Excel. `sheet_rows`: the rows of a sheet,
    the one with the names included.
    """
    # Imported here: few answers are written in this form.
    import xlsxwriter
    from xlsxwriter.exceptions import XlsxWriterException

    columns = list(table.columns)
    if len(columns) > _MOST_COLUMNS:
        raise StoreError(
            f"The table has {len(columns):,} columns; a sheet of Excel has {_MOST_COLUMNS:,}.", hint=_INSTEAD
        )
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "use_zip64": True})
    try:
        sheets = _Sheets(book, columns, sheet_rows)
        for row in table.rows():
            sheets.add(row)
    except BaseException:
        _discard(book)
        raise
    try:
        book.close()
    except XlsxWriterException as error:
        raise OSError(0, str(error)) from error
    return f"It has {sheets.count} sheets, because one holds {sheet_rows - 1:,} rows." if sheets.count > 1 else ""


def _discard(book: Any) -> None:
    """Give up a workbook: remove the library's temporary files, and write nothing."""
    book.fileclosed = True
    for sheet in book.worksheets():
        if sheet.row_data_fh:
            sheet.row_data_fh.close()
            Path(sheet.row_data_filename).unlink(missing_ok=True)


def _number(cell: Any) -> float | None:
    """Return a number that Excel keeps whole; None for any other and for what is no number."""
    exact = read_decimal(cell)
    if exact is None:
        return None
    if isinstance(cell, float):
        # Digits beyond those are not more exact than what a sheet shows.
        return cell if not cell or _SMALLEST <= abs(cell) <= _LARGEST else None
    if exact and len("".join(map(str, exact.as_tuple().digits)).strip("0")) > _DIGITS:
        return None
    number = float(exact)
    return number if not number or _SMALLEST <= abs(number) <= _LARGEST else None


def _days(moment: datetime) -> float:
    return (moment - _DAY_ZERO) / timedelta(days=1)


def _date(cell: Any) -> tuple[float, str] | None:
    day = read_date(cell)
    if day is None or day < _FIRST_DAY:
        return None
    return _days(datetime(day.year, day.month, day.day)), "date"


def _datetime(cell: Any) -> tuple[float, str] | None:
    moment = read_datetime(cell)
    if moment is None or moment.tzinfo is not None or moment.date() < _FIRST_DAY:
        return None
    return _days(moment), "datetime fine" if moment.microsecond else "datetime"


def _time(cell: Any) -> tuple[float, str] | None:
    at = read_time(cell)
    if at is None:
        return None
    passed = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    return passed / timedelta(days=1), "time fine" if at.microsecond else "time"


def _duration(cell: Any) -> tuple[float, str] | None:
    long = read_duration(cell)
    # Excel shows no negative time.
    return None if long is None or long < timedelta(0) else (long / timedelta(days=1), "duration")
