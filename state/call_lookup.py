"""Reads one call of a run, by its key or an unambiguous beginning of it, with what is known around it."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .call_pages import took_below
from .call_records import CALL_COLUMNS, CallRow, read_row, unreadable_row
from .call_sums import Took
from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.corruption import Unreadable, row_at
from .db.lineage import LINE, OF_PAST, PAST
from .db.tables import CALLS

MOST_NAMED = 20
"""Keys that are named where several begin alike."""
_COLUMNS = f"{CALL_COLUMNS}, {checksum_mismatch_sql(CALLS)}, messages, places"


@dataclass(frozen=True)
class FoundCall:
    """A call, with what is known around it."""

    row: CallRow
    thread_id: str
    """The run whose journal has it: the one asked about, or one that it was forked from."""
    messages: Sequence[tuple[str, str]]
    """The roles of a root request's messages, and the hashes of their texts; of a sub-call, nothing."""
    places: str | None
    """The parts of the input that were sent (`evidence/recorded.py`)."""
    below: Took
    """Tokens and cost of the sub-RLM that answers it, with those below it."""
    before: str | None
    """The key of the call of the same kind that was made before it."""
    after: str | None
    paid_in: str | None
    """The run that paid for a reused answer, where that is another one."""
    mid_cell: int | None
    """The last step at which the cell of its turn waited for calls, so that another answer can be given."""


@dataclass(frozen=True)
class Beginnings:
    """The keys that begin with what was asked for: none, or several."""

    keys: Sequence[str]
    more: bool


async def find_call(database: Database, thread_id: str, key: str) -> FoundCall | Beginnings:
    """Return the call with this key, or with the only key that begins with it. Raises StoreError.

    Calls of the runs that this one was forked from are found, too, up to the fork.
    """
    return await database.look(lambda connection: _found(connection, thread_id, key))


_KEYS = f"""
{PAST} SELECT key, thread_id, seq FROM calls JOIN past USING (thread_id)
WHERE key >= ? AND key < ? AND {OF_PAST} ORDER BY key, generation LIMIT {4 * MOST_NAMED}
"""
_BEFORE = "SELECT key FROM calls WHERE thread_id = ? AND seq < ? AND {} ORDER BY seq DESC LIMIT 1"
_AFTER = "SELECT key FROM calls WHERE thread_id = ? AND seq > ? AND {} ORDER BY seq LIMIT 1"
_PAID = f"""
{LINE} SELECT thread_id FROM calls JOIN line USING (thread_id)
WHERE key = ? AND generation > 0 AND status != 'asked' ORDER BY attempts = 0, generation LIMIT 1
"""
_MID_CELL = "SELECT max(step) FROM steps WHERE thread_id = ? AND turn = ? AND kind = 'sub_call'"


def _found(connection: sqlite3.Connection, thread_id: str, key: str) -> FoundCall | Beginnings:
    rows = connection.execute(_KEYS, (thread_id, key, f"{key}\U0010ffff")).fetchall() if key else []
    nearest: dict[str, tuple[str, int]] = {}
    for name, owner, seq in rows:
        nearest.setdefault(name, (owner, seq))
    chosen = key if key in nearest else next(iter(nearest)) if len(nearest) == 1 else None
    if chosen is None:
        return Beginnings([*nearest][:MOST_NAMED], len(nearest) > MOST_NAMED)
    return _with_surroundings(connection, thread_id, chosen, *nearest[chosen])


def _with_surroundings(connection: sqlite3.Connection, thread_id: str, key: str, owner: str, seq: int) -> FoundCall:
    values = row_at(connection, CALLS, _COLUMNS, seq, (key,))
    if isinstance(values, Unreadable):
        row, messages, places = unreadable_row(values), None, None
    else:
        *columns, messages, places = values
        row = read_row(columns)
    same = "kind = 'root'" if row.kind == "root" else "kind IS NOT 'root'"
    [mid_cell] = connection.execute(_MID_CELL, (thread_id, row.turn)).fetchone()
    return FoundCall(
        row,
        owner,
        () if row.damage else _messages(messages),
        None if row.damage else places,
        took_below(connection, owner, [row]).get(row.child_thread or "", Took()),
        _first(connection, _BEFORE.format(same), owner, seq),
        _first(connection, _AFTER.format(same), owner, seq),
        _first(connection, _PAID, owner, key) if row.reused and not row.attempts else None,
        None if row.kind == "root" or row.damage else mid_cell,
    )


def _messages(stored: str | None) -> Sequence[tuple[str, str]]:
    return [(str(role), str(text)) for role, text in json.loads(stored)] if stored else ()


def _first(connection: sqlite3.Connection, query: str, *parameters: Any) -> str | None:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None
