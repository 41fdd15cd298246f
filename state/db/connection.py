"""One SQLite file, one connection, group commit.

Everything that must last is written here, so that a step, its texts, its journal entries and its lease
can share a transaction. Units of work that arrive while a commit is under way are committed together by
the next one: each is on disk when its `commit` returns, with few fsyncs
(1,000 finished tasks: 4.9 s with a commit each, 0.44 s in groups; `docs/design/0002-one-file.md`).
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from ..errors import StoreError
from ..failpoints import Failpoint, no_failpoint
from ..fsync import make_folder, mark_home
from .aiosqlite_compat import run_in_thread
from .checksums import register_function
from .schema import FORMATS, SCHEMA_VERSION
from .store_errors import as_store_error, unit_failure
from .units import Failed, Pending, Unit, Unsaved, run_group

_BUSY_SECONDS = 30.0
_AT_A_TIME = 0.5
"""Seconds that one attempt waits for another process; during that time nothing else can use the connection."""


class Database:
    """The open file. `commit` is the only way to write; `read` sees what was committed."""

    def __init__(self, connection: aiosqlite.Connection, folder: Path, failpoint: Failpoint, patience: float) -> None:
        self.connection = connection
        self._folder = folder
        self._marked = False
        self._failpoint = failpoint
        self._patience = patience
        self._hurries = 0
        self.lock = asyncio.Lock()
        """Held during a commit, and by the checkpointer during its own statements."""
        self.unsaved = Unsaved()
        """What deferred units could not save. For use inside units."""
        self._queue: list[Pending] = []
        self._flusher: asyncio.Task[None] | None = None
        self.commits = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, failpoint: Failpoint = no_failpoint, patience: float = _BUSY_SECONDS
    ) -> AsyncGenerator["Database"]:
        """Open or create the file (0600 in a 0700 folder). Raises StoreError with a hint.

        While another process is writing, a commit waits for it for up to `patience` seconds.
        """
        try:
            await asyncio.to_thread(_make, path)
            connection = await aiosqlite.connect(path, timeout=patience)
        except (OSError, sqlite3.Error) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or error
            raise StoreError(f"Cannot open {path}: {why}.", hint="Check the folder given with --home.") from error
        try:
            await _prepare(connection, path, failpoint)
            database = cls(connection, path.parent, failpoint, patience)
            try:
                yield database
            finally:
                await database._drain()
        finally:
            await connection.close()

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

    async def _flush(self) -> None:
        while any(pending.done for pending in self._queue):
            await self._commit_queue()

    async def _commit_queue(self) -> None:
        batch, self._queue = self._queue, []
        try:
            outcomes = await self._transact(batch)
            self.commits += 1
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
            await run_in_thread(self.connection, lambda _: mark_home(self._folder))
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

    async def _drain(self) -> None:
        with self.hurried():
            if self._flusher is not None and not self._flusher.done():
                await self._flusher
            if self._queue:
                await self._commit_queue()


def connect(path: Path) -> sqlite3.Connection:
    """Return a separate connection to an existing store, for long reads that must not block other work."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.text_factory = _text
    register_function(connection)
    return connection


def _make(path: Path) -> None:
    make_folder(path.parent)
    # An existing file is not opened here: closing it would drop the locks that this process's SQLite holds on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        mark_home(path.parent)


async def _prepare(connection: aiosqlite.Connection, path: Path, failpoint: Failpoint) -> None:
    try:
        async with connection.execute("PRAGMA user_version") as cursor:
            row = await cursor.fetchone()
        version = int(row[0]) if row else 0
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{path} was written by a newer durable-rlm (format {version}, this one knows {SCHEMA_VERSION}).",
                hint="Install the newer version to use these runs.",
            )
        await run_in_thread(connection, register_function)
        connection.text_factory = _text
        if version == 0:
            # Can be set on an empty file only; `rlm gc` then frees space a little at a time.
            await connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=FULL")
        if version < SCHEMA_VERSION:
            await run_in_thread(connection, _bring_up_to_date, failpoint)
    except sqlite3.Error as error:
        raise as_store_error(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite's message quotes the unreadable part of a damaged schema.
        raise as_store_error(sqlite3.DatabaseError("malformed database schema"), path) from error


def _text(data: bytes) -> str:
    """Decode a stored text; a damaged one does not prevent the rest of its query from being read."""
    return str(data, "utf-8", "replace")


def _bring_up_to_date(connection: sqlite3.Connection, failpoint: Failpoint) -> None:
    """Migrate the file from its format to this one in one transaction: a crash leaves the old format."""
    failpoint("format-before")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated it meanwhile.
        [version] = connection.execute("PRAGMA user_version").fetchone()
        for statements in FORMATS[version:]:
            for statement in _statements(statements):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        failpoint("format-uncommitted")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    failpoint("format-after")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: sqlite3's own executescript commits before it begins."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
