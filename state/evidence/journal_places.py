"""Reads from the journal which parts of the input the requests of a run and of the runs below it held."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..db.connection import Database
from ..db.lineage import LINE, NO_HORIZON, OF_PAST, PAST


class PlacedRow(NamedTuple):
    """A request that was sent."""

    thread_id: str
    key: str
    kind: str
    turn: int
    answered: bool
    places: str | None
    """The record of its text (`recorded.py`); None without one."""
    child_thread: str | None


_COLUMNS = "thread_id, key, kind, turn, status = 'answered', places, child_thread"
# A row that was copied into a fork was paid for in the original, and has no attempts of its own.
_SENT = "(attempts > 0 OR places IS NOT NULL OR child_thread IS NOT NULL)"
# Not a run that was forked from another one: those need the calls of the original, too.
_OF_RUNS = f"""
SELECT {_COLUMNS} FROM calls WHERE thread_id IN (SELECT value FROM json_each(?)) AND {_SENT}
"""
_FORKS = """
SELECT thread_id FROM threads WHERE thread_id IN (SELECT value FROM json_each(?)) AND parent IS NOT NULL
"""
# The threads that a thread was forked from, each with what had been settled at the last step shared with the fork.
_OF_FORK = f"""
{PAST} SELECT {_COLUMNS} FROM calls JOIN past USING (thread_id)
WHERE {OF_PAST} AND {_SENT} ORDER BY generation DESC
"""
_OF_TURN = f"""
{LINE} SELECT {_COLUMNS} FROM calls JOIN line USING (thread_id)
WHERE turn = ? AND coalesce(settled, {NO_HORIZON}) <= horizon AND {_SENT} ORDER BY generation DESC
"""


async def rows_of_tree(database: Database, thread_id: str) -> list[PlacedRow]:
    """Return the requests of a run and of the runs below it, those of runs that it was forked from included.

    Raises StoreError.
    """
    return await database.look(lambda connection: list(_tree(connection, [thread_id])))


async def rows_until(database: Database, thread_id: str, turn: int, requested: frozenset[str]) -> list[PlacedRow]:
    """Return what `rows_of_tree` does after the cell of a turn, which has asked for the calls with these keys.

    A cell that runs again, in a resumed run or a fork, gives the same rows. Raises StoreError.
    """

    def read(connection: sqlite3.Connection) -> list[PlacedRow]:
        before = [row for row in _of_fork(connection, thread_id) if row.turn < turn or row.kind == "root"]
        here = [PlacedRow(*row) for row in connection.execute(_OF_TURN, (thread_id, turn))]
        rows = [*before, *{row.key: row for row in here if row.key in requested}.values()]
        children = [row.child_thread for row in rows if row.child_thread]
        return [*(row for row in rows if row.turn <= turn), *_tree(connection, children)]

    return await database.look(read)


def _tree(connection: sqlite3.Connection, threads: Iterable[str]) -> Iterator[PlacedRow]:
    """Yield the rows of these runs and of all below them, level by level."""
    level, known = set(threads), set[str]()
    while level:
        known |= level
        wanted = json.dumps(sorted(level))
        forks = {thread_id for [thread_id] in connection.execute(_FORKS, (wanted,))}
        rows = [PlacedRow(*row) for row in connection.execute(_OF_RUNS, (json.dumps(sorted(level - forks)),))]
        for fork in sorted(forks):
            rows += _of_fork(connection, fork)
        yield from rows
        level = {row.child_thread for row in rows if row.child_thread} - known


def _of_fork(connection: sqlite3.Connection, thread_id: str) -> list[PlacedRow]:
    """Return the rows of a run, one a key, with those of the runs that it was forked from, up to the fork."""
    rows = {row[1]: PlacedRow(*row) for row in connection.execute(_OF_FORK, (thread_id,))}
    return [row._replace(thread_id=thread_id) for row in rows.values()]
