"""CSV (RFC 4180) and TSV, in UTF-8.

A text is quoted where that is needed; line ends within quotation marks stay as they are. A text that a spreadsheet
would compute gets an apostrophe in front, which spreadsheets take for "this is text".
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...state.answer_tables import ColumnType
from .cells import cell_text, computes
from .tables import Table

_QUOTED = re.compile(r'["\r\n]|^\s|\s$')


def write_csv(path: Path, table: Table) -> None:
    """Write comma-separated values. Raises OSError."""
    _write(path, table, ",", "\r\n")


def write_tsv(path: Path, table: Table) -> None:
    """Write tab-separated values, quoted as in CSV. Raises OSError."""
    _write(path, table, "\t", "\n")


def _write(path: Path, table: Table, delimiter: str, line_end: str) -> None:
    if not table.columns:
        path.write_bytes(b"")
        return
    kinds: list[ColumnType] = [column.type for column in table.columns]
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        names: list[ColumnType] = ["text"] * len(kinds)
        file.write(_line([column.name for column in table.columns], names, delimiter) + line_end)
        for row in table.rows():
            file.write(_line(row, kinds, delimiter) + line_end)


def _line(row: Sequence[Any], kinds: Sequence[ColumnType], delimiter: str) -> str:
    fields = [_field(cell, kind, delimiter) for cell, kind in zip(row, kinds, strict=True)]
    # A line with nothing on it would be no row.
    return delimiter.join(fields) if len(fields) > 1 or fields[0] else '""'


def _field(cell: Any, kind: ColumnType, delimiter: str) -> str:
    text = cell_text(cell)
    if computes(cell, kind):
        text = f"'{text}"
    if (not text and cell == "") or delimiter in text or _QUOTED.search(text):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
