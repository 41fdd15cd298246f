"""Parquet, by pyarrow: columns of the table's types, or of text where a value is not of its column's type.

The rows are read twice: what a column holds decides its type before the first row is written.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ...state.answer_tables import Column
from ...state.errors import UsageError
from .cells import cell_text
from .tables import Row, Table, distinct_names, is_missing
from .typed_cells import read_date, read_datetime, read_decimal, read_duration, read_time

_BATCH = 10_000
_MOST_BATCH_CELLS = 1_000_000
_MOST_DIGITS = 76
"""Digits of Arrow's largest decimal."""
_SMALL_DIGITS = 38


def check_parquet() -> None:
    """Raise UsageError when nothing is installed that writes Parquet."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "-o FILE.parquet needs pyarrow, which is not installed.",
            hint="Install it with pip install durable-rlm[tables], or write .csv, .xlsx or .json.",
        )


class _Form:
    """The form that all values of a column have, of those looked at."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self.fits = True
        """False when a value is not of the column's type: then all are written as text."""
        self._places = self._whole = 0
        self._zoned: bool | None = None

    def look(self, cell: Any) -> None:
        """Look at a value."""
        if self.fits and not is_missing(cell):
            self.fits = self._suits(cell)

    def _suits(self, cell: Any) -> bool:
        match self._column.type:
            case "boolean":
                return isinstance(cell, bool)
            case "integer":
                return isinstance(cell, int) and not isinstance(cell, bool) and -(1 << 63) <= cell < 1 << 63
            case "number":
                return isinstance(cell, float) or (
                    isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) <= 1 << 53
                )
            case "date":
                return read_date(cell) is not None
            case "datetime":
                return (moment := read_datetime(cell)) is not None and self._same_zone(moment)
            case "time":
                return read_time(cell) is not None
            case "duration":
                return read_duration(cell) is not None
            case "decimal":
                return self._decimal(cell)
            case "text" | "json":
                return False

    def _same_zone(self, moment: datetime) -> bool:
        """Return whether all moments have a zone, or none has."""
        zoned = moment.tzinfo is not None
        self._zoned = zoned if self._zoned is None else self._zoned
        return zoned == self._zoned

    def _decimal(self, cell: Any) -> bool:
        number = read_decimal(cell) if isinstance(cell, str | int) else None
        if number is None:
            return False
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int), "the number is finite"
        self._places = max(self._places, -exponent)
        self._whole = max(self._whole, len(digits) + exponent, 1)
        return self._places + self._whole <= _MOST_DIGITS

    def arrow(self, arrow: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Return the column's Arrow type, and the function that makes a value of it."""
        if not self.fits:
            return arrow.string(), _text
        match self._column.type:
            case "boolean":
                return arrow.bool_(), bool
            case "integer":
                return arrow.int64(), int
            case "number":
                return arrow.float64(), float
            case "date":
                return arrow.date32(), read_date
            case "datetime":
                return arrow.timestamp("us", tz="UTC" if self._zoned else None), _moment
            case "time":
                return arrow.time64("us"), read_time
            case "duration":
                return arrow.duration("us"), read_duration
            case "decimal":
                digits = max(self._places + self._whole, 1)
                kind = arrow.decimal128 if digits <= _SMALL_DIGITS else arrow.decimal256
                return kind(digits, self._places), read_decimal
            case "text" | "json":
                return arrow.string(), _text


def _text(cell: Any) -> str:
    return cell_text(cell).encode("utf-8", "replace").decode()


def _moment(cell: Any) -> datetime | None:
    moment = read_datetime(cell)
    return moment.astimezone(UTC) if moment and moment.tzinfo else moment


def write_parquet(path: Path, table: Table) -> str:
    """Write a Parquet file. Return what is to be said of it, if anything. Raises OSError, UsageError."""
    check_parquet()
    import pyarrow as arrow
    from pyarrow import parquet

    columns = list(table.columns)
    typed = [(at, form) for at, form in enumerate(map(_Form, columns)) if columns[at].type not in ("text", "json")]
    for row in table.rows() if typed else ():
        for at, form in typed:
            form.look(row[at])
    forms = dict(typed)
    kinds = [forms.get(at, _Form(column)).arrow(arrow) for at, column in enumerate(columns)]
    names = [_text(name) for name in distinct_names(columns)]
    schema = arrow.schema([arrow.field(name, kind) for name, (kind, _) in zip(names, kinds, strict=True)])
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in _batched(table.rows(), max(1, min(_BATCH, _MOST_BATCH_CELLS // max(1, len(columns))))):
            arrays = [_array(arrow, rows, at, *kind) for at, kind in enumerate(kinds)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
    misfits = [columns[at].name for at, form in typed if not form.fits]
    return f"As text, because their values are not all of one type: {', '.join(misfits)}." if misfits else ""


def _array(arrow: Any, rows: Sequence[Row], at: int, kind: Any, made: Callable[[Any], Any]) -> Any:
    return arrow.array([None if is_missing(row[at]) else made(row[at]) for row in rows], kind)


def _batched(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch
