"""Counts the calls of a run by what they can be filtered by."""

import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from .call_records import CUT
from .db.connection import Database
from .db.corruption import is_damage


@dataclass(frozen=True)
class CallCounts:
    """The numbers of calls of a run by kind, model and outcome. Damaged rows count as they are."""

    calls: int = 0
    """Sub-calls, those to sub-RLMs included."""
    root: int = 0
    """Requests to the root model."""
    sub_rlms: int = 0
    """Sub-calls that a sub-RLM answers."""
    models: dict[str, int] = field(default_factory=dict[str, int])
    """Sub-calls by model."""
    states: dict[str, int] = field(default_factory=dict[str, int])
    """Sub-calls by outcome, and by the facts of `call_pages.CallState`."""
    turns: dict[int, int] = field(default_factory=dict[int, int])
    """Sub-calls by turn."""
    complete: bool = True
    """False when the file is damaged, so that nothing is counted."""


_MOST_MODELS = 20
"""Models that are counted apart; a run has a few."""
_MODELS = f"SELECT DISTINCT model FROM calls WHERE thread_id = ? AND kind != 'root' LIMIT {_MOST_MODELS}"
_STATES = {
    **{name: f"status = '{name}'" for name in ("asked", "answered", "failed")},
    "cut": f"status = 'answered' AND error_kind = '{CUT}'",
    "reused": "reused > 0",
}


async def calls_counted(database: Database, thread_id: str) -> CallCounts:
    """Return the counts of a run's calls, from two passes over its rows. Raises StoreError."""
    return await database.look(lambda connection: _counted(connection, thread_id))


def _counted(connection: sqlite3.Connection, thread_id: str) -> CallCounts:
    try:
        models = [str(model) for [model] in connection.execute(_MODELS, (thread_id,))]
        # Sums in one pass: grouping would sort all rows.
        sums = [*(f"total({one})" for one in _STATES.values()), *["total(model = ?)"] * len(models)]
        query = f"SELECT {', '.join(sums)} FROM calls WHERE thread_id = ? AND kind != 'root'"
        row = connection.execute(query, (*models, thread_id)).fetchone()
        states, by_model = [*map(int, row[: len(_STATES)])], [*map(int, row[len(_STATES) :])]
        by_turn = connection.execute(_BY_TURN, (thread_id,)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return CallCounts(complete=False)
    kinds, turns = Counter[str](), Counter[int]()
    for turn, kind, number in by_turn:
        kinds[str(kind)] += number
        if kind != "root" and isinstance(turn, int):
            turns[turn] += number
    named = dict(zip(models, by_model, strict=True)), dict(zip(_STATES, states, strict=True)), dict(turns)
    return CallCounts(kinds.total() - kinds["root"], kinds["root"], kinds["rlm"], *named)


# From the index alone.
_BY_TURN = "SELECT turn, kind, count(*) FROM calls WHERE thread_id = ? GROUP BY turn, kind"
