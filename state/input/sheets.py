"""XLSX as tab-separated text: each sheet under a line with its name, rows up to their last value.

Values are those that the program which saved the file had computed; formulas are not.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, BinaryIO

from .office import look_inside
from .source import Unusable

_MOST_ROWS = 1 << 20  # as many as the format allows; a forged row number must not keep us counting


def rows(file: BinaryIO, meta: dict[str, Any]) -> Iterator[str]:
    """The text, a few hundred rows at a time. `meta` gains `sheets`, their names.

    Raises ImportError without openpyxl, Unusable for a protected or a huge file.
    """
    from openpyxl import load_workbook

    look_inside(file)
    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        meta["sheets"] = [sheet.title for sheet in book.worksheets]
        for number, sheet in enumerate(book.worksheets):
            yield ("\n" if number else "") + f"## {_cell(sheet.title)}\n"
            # The size that a sheet declares is often wrong, and may be forged.
            sheet.reset_dimensions()
            yield from _batches(sheet.iter_rows(values_only=True))
    finally:
        book.close()


def _batches(values: Iterator[Sequence[object]]) -> Iterator[str]:
    lines: list[str] = []
    blank = 0
    for number, row in enumerate(values):
        if number >= _MOST_ROWS:
            raise Unusable("a damaged XLSX", f"A sheet claims more than {_MOST_ROWS:,} rows.")
        line = "\t".join(map(_cell, row)).rstrip("\t")
        if not line:
            blank += 1  # written only when a filled row follows
            continue
        lines += [""] * blank
        blank = 0
        lines.append(line)
        if len(lines) >= 500:
            yield "\n".join(lines) + "\n"
            lines = []
    if lines:
        yield "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            # A cell stays one field of one line.
            return " ".join(str(value).splitlines()).replace("\t", " ")
