"""Leases with fencing tokens: one writer per thread (promise P4).

The lease is a row; its token grows with every change of holder. A commit for a thread carries the token
that its process was given, and is refused when the row has a newer one: so a process that was stopped for an
hour and wakes up cannot write into a run that another one has taken over.
"""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from .db.connection import Database
from .db.storable import ensure_storable
from .errors import LeaseLost, RunBusy, StoreError, cli_command
from .executions import end_killed

RENEW_AFTER = 15.0
"""Seconds between two renewals by a holder."""
EXPIRES_AFTER = 60.0
"""Seconds after which a lease of another machine, not renewed, may be taken over."""


def this_process() -> dict[str, Any]:
    """Return this process's identity as a holder: enough to tell for certain, on the same machine, that it is dead."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = str(psutil.boot_time())
    return {
        "host": socket.gethostname(),
        "boot": boot,
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "ticks": _ticks(os.getpid()),
    }


def is_dead(owner: dict[str, Any], renewed: float, now: float) -> bool:
    """Return whether the holder is provably dead, or, on another machine, has not renewed for too long."""
    me = this_process()
    if owner.get("host") != me["host"]:
        # A renewal in the future: the clock was set back since, and the time says nothing until the clock gets there.
        return abs(now - renewed) > EXPIRES_AFTER
    if owner.get("boot") != me["boot"]:
        return True
    try:
        process = psutil.Process(int(owner["pid"]))
        if (began := owner.get("ticks")) is not None:
            return began != _ticks(process.pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return ended or abs(process.create_time() - float(owner["started"])) > 1.0
    except (psutil.NoSuchProcess, KeyError, ValueError, TypeError):
        return True
    except psutil.AccessDenied:
        return False


def _ticks(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot, which setting the wall clock does not change.

    (psutil's time depends on the wall clock.) None where there is no /proc, and for a process that has ended and that
    its parent has not asked about yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The process name before it may hold anything, including blanks and parentheses.
    status, *facts = stat.rpartition(b")")[2].split()
    return None if status in (b"Z", b"X") else int(facts[18])


class Leases:
    """Takes, checks and releases leases for this process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._held: dict[str, int] = {}
        self._left: dict[str, int] = {}
        """Tokens of threads that are no longer held, although the release could not be written yet."""

    async def acquire(self, thread_id: str, *, batch: bool = False) -> None:
        """Take the thread. Raises RunBusy while a living process (this one included) holds it.

        `batch` says that it is one of many questions that are asked together (`in_batches`).
        """
        if thread_id in self._held:
            raise RunBusy(f"{thread_id} is already running in this process.")
        ensure_storable({"thread_id": thread_id}, "The run")
        now, left = self._clock(), self._left.get(thread_id)
        taking = asyncio.ensure_future(
            self._database.commit(
                lambda connection: _acquire(connection, thread_id, now, left, batch=batch), "lease-taken"
            )
        )
        try:
            self._held[thread_id] = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The lease is taken all the same, unless another process holds the store.
            with self._database.hurried(), contextlib.suppress(StoreError, RunBusy):
                self._held[thread_id] = await taking
                await self.release(thread_id)
            raise

    async def release(self, thread_id: str) -> bool:
        """Release the thread. Does nothing when another process has taken it over. Raises StoreError.

        Return whether another process has asked meanwhile that this one stop all its runs: from now on no request can
        be entered beside this lease, so that none is missed by a process that goes from one run to the next.
        """
        token = self._held.pop(thread_id, None)
        if token is None:
            return False
        self._left[thread_id] = token
        where = "WHERE thread_id = ? AND token = ? RETURNING stop = token AND stop_all"
        statement = f"UPDATE leases SET owner = NULL {where}"
        rows = await self._database.commit(
            lambda connection: connection.execute(statement, (thread_id, token)).fetchall(), "lease-released"
        )
        if self._left.get(thread_id) == token:
            del self._left[thread_id]
        return any(asked for [asked] in rows)

    def token(self, thread_id: str) -> int | None:
        """Return the token of the thread's lease, which no other execution has; None when it is not held here."""
        return self._held.get(thread_id)

    async def renew(self, thread_id: str) -> None:
        """Renew the lease. Raises LeaseLost."""
        now = self._clock()

        def unit(connection: sqlite3.Connection) -> None:
            self.check(connection, thread_id)
            connection.execute("UPDATE leases SET renewed = ? WHERE thread_id = ?", (now, thread_id))

        await self._database.commit(unit, "lease-renewed")

    def check(self, connection: sqlite3.Connection, thread_id: str) -> None:
        """Raise LeaseLost or RunBusy unless this process may write the thread. Called inside a transaction.

        A thread that this process has not leased (for a plain LangGraph caller) may be written while no other living
        process holds it.
        """
        row = connection.execute(
            "SELECT token, owner, renewed FROM leases WHERE thread_id = ?", (thread_id,)
        ).fetchone()
        held = self._held.get(thread_id)
        if held is not None:
            if row is None or row[0] != held:
                raise LeaseLost(f"Another process has taken over {thread_id}.", hint="Nothing of this one was saved.")
        elif row is not None and row[1] is not None and not is_dead(_owner(row[1]), row[2], self._clock()):
            raise RunBusy(f"{thread_id} is being run by another process.", hint=_wait_or_stop(thread_id))

    @property
    def held(self) -> dict[str, int]:
        """The tokens of the threads that this process holds."""
        return {**self._held}

    async def holder(self, thread_id: str) -> dict[str, Any] | None:
        """Return the living process that is running the thread now, as `this_process` describes it, or None."""
        return await self._database.look(lambda connection: self.holder_in(connection, thread_id))

    def holder_in(self, connection: sqlite3.Connection, thread_id: str) -> dict[str, Any] | None:
        """Return what `holder` does, inside a transaction."""
        row = connection.execute("SELECT owner, renewed FROM leases WHERE thread_id = ?", (thread_id,)).fetchone()
        if row is None or row[0] is None or is_dead(owner := _owner(row[0]), row[1], self._clock()):
            return None
        return owner

    async def holder_alive(self, thread_ids: list[str]) -> set[str]:
        """Return those of the threads that a living process is running now."""
        rows = await self._database.read("SELECT thread_id, owner, renewed FROM leases WHERE owner IS NOT NULL")
        now = self._clock()
        wanted = set(thread_ids)
        return {row[0] for row in rows if row[0] in wanted and not is_dead(_owner(row[1]), row[2], now)}

    async def alive(self) -> list[str]:
        """Return the threads that a living process is running now."""
        rows = await self._database.read("SELECT thread_id, owner, renewed FROM leases WHERE owner IS NOT NULL")
        now = self._clock()
        return [name for name, owner, renewed in rows if not is_dead(_owner(owner), renewed, now)]

    async def in_batches(self, thread_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the holders of those of the threads that a living process, this one too, asks in a batch now."""
        rows = await self._database.read("SELECT thread_id, owner, renewed FROM leases WHERE owner IS NOT NULL")
        now, wanted = self._clock(), set(thread_ids)
        found = [(name, _owner(owner), renewed) for name, owner, renewed in rows if name in wanted]
        return {
            name: owner for name, owner, renewed in found if owner.get("batch") and not is_dead(owner, renewed, now)
        }

    def fence(self, connection: sqlite3.Connection, thread_id: str) -> None:
        """Invalidate the token of the thread's last holder, inside a transaction, and leave the thread unheld.

        For changes to a thread as a whole. The row stays, so that a process that slept meanwhile finds that its token
        is no longer valid. Raises RunBusy while a living process (this one included) runs the thread.
        """
        self.ensure_idle(connection, thread_id)
        _acquire(connection, thread_id, self._clock())
        connection.execute("UPDATE leases SET owner = NULL WHERE thread_id = ?", (thread_id,))

    def ensure_idle(self, connection: sqlite3.Connection, thread_id: str) -> None:
        """Raise RunBusy while a living process (this one included) runs the thread. Called inside a transaction."""
        if thread_id in self._held:
            raise RunBusy(f"{thread_id} is running in this process.", hint="Stop it first.")
        self.check(connection, thread_id)


def living_since(connection: sqlite3.Connection, now: float) -> float:
    """Return the start of the oldest process that runs a thread now, in seconds since 1970; `now` without any."""
    rows = connection.execute("SELECT owner, renewed FROM leases WHERE owner IS NOT NULL").fetchall()
    owners = [owner for found, renewed in rows if not is_dead(owner := _owner(found), renewed, now)]
    return min([now, *(float(owner.get("started", 0.0)) for owner in owners)])


def _wait_or_stop(thread_id: str) -> str:
    return f"{cli_command('wait', thread_id)} waits for it, {cli_command('stop', thread_id)} stops it."


def _owner(found: str | bytes) -> dict[str, Any]:
    """Return the holder of a lease; empty when the row is damaged: then its time decides."""
    try:
        owner: Any = json.loads(found)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _acquire(
    connection: sqlite3.Connection, thread_id: str, now: float, left: int | None = None, *, batch: bool = False
) -> int:
    """Take the thread unless a living process holds it. Return the new token.

    `left`: the token of this process's own lease, which it has given up although the row does not say so.
    """
    row = connection.execute("SELECT token, owner, renewed FROM leases WHERE thread_id = ?", (thread_id,)).fetchone()
    if row and row[1] is not None and row[0] != left:
        owner = _owner(row[1])
        if not is_dead(owner, row[2], now):
            raise RunBusy(
                f"{thread_id} is being run by process {owner.get('pid')} on {owner.get('host')}.",
                hint=_wait_or_stop(thread_id),
            )
    if row:
        end_killed(connection, thread_id, row[2])
    token = (row[0] if row else 0) + 1
    connection.execute(
        "INSERT INTO leases (thread_id, token, owner, renewed) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token, owner = excluded.owner, "
        "renewed = excluded.renewed, stop = NULL, stop_all = 0",
        (thread_id, token, json.dumps({**this_process(), **({"batch": True} if batch else {})}), now),
    )
    return token
