"""The statements that write rows of the call journal (`call_journal.py`), each inside a transaction.

The columns `uncertain_…` hold what is reserved for attempts whose outcome is unknown. Once it is known, the amounts
move into the other columns.
"""

import sqlite3
from typing import Any

from .db.checksums import checksum_mismatch_sql


def open_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """Insert a request, or count one more attempt at it."""
    # A damaged row is replaced by a sound one: nothing in it can be relied on except that the request was sent.
    damaged = connection.execute(
        f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {checksum_mismatch_sql('calls')}", row[:2]
    ).rowcount
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, cost, created, "
        "uncertain_input, uncertain_output, uncertain_tokens, uncertain_cost, uncertain_input_cost, attempts, "
        "uncertain_calls) VALUES (?, ?, ?, ?, ?, ?, ?, 'asked', ?, ?, ?, ?, ?, ?, ?, ?, 1) "
        "ON CONFLICT (thread_id, key) DO UPDATE SET attempts = attempts + 1, cost = cost + excluded.cost, "
        "uncertain_calls = uncertain_calls + 1, uncertain_input = uncertain_input + excluded.uncertain_input, "
        "uncertain_output = uncertain_output + excluded.uncertain_output, "
        "uncertain_tokens = uncertain_tokens + excluded.uncertain_tokens, "
        "uncertain_cost = uncertain_cost + excluded.uncertain_cost, "
        "uncertain_input_cost = uncertain_input_cost + excluded.uncertain_input_cost",
        (*row, 1 + damaged),
    )


def open_child_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """Insert a call that a child thread answers."""
    connection.execute(
        f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {checksum_mismatch_sql('calls')}", row[:2]
    )
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, cost, child_thread, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'asked', 0.0, ?, ?) ON CONFLICT (thread_id, key) DO NOTHING",
        row,
    )


def settle_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """Record the outcome of a request."""
    now_settled = _count_settled(connection)
    connection.execute(
        "UPDATE calls SET settled = ?, status = ?, answer = ?, error_kind = ?, error = ?, seconds = ?, "
        f"{_KNOWN} WHERE thread_id = ? AND key = ?",
        (now_settled, *row),
    )


def decide_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """Record a reviewer's decision about a call that was never sent."""
    settled = _count_settled(connection)
    connection.execute(
        f"DELETE FROM calls WHERE thread_id = ? AND key = ? AND {checksum_mismatch_sql('calls')}", row[:2]
    )
    # An existing row may have been sent before, and billed: its counts stay.
    connection.execute(
        "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, answer, error_kind, error, "
        "created, cost, settled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0.0, ?) ON CONFLICT (thread_id, key) "
        "DO UPDATE SET model = excluded.model, status = excluded.status, answer = excluded.answer, "
        "error_kind = excluded.error_kind, error = excluded.error, settled = excluded.settled",
        (*row, settled),
    )


def correct_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> None:
    """Record the usage of attempts that gave no answer."""
    connection.execute(
        f"UPDATE calls SET {_KNOWN} WHERE thread_id = ? AND key = ?",
        row,
    )


# Without any uncertain attempt the dollars are exactly 0, whatever rounding error additions and subtractions left.
_KNOWN = (
    "input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cost = cost + ?, attempts = attempts - ?, "
    "uncertain_cost = CASE WHEN uncertain_calls > ? THEN uncertain_cost - ? ELSE 0.0 END, "
    "uncertain_input_cost = CASE WHEN uncertain_calls > ? THEN uncertain_input_cost - ? ELSE 0.0 END, "
    "uncertain_calls = uncertain_calls - ?, uncertain_input = uncertain_input - ?, "
    "uncertain_output = uncertain_output - ?, uncertain_tokens = uncertain_tokens - ?"
)


def _count_settled(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'settled'")
    return int(connection.execute("SELECT value FROM counters WHERE name = 'settled'").fetchone()[0])


def reuse_row(connection: sqlite3.Connection, thread_id: str, key: str, owner: str, now: float) -> None:
    """Count that a recorded answer was served once more."""
    own = connection.execute("UPDATE calls SET reused = reused + 1 WHERE thread_id = ? AND key = ?", (thread_id, key))
    if own.rowcount == 0:
        connection.execute(
            "INSERT INTO calls (thread_id, key, kind, turn, depth, model, prompt, status, answer, error_kind, error, "
            "cost, reused, child_thread, created, settled) SELECT ?, key, kind, turn, depth, model, prompt, status, "
            "answer, error_kind, error, 0.0, 1, child_thread, ?, ? FROM calls WHERE thread_id = ? AND key = ? "
            f"AND NOT ({checksum_mismatch_sql('calls')})",
            (thread_id, now, _count_settled(connection), owner, key),
        )
