"""The index of runs: one row a thread, for `rlm list` and for telling a resume from a new run."""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from .database import Database
from .errors import StoreError, UnknownThread
from .ledger import Limits
from .schema import Status


@dataclass(frozen=True)
class Thread:
    """One run as the index knows it. `seconds` is its wall time, all sittings together."""

    thread_id: str
    question: str
    input: str
    """A digest of what was given as input: the same digest means the same run."""
    start: dict[str, Any]
    """What the graph was started with, for a run that was killed before its first checkpoint."""
    model: str
    parent: str | None
    limits: Limits
    status: Status
    error: dict[str, Any] | None
    turns: int
    seconds: float
    created: float
    updated: float


@dataclass(frozen=True)
class Step:
    """One saved step. `created` is seconds since 1970."""

    step: int
    checkpoint_id: str
    kind: str
    turn: int
    summary: str
    created: float


_COLUMNS = "thread_id, question, input, start, model, parent, limits, status, error, turns, seconds, created, updated"


class Threads:
    """Reads and writes the index."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        thread_id: str,
        *,
        question: str,
        input_digest: str,
        start: dict[str, Any],
        model: str,
        limits: Limits,
        parent: str | None = None,
    ) -> None:
        """Enter a new run. Raises StoreError when the name is taken."""
        now = self._clock()
        row = (thread_id, question, input_digest, json.dumps(start), model, parent, limits.model_dump_json(), now, now)

        def unit(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO threads (thread_id, question, input, start, model, parent, limits, status, created, "
                    "updated) VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise StoreError(f"A run named {thread_id} exists already.") from None

        await self._database.commit(unit)

    async def get(self, thread_id: str) -> Thread:
        """The run's row. Raises UnknownThread."""
        rows = await self._database.read(f"SELECT {_COLUMNS} FROM threads WHERE thread_id = ?", (thread_id,))
        if not rows:
            raise UnknownThread(f"There is no run named {thread_id} here.", hint="`rlm list` shows those there are.")
        return _thread(rows[0])

    async def find(self, thread_id: str) -> Thread | None:
        """The run's row, or None."""
        rows = await self._database.read(f"SELECT {_COLUMNS} FROM threads WHERE thread_id = ?", (thread_id,))
        return _thread(rows[0]) if rows else None

    async def all(self) -> list[Thread]:
        """Every run, the one touched last first."""
        rows = await self._database.read(f"SELECT {_COLUMNS} FROM threads ORDER BY updated DESC, thread_id")
        return [_thread(row) for row in rows]

    async def set_status(
        self, thread_id: str, status: Status, *, seconds: float, error: dict[str, Any] | None = None
    ) -> None:
        """Say how the run stands now."""
        row = (status, seconds, json.dumps(error) if error else None, self._clock(), thread_id)
        await self._database.commit(
            lambda connection: connection.execute(
                "UPDATE threads SET status = ?, seconds = ?, error = ?, updated = ? WHERE thread_id = ?", row
            )
        )

    async def set_limits(self, thread_id: str, limits: Limits) -> None:
        """Put other limits in force."""
        row = (limits.model_dump_json(), thread_id)
        await self._database.commit(
            lambda connection: connection.execute("UPDATE threads SET limits = ? WHERE thread_id = ?", row)
        )

    async def steps(self, thread_id: str) -> list[Step]:
        """The run's steps in saved order; loads no checkpoint."""
        rows = await self._database.read(
            "SELECT step, checkpoint_id, kind, turn, summary, created FROM steps WHERE thread_id = ? ORDER BY step",
            (thread_id,),
        )
        return [Step(*row) for row in rows]

    async def count_steps(self, thread_id: str) -> int:
        """How many steps the run has."""
        rows = await self._database.read("SELECT count(*) FROM steps WHERE thread_id = ?", (thread_id,))
        return int(rows[0][0])

    async def named_like(self, beginning: str) -> list[str]:
        """The runs whose names begin so."""
        rows = await self._database.read(
            "SELECT thread_id FROM threads WHERE substr(thread_id, 1, ?) = ? ORDER BY thread_id",
            (len(beginning), beginning),
        )
        return [row[0] for row in rows]


def _thread(row: tuple[Any, ...]) -> Thread:
    values = list(row)
    values[3] = json.loads(values[3])
    values[6] = Limits.model_validate_json(values[6])
    values[7] = cast(Status, values[7])
    values[8] = json.loads(values[8]) if values[8] else None
    return Thread(*values)
