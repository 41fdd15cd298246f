"""Reads the rows of a run's turns, which steps keep up to date as they are saved (`turn_making.py`)."""

import sqlite3

from .db.connection import Database
from .db.corruption import from_both_ends
from .saved_values import SavedValues
from .turn_making import derived_turns, turns_begun
from .turn_row import SELECT_TURNS, TurnRow, read_turn_row

__all__ = ["TurnRow", "TurnRows"]


class TurnRows:
    """The rows of turns of one database.

    Of runs that were saved before there were rows, they are made from the steps and the journal as they are read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, thread_id: str, first: int = 1, last: int | None = None) -> list[TurnRow]:
        """Return the rows of turns `first` to `last` (None: to the end), in order.

        There is a row for every turn: one that cannot be read or made is damaged. Raises StoreError.
        """

        def look(connection: sqlite3.Connection) -> list[TurnRow]:
            end = turns_begun(connection, thread_id)
            return _rows(connection, thread_id, first, end if last is None else min(last, end))

        return await self._database.look(look)

    async def one(self, thread_id: str, turn: int) -> TurnRow | None:
        """Return the row of a turn; None when there is no such turn. Raises StoreError."""
        rows = await self.page(thread_id, turn, turn)
        return rows[0] if rows else None

    async def count(self, thread_id: str) -> int:
        """Return the number of turns. Raises StoreError."""
        return await self._database.look(lambda connection: turns_begun(connection, thread_id))


def _rows(connection: sqlite3.Connection, thread_id: str, first: int, last: int) -> list[TurnRow]:
    wanted = range(max(1, first), last + 1)
    if not wanted:
        return []
    place = (thread_id, wanted.start, last)
    found, _ = from_both_ends(connection, f"{SELECT_TURNS} AND turn BETWEEN ? AND ?", "turn", place)
    rows = {row.turn: row for row in map(read_turn_row, found)}
    if len(rows) < len(wanted):
        rows = {row.turn: row for row in derived_turns(connection, SavedValues(), thread_id)} | rows
    return [rows.get(number) or TurnRow(number, damaged=True) for number in wanted]
