"""Checks the rows by which a run is shown without its checkpoints: those of its turns and of its executions.

They lose nothing of the run itself when they are damaged.
"""

import sqlite3
from typing import Any, Literal

from ..db.checksums import checksum_mismatch_sql
from ..db.corruption import from_both_ends, is_damage
from ..db.tables import EXECUTIONS, TURNS, Table
from ..errors import CHANGED, MISSING
from ..turn_making import turns_begun
from .verify_context import Checking, size_of, unreadable

_Kind = Literal["turn", "execution"]
_NEEDS: dict[_Kind, str] = {
    "turn": "what is shown of turn {}{} without its steps",
    "execution": "when and why execution {}{} began and ended",
}


def check_shown(checking: Checking, thread_id: str, place: str) -> None:
    """Check the rows of a thread; `place` names it where it is another one than the run in question.

    Runs of earlier versions have no such rows, which is no fault.
    """
    _check(checking, TURNS, "turn", thread_id, place, _last_turn(checking.connection, thread_id))
    _check(checking, EXECUTIONS, "execution", thread_id, place, 0)


def _check(checking: Checking, table: Table, kind: _Kind, thread_id: str, place: str, last: int) -> None:
    [number] = table.key_in_thread
    select = f"SELECT {number}, {table.select()}, {checksum_mismatch_sql(table)} FROM {table.name} WHERE thread_id = ?"
    rows, why = from_both_ends(checking.connection, select, number, (thread_id,))
    where = f"table {table.name}"

    def problem(one: Any, fault: str) -> None:
        checking.problem(kind, f"{kind} {one}{place}", fault, where, [_NEEDS[kind].format(one, place)])

    known: set[int] = set()
    for one, *values, damaged in rows:
        checking.count(kind, size_of(values))
        known.add(one)
        if damaged:
            problem(one, CHANGED)
    if why:
        checking.problem(kind, f"the {table.name}{place}", unreadable(why), where, [f"lists of its {table.name}"])
        return
    # A damaged number may be any.
    last = max([last, *known & set(range(len(rows) + 2))]) if known else 0
    for one in sorted(set(range(1, last + 1)) - known):
        problem(one, MISSING)


def _last_turn(connection: sqlite3.Connection, thread_id: str) -> int:
    """Return the turn of the thread's last step; 0 when that cannot be read."""
    try:
        return turns_begun(connection, thread_id)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return 0
