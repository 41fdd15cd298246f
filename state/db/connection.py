"""One SQLite file, one connection, group commit.

Everything that must last is written here, so that a step, its texts, its journal entries and its lease
can share a transaction. Units of work that arrive while a commit is under way are committed together by
the next one: each is on disk when its `commit` returns, with few fsyncs
(1,000 finished tasks: 4.9 s with a commit each, 0.44 s in groups; `docs/design/0002-one-file.md`).
"""

import asyncio
import contextlib
import copy
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from ..errors import StoreError
from ..failpoints import Failpoint, no_failpoint
from ..fsync import mark_home
from .aiosqlite_compat import run_in_thread
from .opening import BUSY_SECONDS, opened
from .opening import connect as connect
from .reserve import keep_reserve
from .store_errors import as_store_error, unit_failure
from .units import Failed, Pending, Unit, Unsaved, run_group

_SETTLE_AFTER = 5.0
_AT_A_TIME = 0.5
"""Seconds that one attempt waits for another process; during that time nothing else can use the connection."""


class Database:
    """The open file. `commit` is the only way to write; `read` sees what was committed."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        path: Path,
        failpoint: Failpoint,
        patience: float,
        settle_after: float,
        unwritable: StoreError | None,
    ) -> None:
        self.connection = connection
        self.path = path
        self._marked = False
        self._failpoint = failpoint
        self._patience = patience
        self._settle_after = settle_after
        self._unwritable = unwritable
        self._settled = 0
        self._settling: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._hurries = 0
        self.lock = asyncio.Lock()
        """Held during a commit, and by the checkpointer during its own statements."""
        self.unsaved = Unsaved()
        """Names of the rows that deferred units could not save. For use inside units."""
        self._queue: list[Pending] = []
        self._flusher: asyncio.Task[None] | None = None
        self.commits = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        failpoint: Failpoint = no_failpoint,
        patience: float = BUSY_SECONDS,
        settle_after: float = _SETTLE_AFTER,
        on_made: Callable[[str], None] = lambda home_id: None,
    ) -> AsyncGenerator["Database"]:
        """Open or create the file (0600 in a 0700 folder). Raises StoreError with a hint.

        A file that cannot be written (a full disk, a read-only folder) can be read, and every commit fails. While
        another process is writing, a commit waits for it for up to `patience` seconds. What the write-ahead log has is
        moved into the file once nothing was committed for `settle_after` seconds. `on_made` gets the id of a new home,
        in another thread, before any process can see the home.
        """
        async with opened(path, failpoint, patience, on_made) as (connection, unwritable):
            database = cls(connection, path, failpoint, patience, settle_after, unwritable)
            try:
                yield database
            finally:
                await database._drain()

    async def commit(self, unit: Unit, what: str = "commit", *, synced: bool = True) -> Any:
        """Run `unit` in the next transaction and return its result once that is on disk. `what` names its failpoints.

        Units deferred earlier run first, in the same transaction or an earlier one. Without `synced`, the commit
        survives kill -9 of any process when this returns, and a power loss from the next synced commit on. Raises what
        the unit raised, whose work alone is undone then, or StoreError.
        """
        return await self._queued(Pending(unit, None, synced, what))

    @contextmanager
    def hurried(self) -> Generator[None]:
        """Make commits not wait for another process, for the duration of the context."""
        self._hurries += 1
        try:
            yield
        finally:
            self._hurries -= 1

    def defer(self, unit: Unit, *, saves: Sequence[str] = ()) -> None:
        """Run `unit` in the transaction of the next `commit`, before it: for rows that only that commit refers to.

        `saves`: names of those rows. If the unit fails, they are noted in `unsaved`, which a unit that refers to rows
        of others has to check; the unit is tried again with later commits where it may succeed then.
        """
        self._queue.append(Pending(unit, None, synced=False, saves=saves))

    async def catch_up(self) -> None:
        """Commit the deferred units so that they can be read. Does not wait: in a locked store they stay deferred."""
        if self._queue and (self._flusher is None or self._flusher.done()):
            with contextlib.suppress(StoreError):
                await self._queued(Pending(lambda _: None, None, synced=False, what="deferred", patient=False))

    async def _queued(self, pending: Pending) -> Any:
        if self._unwritable:
            raise copy.copy(self._unwritable)
        done = pending.done = asyncio.get_running_loop().create_future()
        self._queue.append(pending)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        return await done

    async def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of one query. Raises StoreError; StoredDataDamaged when the file is damaged."""
        try:
            async with self.connection.execute(sql, parameters) as cursor:
                return [tuple(row) for row in await cursor.fetchall()]
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise as_store_error(error) from error

    async def look(self, reading: Unit) -> Any:
        """Return the result of `reading`, which runs several queries. Raises StoreError, StoredDataDamaged."""
        try:
            return await run_in_thread(self.connection, reading)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise as_store_error(error) from error

    async def version(self) -> tuple[int, int]:
        """Return two numbers, of which one differs after any commit of another process or of this one.

        Raises StoreError.
        """
        # SQLite's own number counts only the commits of other connections.
        [[others]] = await self.read("PRAGMA data_version")
        return int(others), self.commits

    async def _flush(self) -> None:
        while any(pending.done for pending in self._queue):
            await self._commit_queue()

    async def _commit_queue(self) -> None:
        batch, self._queue = self._queue, []
        try:
            outcomes = await self._transact(batch)
            self.commits += 1
            self._settle_later()
        except BaseException as error:
            # No unit was run, or a failpoint ended the transaction. An exception of its own for each of the waiting.
            errors = [as_store_error(error) if isinstance(error, sqlite3.Error) else error for _ in batch]
            self._queue[:0] = [pending for pending in batch if pending.done is None]
        else:
            errors = [unit_failure(one.error) if isinstance(one, Failed) else None for one in outcomes]
            each = zip(batch, outcomes, strict=True)
            again = [one for one, outcome in each if not one.done and isinstance(outcome, Failed) and outcome.may_pass]
            self._queue[:0] = again
            for pending, outcome in zip(batch, outcomes, strict=True):
                if pending.done and not pending.done.done() and not isinstance(outcome, Failed):
                    pending.done.set_result(outcome)
        for pending, error in zip(batch, errors, strict=True):
            if error is not None and pending.done and not pending.done.done():
                pending.done.set_exception(error)

    async def _transact(self, batch: list[Pending]) -> list[Any]:
        """Run a batch, retrying while another process is writing; reads can run between attempts."""
        now = asyncio.get_running_loop().time
        until = now() + self._patience
        patient = any(pending.patient and pending.done for pending in batch)
        if not self._marked:
            # Not when the file is opened: a command that only reads leaves a home unchanged.
            self._marked = True
            await run_in_thread(self.connection, lambda _: _furnish(self.path.parent))
        while True:
            hurry = self._hurries or not patient
            wait = 0.0 if hurry else min(_AT_A_TIME, self._patience)
            try:
                async with self.lock:
                    # Run in aiosqlite's own thread, entered once for the whole transaction.
                    return await run_in_thread(
                        self.connection, run_group, batch, self.unsaved, self._failpoint, int(1000 * wait)
                    )
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or hurry or now() >= until:
                    raise

    async def settle(self) -> None:
        """Move what the write-ahead log has into the file, as far as no other process is reading or writing.

        The file alone is then a home as of now. Fails silently: the log is kept until this succeeds.
        """
        commits = self.commits
        async with self.lock:
            await run_in_thread(self.connection, _settle)
        self._settled = commits

    @property
    def settled(self) -> bool:
        """True when nothing was committed since the log was last moved into the file."""
        return self._settled == self.commits

    def _settle_later(self) -> None:
        if isinstance(self._settling, asyncio.TimerHandle):
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(self._settle_after, self._on_quiet)

    def _on_quiet(self) -> None:
        self._settling = asyncio.ensure_future(self.settle())

    async def _drain(self) -> None:
        with self.hurried():
            if self._flusher is not None and not self._flusher.done():
                await self._flusher
            if self._queue and not self._unwritable:
                await self._commit_queue()
        if isinstance(self._settling, asyncio.TimerHandle):
            self._settling.cancel()
        elif self._settling:
            await self._settling


def _furnish(home: Path) -> None:
    mark_home(home)
    keep_reserve(home)


def _settle(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
