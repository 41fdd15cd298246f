"""Tables of pandas, Polars and Arrow as columns of Python's values.

Nothing is imported for it: a value can only be of a library that is imported already.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from .answer_keys import key_text, unique
from .answer_texts import duration, time_of_day, with_nanoseconds

_LONGEST_NAME = 1000
"""Characters of a column's name, at most."""
_AT_A_TIME = 10_000


class Source(NamedTuple):
    """A column."""

    name: str
    kind: "str | None"
    """The type of its values as `state/answer_tables.py` has them; None: their own types have to be looked at."""
    values: "Callable[[int, int], list[Any]]"
    """Returns the values of a range of rows."""


class Frame(NamedTuple):
    """A table."""

    columns: "list[Source]"
    rows: int


def frame_of(value: Any) -> "Frame | None":
    """Return the table that a value is; None when it is not one."""
    for library, opened in (("pandas", _pandas), ("polars", _polars), ("pyarrow", _arrow)):
        module: Any = sys.modules.get(library)
        if module is not None and (frame := opened(module, value)) is not None:
            return frame
    return None


def nested_rows(value: Any) -> "list[Any] | None":
    """Return a table inside of another value as a list of objects; None when it is not one.

    A column without names for its rows is the list of its values.
    """
    frame = frame_of(value)
    if frame is None:
        return None
    # The conversion counts what it is given; nothing as large may be made for it.
    ranges = [(start, min(start + _AT_A_TIME, frame.rows)) for start in range(0, frame.rows, _AT_A_TIME)]
    if len(frame.columns) == 1 and not _is_frame(value):
        return [one for start, end in ranges for one in frame.columns[0].values(start, end)]
    names = [column.name for column in frame.columns]
    return [
        dict(zip(names, row, strict=True))
        for start, end in ranges
        for row in zip(*(column.values(start, end) for column in frame.columns), strict=True)
    ]


def _is_frame(value: Any) -> bool:
    return type(value).__name__ not in ("Series", "ChunkedArray")


def _named(wanted: "list[Any]") -> "list[str]":
    """Return names of columns as different texts."""
    names: dict[str, None] = {}
    for name in wanted:
        text = key_text(name)
        names[unique((str(name) if text is None else text)[:_LONGEST_NAME], names)] = None
    return list(names)


# -- pandas


def _pandas(pandas: Any, value: Any) -> "Frame | None":
    if isinstance(value, pandas.Series):
        columns = [("value" if value.name is None else value.name, value)]
    elif isinstance(value, pandas.DataFrame):
        columns = [(name, value.iloc[:, place]) for place, name in enumerate(value.columns)]
    else:
        return None
    columns = [*_index_columns(pandas, value.index), *columns]
    names = _named([name for name, _ in columns])
    sources = [
        Source(name, _kind_of_dtype(column.dtype), _slices(column))
        for name, (_, column) in zip(names, columns, strict=True)
    ]
    return Frame(sources, len(value))


def _index_columns(pandas: Any, index: Any) -> "list[tuple[Any, Any]]":
    """Return the columns of an index that says something about the rows."""
    if isinstance(index, pandas.MultiIndex):
        return [
            (f"level_{place}" if name is None else name, index.get_level_values(place))
            for place, name in enumerate(index.names)
        ]
    if isinstance(index, pandas.RangeIndex) and index.name is None and (index.start, index.step) == (0, 1):
        return []
    return [("index" if index.name is None else index.name, index)]


def _kind_of_dtype(dtype: Any) -> "str | None":
    name = str(dtype).lower()
    if name in ("string", "str"):
        return "text"
    if name == "object" or not hasattr(dtype, "kind") or ("[" in name and "datetime64" not in name):
        return "duration" if name.startswith("timedelta64") else None
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "M": "datetime", "m": "duration"}.get(
        dtype.kind
    )


def _slices(column: Any) -> "Callable[[int, int], list[Any]]":
    rows = getattr(column, "iloc", column)
    return lambda start, end: rows[start:end].tolist()


# -- Polars

_POLARS = {
    **dict.fromkeys(("Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64"), "integer"),
    **dict.fromkeys(("Float32", "Float64"), "number"),
    **dict.fromkeys(("String", "Utf8", "Categorical", "Enum"), "text"),
    **{"Boolean": "boolean", "Date": "date", "Time": "time", "Datetime": "datetime", "Duration": "duration"},
    **{"Decimal": "decimal"},
}


def _polars(polars: Any, value: Any) -> "Frame | None":
    if isinstance(value, polars.LazyFrame):
        value = value.collect()
    if isinstance(value, polars.Series):
        value = value.alias(value.name or "value").to_frame()
    if not isinstance(value, polars.DataFrame):
        return None
    columns = value.get_columns()
    names = _named([column.name for column in columns])
    sources = [
        Source(name, _POLARS.get(_polars_type(column)), _polars_values(column))
        for name, column in zip(names, columns, strict=True)
    ]
    return Frame(sources, value.height)


def _polars_type(column: Any) -> str:
    return str(column.dtype.base_type().__name__)


def _polars_values(column: Any) -> "Callable[[int, int], list[Any]]":
    unit, kind = getattr(column.dtype, "time_unit", None), _polars_type(column)

    def values(start: int, end: int) -> "list[Any]":
        part = column.slice(start, end - start)
        if kind == "Time" or unit == "ns":
            return _precise(part.to_list() if kind == "Datetime" else None, part.to_physical().to_list(), kind.lower())
        return part.to_list()

    return values


def _precise(moments: "list[Any] | None", totals: "list[int | None]", kind: str) -> "list[Any]":
    """Return texts of times that have nanoseconds, which Python's own have not."""
    if moments is not None:
        pairs = zip(moments, totals, strict=True)
        return [None if total is None else with_nanoseconds(moment, total) for moment, total in pairs]
    text = time_of_day if kind == "time" else duration
    return [None if total is None else text(total) for total in totals]


# -- Arrow


def _arrow(arrow: Any, value: Any) -> "Frame | None":
    if not hasattr(arrow, "ChunkedArray"):
        return None
    if isinstance(value, arrow.RecordBatch):
        value = arrow.Table.from_batches([value])
    if isinstance(value, arrow.ChunkedArray):
        value = arrow.table({"value": value})
    if not isinstance(value, arrow.Table):
        return None
    names = _named(value.column_names)
    columns = [value.column(place) for place in range(value.num_columns)]
    sources = [
        Source(name, _arrow_kind(str(column.type)), _arrow_values(arrow, column))
        for name, column in zip(names, columns, strict=True)
    ]
    return Frame(sources, value.num_rows)


def _arrow_kind(name: str) -> "str | None":
    if name.rstrip("0123456789") in ("int", "uint"):
        return "integer"
    exact = {"float": "number", "double": "number", "halffloat": "number", "bool": "boolean"}
    exact |= {"string": "text", "large_string": "text", "string_view": "text"}
    if name in exact:
        return exact[name]
    starts = {"date": "date", "timestamp": "datetime", "time": "time", "duration": "duration", "decimal": "decimal"}
    return next((kind for start, kind in starts.items() if name.startswith(start)), None)


def _arrow_values(arrow: Any, column: Any) -> "Callable[[int, int], list[Any]]":
    name = str(column.type)
    kind = next((kind for kind in ("timestamp", "time", "duration") if name.startswith(kind)), "")

    def values(start: int, end: int) -> "list[Any]":
        part = column.slice(start, end - start)
        if not kind or "[ns" not in name:
            return part.to_pylist()
        moments = None
        if kind == "timestamp":
            moments = part.cast(arrow.timestamp("us", column.type.tz), safe=False).to_pylist()
        return _precise(moments, part.cast(arrow.int64()).to_pylist(), kind)

    return values
