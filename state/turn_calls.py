"""Reads the root request of a turn, and how many calls of a run were under way when.

A fork has the calls of turns that it shares in the journal of the run that it was forked from: those are read, too.
"""

import json
import sqlite3

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.lineage import OF_PAST, PAST
from .db.tables import CALLS

_ROOT = f"""
{PAST} SELECT messages FROM past CROSS JOIN calls ON calls.thread_id = past.thread_id
WHERE calls.turn = ? AND kind = 'root' AND {OF_PAST} AND messages IS NOT NULL AND NOT ({checksum_mismatch_sql(CALLS)})
ORDER BY generation, status = 'answered' DESC, seq DESC LIMIT 1
"""
# Times from the beginning, in parts. A call that has no outcome is under way until the end.
_UNDER_WAY = f"""
{PAST}, times (low, high) AS (
    SELECT created - ?, created - ? + CASE WHEN status = 'asked' THEN ? ELSE max(seconds, 0.0) END
    FROM past CROSS JOIN calls ON calls.thread_id = past.thread_id
    WHERE kind != 'root' AND created BETWEEN ? AND ? AND {OF_PAST} AND (attempts > 0 OR child_thread IS NOT NULL)
)
SELECT CAST(low / ? AS INTEGER), CAST(min(high, ?) / ? AS INTEGER), count(*) FROM times GROUP BY 1, 2
"""


async def sent_messages(database: Database, thread_id: str, turn: int) -> list[tuple[str, str]]:
    """Return the roles and the hashes of the texts that the root model was sent for a turn.

    There are none where the request is not saved: in runs of earlier formats, and where its row is damaged. Raises
    StoreError.
    """
    rows = await database.read(_ROOT, (thread_id, turn))
    try:
        return [(str(role), str(name)) for role, name in json.loads(rows[0][0])] if rows else []
    except (ValueError, TypeError):
        return []


async def calls_under_way(
    database: Database, thread_id: str, begin: float, end: float, parts: int
) -> list[tuple[int, int, int]]:
    """Return how many sub-calls were under way from one part of a time to another, as `(first, last, calls)`.

    The time from `begin` to `end`, in seconds since 1970, has `parts` equal ones, from 0. Raises StoreError.
    """
    length = max(end - begin, 1e-6)
    width = length / parts
    values = (thread_id, begin, begin, length, begin, end, width, length, width)

    def read(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
        return connection.execute(_UNDER_WAY, values).fetchall()

    return [(min(low, parts - 1), min(high, parts - 1), count) for low, high, count in await database.look(read)]
