"""A table as JSON batches of rows, with a type for each column."""

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from json import dumps  # bound now: code of cells may patch the module
from typing import Any

from durable_rlm.matching.markers import MARKER_IN_BYTES

from .answer_tables import Frame, Source
from .answer_texts import NONE, numpy_plain, scalar_text
from .answer_value import AnswerTooLarge, Plain
from .protocol import MOST_BATCH_BYTES, MOST_COLUMNS, MOST_TABLE_BYTES

_BATCH, _SMALL_BATCH = 4 << 20, 1 << 20
"""Bytes of a batch that is not one long row; where values of any form are in it, as few as the host does not count."""
_CELLS = 400_000
"""Values of a batch, at most."""
_ROWS, _CELLS_AT_A_TIME = 10_000, 50_000
_EXACT = {"integer": {int}, "number": {float, int}, "text": {str}, "boolean": {bool}}
_NOTHING = type(None)


class Batches:
    """The batches of one table, in order; afterwards its head and its problems."""

    def __init__(self, frame: Frame) -> None:
        """Raises AnswerTooLarge."""
        if len(frame.columns) > MOST_COLUMNS:
            raise AnswerTooLarge(f"the table has {len(frame.columns):,} columns; an answer may have {MOST_COLUMNS:,}")
        self._frame = frame
        self._plain = Plain()
        self._sent = 0
        self.markers: set[int] = set()
        """The numbers of the markers in the batches that were taken."""
        self._kinds = [column.kind or _kind_of(column, frame.rows) for column in frame.columns]

    def head(self) -> dict[str, Any]:
        """Return the table without its rows, as CELL_REPLY has it. The batches have to be taken before."""
        named = zip(self._frame.columns, self._kinds, strict=True)
        columns = [{"name": column.name, "type": kind} for column, kind in named]
        return {"columns": columns, "rows": self._frame.rows, "parts": self._sent}

    def problem(self) -> str:
        """Return what of the table has no form in JSON, in words."""
        return self._plain.problem()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the batches. Raises AnswerTooLarge, before more than the limit is made."""
        most = _SMALL_BATCH if "json" in self._kinds else _BATCH
        batch: list[bytes] = []
        size = cells = total = 0
        width = max(1, len(self._frame.columns))
        for text, rows in self._pieces(most):
            total += len(text)
            if len(text) > MOST_BATCH_BYTES - 2:
                raise AnswerTooLarge(f"a row has {len(text) >> 20} MB; one may have {MOST_BATCH_BYTES >> 20} MB")
            if total > MOST_TABLE_BYTES:
                raise AnswerTooLarge(
                    f"the table has more than {MOST_TABLE_BYTES >> 30} GB as JSON; give fewer rows or columns, or "
                    "write a file to answer_files/"
                )
            if batch and (size + len(text) > most or cells + rows * width > _CELLS):
                yield self._closed(batch)
                batch, size, cells = [], 0, 0
            batch.append(text)
            size += len(text) + 1
            cells += rows * width
        if batch:
            yield self._closed(batch)

    def _closed(self, batch: "list[bytes]") -> bytes:
        self._sent += 1
        closed = b"[" + b",".join(batch) + b"]"
        if b"[^" in closed:
            self.markers.update(map(int, MARKER_IN_BYTES.findall(closed)))
        return closed

    def _pieces(self, most: int) -> Iterator[tuple[bytes, int]]:
        """Yield rows as JSON without the brackets around them, and how many they are."""
        frame = self._frame
        step = max(1, min(_ROWS, _CELLS_AT_A_TIME // max(1, len(frame.columns))))
        for start in range(0, frame.rows, step):
            end = min(start + step, frame.rows)
            columns = [self._column(place, start, end) for place in range(len(frame.columns))]
            rows: Iterable[Any] = zip(*columns, strict=True) if columns else [()] * (end - start)
            if "json" not in self._kinds and sum(map(_length, columns)) < most:
                yield _json(list(rows))[1:-1], end - start
                continue
            for row in rows:
                yield _json(row), 1

    def _column(self, place: int, start: int, end: int) -> "list[Any]":
        """Return the values of a range of rows of a column."""
        source, kind = self._frame.columns[place], self._kinds[place]
        values = source.values(start, end)
        kinds = set(map(type, values))
        if kinds <= (_EXACT.get(kind, set()) | {_NOTHING}) and (
            kind != "number" or all(map(math.isfinite, values if _NOTHING not in kinds else filter(_is, values)))
        ):
            return values
        self._plain.values = self._plain.characters = 0  # each piece may have as much
        return [self._value(source.name, start + row, kind, value) for row, value in enumerate(values)]

    def _value(self, name: str, row: int, kind: str, value: Any) -> Any:
        if missing(value):
            return None
        if kind == "integer":
            return int(value)
        if kind == "boolean":
            return bool(value)
        if kind == "text":
            return str.__str__(value) if isinstance(value, str) else str(value)
        if type(value) is str:  # of a time with nanoseconds
            return value
        return self._plain.at(f".{name}[{row}]", value)


def missing(value: Any) -> bool:
    """Return whether a value stands for a missing one: None, NaN, pandas' NA and NaT."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return type(value).__name__ in ("NAType", "NaTType")


def _is(value: Any) -> bool:
    return value is not None


def _length(values: "list[Any]") -> int:
    return sum(len(one) if type(one) is str else 8 for one in values)


def _json(value: Any) -> bytes:
    return dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "surrogatepass")


def _kind_of(column: Source, rows: int) -> str:
    """Return the type of all values of a column, `json` where they are of several."""
    kinds: set[str] = set()
    for start in range(0, rows, _ROWS):
        values = column.values(start, min(start + _ROWS, rows))
        types = set(map(type, values))
        if float in types and len(types) > 1:
            # A missing value in a column of texts is NaN.
            types = {type(value) for value in values if not missing(value)}
        samples = {type(value): value for value in values if type(value) in types and not missing(value)}
        kinds |= {_kind(one, sample) for one, sample in samples.items()}
        if int in samples and any(type(one) is int and one.bit_length() > 64 for one in values):
            kinds.add("json")
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "json"


def _kind(kind: type, sample: Any) -> str:
    for own, name in _KINDS:
        if issubclass(kind, own):
            return name
    plain = numpy_plain(sample)
    if plain is not NONE and not isinstance(plain, list | dict):
        return _kind(type(plain), plain)
    return "text" if isinstance(scalar_text(sample), str) else "json"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "text"),
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
    (dt.timedelta, "duration"),
    (Decimal, "decimal"),
)
