"""Reads what the latest steps of a run have saved, at a cost that does not grow with the run.

A state holds the list of all turns, which is rebuilt from many rows. Here only the rows of the steps that are asked for
are read: each step's own additions to the list, and the rest of the state after the last one.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.tables import CHECKPOINTS, STEPS
from .records import TurnRecord
from .saved_values import SavedValues
from .threads import Step
from .turn_making import added_turns

_TRIED = 20
"""Steps of which one must be intact for the state of a run to be known."""
_AT_ONCE = 200
"""The number of steps that one call reads at most."""
_STEPS = (
    f"SELECT step, checkpoint_id, kind, turn, summary, created, settled, {checksum_mismatch_sql(STEPS)} FROM steps "
    f"WHERE thread_id = ? AND step > ? ORDER BY step LIMIT {_AT_ONCE}"
)
_OF_TURN = (
    f"SELECT step, checkpoint_id, kind, turn, summary, created, settled, {checksum_mismatch_sql(STEPS)}, "
    "(SELECT parent_checkpoint_id FROM checkpoints WHERE checkpoints.thread_id = steps.thread_id "
    "AND checkpoint_ns = '' AND checkpoints.checkpoint_id = steps.checkpoint_id) "
    "FROM steps WHERE thread_id = ? AND turn BETWEEN ? AND ? ORDER BY step"
)
_LAST = "SELECT max(step) FROM steps WHERE thread_id = ?"
_CHECKPOINT = (
    f"SELECT parent_checkpoint_id, type, CAST(checkpoint AS BLOB), {checksum_mismatch_sql(CHECKPOINTS)} "
    "FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
)


@dataclass(frozen=True)
class SavedStep:
    """A step, and what it added to the turns."""

    step: Step
    parent: str | None = None
    """The checkpoint that it follows; None for the first step, and when that is not known."""
    records: Sequence[TurnRecord] = ()
    damaged: bool = False
    """True when not all of it is what was saved."""


@dataclass(frozen=True)
class Saved:
    """The steps after one step, in order."""

    steps: list[SavedStep]
    last: int
    """The number of the run's last step; 0 without any."""
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    """The state after the last of `steps`, without the list of turns; empty without steps, and when it is damaged."""


async def steps_after(database: Database, thread_id: str, number: int) -> Saved:
    """Return the steps of a thread after step `number`: at most 200 of them, so `last` may be a later one.

    A damaged step is returned as far as it can be read. Raises StoreError; StoredDataDamaged when the list of steps
    cannot be read.
    """

    def look(connection: sqlite3.Connection) -> Saved:
        rows = connection.execute(_STEPS, (thread_id, number)).fetchall()
        values: dict[str, Any] = {}
        steps: list[SavedStep] = []
        for place, (*facts, damaged) in enumerate(rows):
            step = _unreadable(facts) if damaged else Step(*facts)
            found, body = _read(connection, thread_id, step)
            if body and place == len(rows) - 1:
                values = _values(body)
            steps.append(found)
        [last] = connection.execute(_LAST, (thread_id,)).fetchone()
        return Saved(steps, int(last or 0), values)

    return await database.look(look)


async def steps_of_turn(database: Database, thread_id: str, turn: int) -> Saved:
    """Return the steps of one turn in order, without those that only settled sub-calls, and the state after them.

    Of a run that has gone on from an earlier step, they are those that the next turn follows. There are none where
    they were pruned. Raises StoreError.
    """

    def look(connection: sqlite3.Connection) -> Saved:
        steps: list[SavedStep] = []
        values: dict[str, Any] = {}
        line = _line_of_turn(connection, thread_id, turn)
        for place, step in enumerate(line):
            if step.kind == "sub_call" and place < len(line) - 1:
                continue
            found, body = _read(connection, thread_id, step)
            if body and place == len(line) - 1:
                values = _values(body)
            steps.append(found)
        [last] = connection.execute(_LAST, (thread_id,)).fetchone()
        return Saved(steps, int(last or 0), values)

    return await database.look(look)


async def last_saved(database: Database, thread_id: str) -> Saved:
    """Return the last step of a run and the state after it, or of a few steps before it the last intact one.

    `last` is the number of the last step, intact or not. Raises StoreError.
    """

    def look(connection: sqlite3.Connection) -> Saved:
        [last] = connection.execute(_LAST, (thread_id,)).fetchone()
        rows = connection.execute(_STEPS, (thread_id, int(last or 0) - _TRIED)).fetchall()
        for *facts, damaged in reversed(rows):
            found, body = _read(connection, thread_id, _unreadable(facts) if damaged else Step(*facts))
            if body and not found.damaged and (values := _values(body)):
                return Saved([found], int(last), values)
        return Saved([], int(last or 0))

    return await database.look(look)


def _line_of_turn(connection: sqlite3.Connection, thread_id: str, turn: int) -> list[Step]:
    """Return the steps of a turn, from the last one that it or the turn after it has back to its first."""
    rows = connection.execute(_OF_TURN, (thread_id, turn, turn + 1)).fetchall()
    found: dict[str, tuple[Step, str | None]] = {}
    for *facts, damaged, parent in rows:
        step = _unreadable(facts) if damaged else Step(*facts)
        found[step.checkpoint_id] = step, parent
    line: list[Step] = []
    name: str | None = next(reversed(found), None)
    while name in found:
        # Popped: a checkpoint that names itself as its ancestor ends the line.
        step, name = found.pop(name)
        if step.turn == turn or step.kind == "damaged":
            line.append(step)
    return line[::-1]


def _unreadable(facts: Sequence[Any]) -> Step:
    return Step(int(facts[0]), str(facts[1]), "damaged", 0, "", 0.0)


def _read(connection: sqlite3.Connection, thread_id: str, step: Step) -> tuple[SavedStep, tuple[str, bytes] | None]:
    """Return a step with what it added, and the serialized state after it; None when that is damaged."""
    row = connection.execute(_CHECKPOINT, (thread_id, step.checkpoint_id)).fetchone()
    if row is None or row[3]:
        return SavedStep(step, damaged=True), None
    parent, kind, body, _ = row
    records, unreadable = added_turns(connection, SavedValues(), thread_id, parent)
    return SavedStep(step, parent, records, damaged=unreadable or step.kind == "damaged"), (kind, body)


def _values(body: tuple[str, bytes]) -> dict[str, Any]:
    """Return the values of a serialized state; none when it cannot be read."""
    with contextlib.suppress(Exception):
        return SavedValues().loads_typed(body).get("channel_values") or {}
    return {}
