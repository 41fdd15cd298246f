"""Compares the saved rows of turns with what follows from the steps and the journal."""

import sqlite3
from dataclasses import replace

from durable_rlm.state.db.checksums import register_function
from durable_rlm.state.saved_values import SavedValues
from durable_rlm.state.turn_making import derived_turns
from durable_rlm.state.turn_row import SELECT_TURNS, TurnRow, read_turn_row

_COUNTED = frozenset({"failed-calls", "cut", "reused"})


def saved_rows(connection: sqlite3.Connection, thread: str) -> list[TurnRow]:
    """Return the rows of a thread's turns that are in the table."""
    register_function(connection)
    return [read_turn_row(row) for row in connection.execute(f"{SELECT_TURNS} ORDER BY turn", (thread,)).fetchall()]


def made_rows(connection: sqlite3.Connection, thread: str) -> list[TurnRow]:
    """Return the rows of a thread's turns as they would be made without the table."""
    register_function(connection)
    return derived_turns(connection, SavedValues(), thread)


def contradicting_rows(connection: sqlite3.Connection) -> list[tuple[str, TurnRow | None, TurnRow | None]]:
    """Return the saved rows that say something else than the steps, or are too many, or missing.

    The journal may have gone on after the last step, so that sums are not compared.
    """
    register_function(connection)
    found: list[tuple[str, TurnRow | None, TurnRow | None]] = []
    for (thread,) in connection.execute("SELECT DISTINCT thread_id FROM steps").fetchall():
        saved = {row.turn: row for row in saved_rows(connection, thread)}
        made = {row.turn: row for row in made_rows(connection, thread)}
        for turn in sorted(saved.keys() | made.keys()):
            one, other = saved.get(turn), made.get(turn)
            if one is None or other is None or _without_sums(one) != _without_sums(other):
                found.append((thread, one, other))
    return found


def _without_sums(row: TurnRow) -> TurnRow:
    # The journal says when the root model was asked, and answered.
    unsummed = {"calls": 0, "failed": 0, "cut": 0, "reused": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0.0}
    return replace(
        row, **unsummed, flags=row.flags - _COUNTED, first_call=None, last_call=None, asked=None, planned=None
    )
