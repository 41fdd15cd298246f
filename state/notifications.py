"""The outbox of notifications: events of runs, saved together with what they report, and kept until they are sent.

An event has the same id however often it is entered, so that a run that is killed and resumed enters it once. It is
sent at least once: a process that is killed between sending it and noting that sends it again, with the same id.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .call_keys import digest
from .db.connection import Database, Unit
from .db.home_id import id_in

Kind = Literal["waiting", "answered", "failed", "budget", "limit"]
"""The kind of an event: the run waits for a reviewer, has ended in one of three ways, or has used most of a limit."""
ID_DIGITS = 32
_TICK = 1e-6
"""Seconds between two events of a run that are entered at the same time, which keep their order."""
_COLUMNS = "event, target, thread_id, body, attempts"


@dataclass(frozen=True)
class Occurrence:
    """An event of a run that is to be entered."""

    kind: Kind
    detail: tuple[Any, ...]
    """Plain JSON values that tell it from the other events of its kind in its run."""
    facts: Mapping[str, Any]
    """The fields of its body, beside `id`, `event`, `thread_id` and `created`."""


@dataclass(frozen=True)
class Notification:
    """An event that is to be sent to one target."""

    event: str
    """The id of the event."""
    target: str
    thread_id: str
    body: str
    """The JSON that is sent, the same at each attempt."""
    attempts: int
    """The number of failed attempts."""

    @property
    def kind(self) -> str:
        """The kind of its event."""
        return str(json.loads(self.body).get("event", ""))


class Notifications:
    """Reads and writes the outbox."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> float:
        """Return the seconds since 1970, as stamped on rows."""
        return self._clock()

    def entering(self, thread_id: str, targets: Sequence[str], occurrence: Occurrence) -> Unit:
        """Return the unit that enters an event for each target, unless it is there or the run no longer exists."""
        now = self._clock()

        def unit(connection: sqlite3.Connection) -> None:
            run = connection.execute("SELECT created FROM threads WHERE thread_id = ?", (thread_id,)).fetchone()
            if run is None:
                return
            # Names of runs repeat in other homes, and after a deletion.
            run_id = (id_in(connection), thread_id, run[0])
            event = digest("notification", *run_id, occurrence.kind, *occurrence.detail)[:ID_DIGITS]
            [latest] = connection.execute(
                "SELECT max(created) FROM notifications WHERE thread_id = ?", (thread_id,)
            ).fetchone()
            created = now if latest is None else max(now, latest + _TICK)
            head = {"id": event, "event": occurrence.kind, "thread_id": thread_id, "created": now}
            body = json.dumps({**head, **occurrence.facts})
            connection.executemany(
                "INSERT OR IGNORE INTO notifications (event, target, thread_id, body, created, due) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(event, target, thread_id, body, created, now) for target in targets],
            )

        return unit

    async def targets(self, thread_id: str) -> list[str]:
        """Return the targets to which something of the run is still to be sent."""
        rows = await self._database.read(
            "SELECT DISTINCT target FROM notifications WHERE thread_id = ? AND ended IS NULL ORDER BY target",
            (thread_id,),
        )
        return [str(target) for [target] in rows]

    async def first(self, thread_id: str, target: str) -> Notification | None:
        """Return the oldest event of the run that is still to be sent to the target; None when there is nothing."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM notifications WHERE thread_id = ? AND target = ? AND ended IS NULL "
            "ORDER BY created, event LIMIT 1",
            (thread_id, target),
        )
        return Notification(*rows[0]) if rows else None

    async def count(self, thread_id: str) -> int:
        """Return how many notifications of the run are still to be sent."""
        rows = await self._database.read(
            "SELECT count(*) FROM notifications WHERE thread_id = ? AND ended IS NULL", (thread_id,)
        )
        return int(rows[0][0])

    async def sent(self, one: Notification) -> None:
        """Record that a notification was sent. Raises StoreError."""
        await self._set(one, "notification-sent", ended=self._clock(), problem=None)

    async def failed(self, one: Notification, problem: str, *, due: float | None) -> None:
        """Record a failed attempt and when the next one is due; None: there will be no other. Raises StoreError."""
        ending: dict[str, Any] = {"ended": self._clock()} if due is None else {"due": due}
        await self._set(one, "notification-failed", attempts=one.attempts + 1, problem=problem, **ending)

    async def held(self, one: Notification, problem: str) -> None:
        """Record why a notification cannot be sent by this process; another one tries. Raises StoreError."""
        await self._set(one, "notification-held", problem=problem)

    async def _set(self, one: Notification, what: str, **columns: Any) -> None:
        changed = ", ".join(f"{name} = :{name}" for name in columns)
        row = {**columns, "event": one.event, "target": one.target}
        statement = f"UPDATE notifications SET {changed} WHERE event = :event AND target = :target"
        # After a power loss it is sent again, as after kill -9 before this line.
        await self._database.commit(lambda connection: connection.execute(statement, row), what, synced=False)
