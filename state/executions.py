"""The executions of a run: when and why each began and ended. Between two of them the run waited.

Each is entered in the transaction that marks the run as running, and ended in the one that saves its outcome. One that
was killed is ended by the next process that takes the run.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.corruption import from_both_ends
from .db.tables import EXECUTIONS

Reason = Literal["started", "resumed", "decided", "forked"]
"""The reason why an execution began: a new run, a resume, a reviewer's decision, or a fork."""
ExecutionOutcome = Literal["answered", "paused", "budget", "stopped", "failed", "killed"]
"""The way in which an execution ended: with this status of its run, or `killed`, when its process ended before that."""


@dataclass(frozen=True)
class Execution:
    """One execution of a run. Times are seconds since 1970."""

    number: int
    """Its place among the executions of the run, from 1."""
    reason: Reason = "started"
    begun: float = 0.0
    ended: float | None = None
    """The time at which it ended; the last renewal of its lease when it was killed; None while it is under way."""
    outcome: ExecutionOutcome | None = None
    detail: str | None = None
    """The reason why it ended, for a person: for example what it waits for."""
    damaged: bool = False
    """True when the row is not what was saved. The other fields then say nothing."""


_SELECT = (
    f"SELECT {', '.join(EXECUTIONS.columns()[1:])}, {checksum_mismatch_sql(EXECUTIONS)} "
    "FROM executions WHERE thread_id = ?"
)
_OPEN = "thread_id = ? AND ended IS NULL"
HolderIn = Callable[[sqlite3.Connection, str], Any]
"""Returns the living process that runs a thread, or None, inside a transaction (`Leases.holder_in`)."""


class Executions:
    """Reads the executions of runs."""

    def __init__(self, database: Database, holder_in: HolderIn = lambda connection, thread_id: None) -> None:
        self._database = database
        self._holder_in = holder_in

    async def of(self, thread_id: str) -> list[Execution]:
        """Return the executions of a run, the first one first; none for a run of an earlier version.

        One whose process is gone is `killed`. Raises StoreError.
        """

        def look(connection: sqlite3.Connection) -> list[Execution]:
            rows, _ = from_both_ends(connection, _SELECT, "number", (thread_id,))
            found = [_execution(row) for row in rows]
            last = found[-1] if found else None
            if last and last.ended is None and not last.damaged and self._holder_in(connection, thread_id) is None:
                row = connection.execute("SELECT renewed FROM leases WHERE thread_id = ?", (thread_id,)).fetchone()
                ended = max(last.begun, float(row[0]) if row else 0.0)
                found[-1] = replace(last, ended=ended, outcome="killed")
            return found

        return await self._database.look(look)


def begin_execution(connection: sqlite3.Connection, thread_id: str, now: float, *, decided: bool) -> None:
    """Enter that an execution begins, inside a transaction. `decided`: with a reviewer's decision."""
    last, steps, fork = connection.execute(
        "SELECT (SELECT max(number) FROM executions WHERE thread_id = :name), "
        "EXISTS (SELECT 1 FROM steps WHERE thread_id = :name), "
        "EXISTS (SELECT 1 FROM threads WHERE thread_id = :name AND parent IS NOT NULL)",
        {"name": thread_id},
    ).fetchone()
    # A run of an earlier version has steps and no executions.
    first: Reason = "forked" if fork else "resumed" if steps else "started"
    reason: Reason = "decided" if decided else "resumed" if last else first
    row = {"thread_id": thread_id, "number": (last or 0) + 1, "reason": reason, "begun": now}
    connection.execute(EXECUTIONS.insert(*row), row)


def end_execution(
    connection: sqlite3.Connection, thread_id: str, status: str, now: float, detail: str | None = None
) -> None:
    """Enter that the execution under way, if any, ends with this status of its run, inside a transaction."""
    if status in get_args(ExecutionOutcome):
        statement = f"UPDATE executions SET ended = ?, outcome = ?, detail = ? WHERE {_OPEN}"
        connection.execute(statement, (now, status, detail, thread_id))


def end_killed(connection: sqlite3.Connection, thread_id: str, renewed: float) -> None:
    """Enter that an execution whose process is gone was alive until the last renewal of its lease."""
    statement = f"UPDATE executions SET ended = max(begun, ?), outcome = 'killed' WHERE {_OPEN}"
    connection.execute(statement, (renewed, thread_id))


def _execution(row: tuple[Any, ...]) -> Execution:
    *values, damaged = row
    number, reason, _, _, outcome, _ = values
    if damaged or reason not in get_args(Reason) or outcome not in (None, *get_args(ExecutionOutcome)):
        return Execution(number if isinstance(number, int) else 0, damaged=True)
    return Execution(*values)
