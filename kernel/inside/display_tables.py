"""The first rows of tables, as plain values: of pandas, Polars, Arrow and numpy, and of lists of like records.

Nothing is imported for it: a value can only be of a library that is imported already.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from .answer_texts import NONE, numpy_plain
from .safe_values import EXACT_INT, brief, fields_of, is_a, library, pairs_of, plain, scalar_text, shortened

ROWS, COLUMNS = 40, 24
"""Rows and columns that are read of a table, at most."""
_CELL = 80
_NAME = 40
_LIKE = 2
"""Records from which a list is a table."""


class Table(NamedTuple):
    """The beginning of a table."""

    columns: "list[str]"
    rows: "Iterator[list[Any]]"
    """Rows of cells: short texts, numbers, booleans, None."""
    length: int
    width: int


def table_of(value: Any) -> "Table | None":
    """Return the beginning of the table that a value is; None when it is not one. Raises what its library does."""
    for name, opened in (("pandas", _pandas), ("polars", _polars), ("pyarrow", _arrow), ("numpy", _numpy)):
        module = library(name)
        if module is not None and (table := opened(module, value)) is not None:
            return table
    return None


def table_of_records(items: "Sequence[Any]", length: int) -> "Table | None":
    """Return the table that a list's first items are, all of them records with the same keys; else None."""
    if length < _LIKE or len(items) < _LIKE:
        return None
    records: list[dict[str, Any]] = []
    for one in items:
        record = _record(one)
        if not record or (records and record.keys() != records[0].keys()):
            return None
        records.append(record)
    names = list(islice(records[0], COLUMNS))
    rows = ([cell(record[name]) for name in names] for record in records)
    return Table([shortened(name, _NAME) for name in names], rows, length, len(records[0]))


def cell(value: Any) -> Any:
    """Return a value as a cell of a table: a short text, a number, a boolean, or None for a missing value."""
    value = plain(value)
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if -EXACT_INT < value < EXACT_INT else brief(value, _CELL)
    if kind is float:
        return value if math.isfinite(value) else None if value != value else str(value)
    if is_a(value, str):
        return shortened(str.__getitem__(value, slice(0, _CELL + 1)), _CELL)
    text = scalar_text(value)
    return brief(value, _CELL) if text is None else None if text in ("NaT", "<NA>") else shortened(text, _CELL)


def _record(one: Any) -> "dict[str, Any] | None":
    fields = fields_of(one)
    if fields is not None or (found := pairs_of(one)) is None:
        return fields
    pairs = list(found[0])
    return dict(pairs) if all(type(key) is str for key, _ in pairs) else None


def _label(name: Any) -> str:
    return shortened(name, _NAME) if type(name) is str else brief(name, _NAME)


def _rows(rows: "Sequence[Sequence[Any]]") -> "Iterator[list[Any]]":
    return ([cell(one) for one in row] for row in rows)


def _pandas(pandas: "dict[str, Any]", value: Any) -> "Table | None":
    kind = type(value)
    if kind is pandas.get("DataFrame"):
        part, names, width = value.iloc[:ROWS, :COLUMNS], [*map(_label, value.columns[:COLUMNS])], value.shape[1]
        body = part.to_numpy(dtype=object).tolist()
    elif kind is pandas.get("Series"):
        names, width = ["value" if value.name is None else _label(value.name)], 1
        body = [[one] for one in value.iloc[:ROWS].tolist()]
    else:
        return None
    index = value.index
    if type(index) is pandas.get("RangeIndex") and (index.name, index.start, index.step) == (None, 0, 1):
        return Table(names, _rows(body), len(value), width)
    heads = [index.name] if index.nlevels == 1 else list(index.names)
    said = ["index" if head is None else _label(head) for head in heads]
    before = [one if index.nlevels > 1 else (one,) for one in index[:ROWS].tolist()]
    rows = _rows([[*first, *rest] for first, rest in zip(before, body, strict=True)])
    return Table([*said, *names], rows, len(value), width + len(said))


def _polars(polars: "dict[str, Any]", value: Any) -> "Table | None":
    if type(value) is polars.get("Series"):
        body = [[one] for one in value.head(ROWS).to_list()]
        return Table([_label(value.name or "value")], _rows(body), len(value), 1)
    if type(value) is not polars.get("DataFrame"):
        return None
    names = value.columns
    body = value.head(ROWS).select(names[:COLUMNS]).rows()
    return Table([*map(_label, names[:COLUMNS])], _rows(body), value.height, len(names))


def _arrow(arrow: "dict[str, Any]", value: Any) -> "Table | None":
    if type(value) is not arrow.get("Table") and type(value) is not arrow.get("RecordBatch"):
        return None
    shown = min(value.num_columns, COLUMNS)
    columns = [value.column(place).slice(0, ROWS).to_pylist() for place in range(shown)]
    names = [*map(_label, value.schema.names[:COLUMNS])]
    return Table(names, _rows(list(zip(*columns, strict=True))), value.num_rows, value.num_columns)


def _numpy(numpy: "dict[str, Any]", value: Any) -> "Table | None":
    if type(value) is not numpy.get("ndarray"):
        return None
    if value.ndim == 2 and value.dtype.names is None:
        body = numpy_plain(value[:ROWS, :COLUMNS])
        names = [str(place) for place in range(min(value.shape[1], COLUMNS))]
        return None if body is NONE else Table(names, _rows(body), value.shape[0], value.shape[1])
    if value.ndim == 1 and value.dtype.names is not None:
        names = value.dtype.names
        body = [row[:COLUMNS] for row in value[:ROWS].tolist()]
        return Table([*map(_label, names[:COLUMNS])], _rows(body), value.shape[0], len(names))
    return None
