"""The statements that write rows of the call journal (`call_journal.py`), each inside a transaction.

Rows are given as values by column. The columns `uncertain_…` hold what is reserved for attempts whose outcome is
unknown. Once it is known, the amounts move into the other columns.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from .db.checksums import checksum_mismatch_sql
from .db.tables import CALL_USAGE, CALLS

Row = Mapping[str, Any]

_DAMAGED = checksum_mismatch_sql(CALLS)
_ROW = "thread_id = :thread_id AND key = :key"


def open_row(connection: sqlite3.Connection, row: Row) -> None:
    """Insert a request, or count one more attempt at it."""
    # Nothing in a damaged row can be relied on except that the request was sent.
    row = {**row, "status": "asked", "attempts": 1 + _remove_damaged(connection, row)}
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in CALL_USAGE if name in row)
    connection.execute(f"{CALLS.insert(*row)} ON CONFLICT (thread_id, key) DO UPDATE SET {sums}", row)


def open_child_row(connection: sqlite3.Connection, row: Row) -> None:
    """Insert a call that a child thread answers."""
    _remove_damaged(connection, row)
    row = {**row, "status": "asked", "cost": 0.0}
    connection.execute(f"{CALLS.insert(*row)} ON CONFLICT (thread_id, key) DO NOTHING", row)


def settle_row(connection: sqlite3.Connection, row: Row) -> None:
    """Record the outcome of a request, with what it took (`correct_row`)."""
    row = {**row, "settled": _count_settled(connection)}
    outcome = ", ".join(f"{name} = :{name}" for name in _OUTCOME)
    connection.execute(
        f"UPDATE calls SET {outcome}, seconds = :seconds, thoughts = :thoughts, places = :places, {_USED} WHERE {_ROW}",
        row,
    )


def decide_row(connection: sqlite3.Connection, row: Row) -> None:
    """Record a reviewer's decision about a call that was never sent."""
    row = {**row, "cost": 0.0, "settled": _count_settled(connection)}
    _remove_damaged(connection, row)
    # An existing row may have been sent before, and billed: its counts stay.
    decided = ", ".join(f"{name} = excluded.{name}" for name in ("model", *_OUTCOME))
    connection.execute(f"{CALLS.insert(*row)} ON CONFLICT (thread_id, key) DO UPDATE SET {decided}", row)


def correct_row(connection: sqlite3.Connection, row: Row) -> None:
    """Record the usage of attempts whose outcome is known.

    `ended` attempts are uncertain no longer, `unsent` of them were never sent. `uncertain_…` are their reservations,
    the other amounts what they took.
    """
    connection.execute(f"UPDATE calls SET {_USED} WHERE {_ROW}", row)


def place_row(connection: sqlite3.Connection, row: Row) -> None:
    """Record the parts of the input that a request held."""
    connection.execute(f"UPDATE calls SET places = :places WHERE {_ROW}", row)


def reuse_row(connection: sqlite3.Connection, row: Row) -> None:
    """Count that the answer recorded by the thread `owner` was served once more."""
    own = connection.execute(f"UPDATE calls SET reused = reused + 1 WHERE {_ROW}", row)
    if own.rowcount == 0:
        changed = {
            **{"thread_id": ":thread_id", "created": ":created", "settled": ":settled"},
            **{"cost": "0.0", "reused": "1"},
        }
        paid_there = ("seq", "attempt_log", *(name for name in CALL_USAGE if name != "cost"))
        connection.execute(
            f"{CALLS.copy(changed, without=paid_there)} WHERE thread_id = :owner AND key = :key AND NOT ({_DAMAGED})",
            {**row, "settled": _count_settled(connection)},
        )


_OUTCOME = ("settled", "status", "answer", "error_kind", "error")
_ADDED = (
    *("input_tokens", "output_tokens", "cost", "cached_tokens", "cache_write_tokens", "thought_tokens"),
    *("streamed_calls", "streamed_output"),
)
# Without any uncertain attempt the dollars are exactly 0, whatever rounding error additions and subtractions left.
_USED = ", ".join(
    [
        *(f"{name} = {name} + :{name}" for name in _ADDED),
        "attempts = attempts - :unsent",
        "attempt_log = coalesce(attempt_log, '') || :attempt_log",
        *(
            f"{name} = CASE WHEN uncertain_calls > :ended THEN {name} - :{name} ELSE 0.0 END"
            for name in ("uncertain_cost", "uncertain_input_cost")
        ),
        "uncertain_calls = uncertain_calls - :ended",
        *(f"{name} = {name} - :{name}" for name in ("uncertain_input", "uncertain_output", "uncertain_tokens")),
    ]
)


def _remove_damaged(connection: sqlite3.Connection, row: Row) -> int:
    """Delete the row if it is damaged. Return the number of rows deleted."""
    return connection.execute(f"DELETE FROM calls WHERE {_ROW} AND {_DAMAGED}", row).rowcount


def _count_settled(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'settled'")
    return int(connection.execute("SELECT value FROM counters WHERE name = 'settled'").fetchone()[0])
