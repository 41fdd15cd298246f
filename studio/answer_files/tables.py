"""Tables as the writers take them, also made from lists of JSON objects."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ...state.answer_tables import Column, ColumnType

Row = Sequence[Any]
"""The cells of a row, JSON values, as many as there are columns."""


class Table(Protocol):
    """A table whose rows can be read several times, each time from the beginning."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, whose names need not differ."""
        ...

    @property
    def rows_count(self) -> int:
        """The number of rows."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows. May read files."""
        ...


@dataclass(frozen=True)
class RowsTable:
    """A table whose rows are in memory."""

    columns: Sequence[Column]
    held: Sequence[Row]

    @property
    def rows_count(self) -> int:
        """The number of rows."""
        return len(self.held)

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        yield from self.held


@dataclass(frozen=True)
class RecordsTable:
    """A list of JSON objects as a table, with null where an object lacks a key."""

    columns: Sequence[Column]
    held: Sequence[Mapping[str, Any]]

    @property
    def rows_count(self) -> int:
        """The number of rows."""
        return len(self.held)

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        names = [column.name for column in self.columns]
        for record in self.held:
            yield [record.get(name) for name in names]


def records_of(table: Table) -> Iterator[dict[str, Any]]:
    """Yield each row as an object. A name that several columns have gets a number: `a`, `a_2`."""
    names = distinct_names(table.columns)
    for row in table.rows():
        yield dict(zip(names, row, strict=True))


def table_of(value: Any) -> RecordsTable | None:
    """Return a list of JSON objects as a table, or None for any other value.

    The columns are all keys, in the order in which they appear. An empty list is a table without columns.
    """
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in cast("list[Any]", value)):
        return None
    records = cast("list[Mapping[str, Any]]", value)
    kinds: dict[str, set[ColumnType]] = {}
    for record in records:
        for name, cell in record.items():
            found = kinds.setdefault(name, set())
            if cell is not None:
                found.add(_type_of(cell))
    return RecordsTable([Column(name, _common(found)) for name, found in kinds.items()], records)


def _type_of(cell: Any) -> ColumnType:
    match cell:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case _:
            return "json"


def _common(found: set[ColumnType]) -> ColumnType:
    """Return the type of a column with values of these types."""
    if len(found) == 1:
        return next(iter(found))
    if not found:
        return "text"
    return "number" if found == {"integer", "number"} else "json"


def distinct_names(columns: Iterable[Column]) -> list[str]:
    """Return the columns' names, with a number after those that a column before has: `a`, `a_2`."""
    names = [column.name for column in columns]
    taken = set(names)
    seen: set[str] = set()
    for at, name in enumerate(names):
        number = 2
        while name in seen or (name != names[at] and name in taken):
            name = f"{names[at]}_{number}"
            number += 1
        seen.add(name)
        names[at] = name
    return names


def is_missing(cell: Any) -> bool:
    """Return whether a cell has no value: null, or NaN."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell))
