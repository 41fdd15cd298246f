"""The executions of a run: when and why each began and ended. Between two of them the run waited."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .db.checksums import checksum_mismatch_sql
from .db.connection import Database
from .db.corruption import from_both_ends
from .db.tables import EXECUTIONS

Reason = Literal["started", "resumed", "decided", "forked"]
"""Why an execution began: a new run, a resume, a reviewer's decision, or a fork."""
ExecutionOutcome = Literal["answered", "paused", "budget", "stopped", "failed", "killed"]
"""How an execution ended: with this status of its run, or `killed`: its process ended before it could say so."""


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
    """Why it ended, for a person: for example what it waits for."""
    damaged: bool = False
    """True when the row is not what was saved. The other fields then say nothing."""


_SELECT = (
    f"SELECT {', '.join(EXECUTIONS.columns()[1:])}, {checksum_mismatch_sql(EXECUTIONS)} "
    "FROM executions WHERE thread_id = ?"
)


class Executions:
    """Reads the executions of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, thread_id: str) -> list[Execution]:
        """Return the executions of a run, the first one first; none for a run of an earlier version.

        Raises StoreError.
        """
        rows, _ = await self._database.look(
            lambda connection: from_both_ends(connection, _SELECT, "number", (thread_id,))
        )
        return [_execution(row) for row in rows]


def _execution(row: tuple[Any, ...]) -> Execution:
    *values, damaged = row
    number, reason, _, _, outcome, _ = values
    if damaged or reason not in get_args(Reason) or outcome not in (None, *get_args(ExecutionOutcome)):
        return Execution(number if isinstance(number, int) else 0, damaged=True)
    return Execution(*values)
