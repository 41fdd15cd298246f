"""Reads past damaged pages of the database: a damaged page hides nothing but its own rows (promise P12)."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .tables import Table

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
_GONE = "the index names a row that is not there"
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Unreadable:
    """A row that exists and cannot be read."""

    rowid: int
    key: Row
    """The values of its table's `key_in_thread`."""
    why: str


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite failed because of damage on disk, rather than a lock, a limit or the statement."""
    # Extended codes carry the primary one in their lowest byte.
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def from_both_ends(
    connection: sqlite3.Connection, select: str, order: str, parameters: Row = ()
) -> tuple[list[Row], str | None]:
    """Return the rows of a query in `order`, and why some are missing (None: all are there).

    `order` must be that of an index. A damaged page ends a query; the rows behind that page are found by the query in
    reverse order.
    """
    rows, why = until_damage(connection, f"{select} ORDER BY {order}", parameters)
    if why is None:
        return rows, None
    backwards = ", ".join(f"{column} DESC" for column in order.split(", "))
    behind, _ = until_damage(connection, f"{select} ORDER BY {backwards}", parameters)
    seen = set(rows)
    return [*rows, *(row for row in reversed(behind) if row not in seen)], why


def until_damage(connection: sqlite3.Connection, query: str, parameters: Row = ()) -> tuple[list[Row], str | None]:
    """Return the rows of a query up to where the file is damaged, and SQLite's message (None: no damage).

    The query must find its rows one after another, with nothing to sort.
    """
    rows: list[Row] = []
    try:
        for row in connection.execute(query, parameters):
            rows.append(row)
        return rows, None
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        why = str(error)
    # The sqlite3 module reads one row ahead, and drops the last row with the error.
    try:
        rows = connection.execute(f"{query} LIMIT {len(rows) + 1}", parameters).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    return rows, why


def rows_of(connection: sqlite3.Connection, table: Table, columns: str, thread_id: str) -> Iterator[Row | Unreadable]:
    """Yield the rows of a thread in `checkpoints`, `writes` or `calls` in order of insertion."""
    for rowid, named in numbers_of(connection, table, thread_id).items():
        yield row_at(connection, table, columns, rowid, named)


def numbers_of(connection: sqlite3.Connection, table: Table, thread_id: str) -> dict[int, Row]:
    """Return the rowids of a thread's rows, in order of insertion, and the values of their `key_in_thread`."""
    key = ", ".join(table.key_in_thread)
    select, place = f"SELECT {key}, rowid FROM {table.name}", (thread_id,)
    # Read from the index alone; where that is damaged, from the table alone.
    found, why = from_both_ends(connection, f"{select} WHERE thread_id = ?", key, place)
    if why:
        found += from_both_ends(connection, f"{select} NOT INDEXED WHERE thread_id = ?", "rowid", place)[0]
    return dict(sorted({row[-1]: row[:-1] for row in found}.items()))


def row_at(
    connection: sqlite3.Connection, table: Table, columns: str, rowid: int, named: Row = ("",)
) -> Row | Unreadable:
    """Return a row by its rowid. `named`: the values of its `key_in_thread`, as far as they are known."""
    try:
        row = connection.execute(f"SELECT {columns} FROM {table.name} WHERE rowid = ?", (rowid,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return Unreadable(rowid, named, str(error))
    return row or Unreadable(rowid, named, _GONE)
