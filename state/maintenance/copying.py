"""Copies a home beside the processes that use it: first its database, in one view, then every blob that it refers to.

While the blobs are locked against deletion, none of them can go that the view refers to: writers store a blob before
they refer to it. The source is only read. The copy is built beside its place under another name, and is another home:
it has an id of its own, and nobody runs its runs.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..blobs.store import Blobs
from ..db.opening import connect
from ..db.store_errors import as_store_error
from ..errors import StoreError
from ..fsync import sync_folder
from .marking import EVERYTHING, Marks, UnreadablePages
from .report import Problem, Tally
from .scrubbing import Scrubbed, Scrubber, scrub_rows
from .verify import verify

_PAGES = 2000
_CHUNK = 4 << 20

OnProgress = Callable[[str, int, int], None]
"""Called with what is done now, and the numbers of records and bytes of it so far."""


@dataclass
class Copied:
    """The contents of a copy of a home."""

    threads: list[str] = field(default_factory=list[str])
    """Its runs, sub-RLMs included."""
    blobs: Tally = field(default_factory=Tally)
    database: int = 0
    """Bytes of its database."""
    problems: list[tuple[str, Problem]] = field(default_factory=list[tuple[str, Problem]])
    """The damaged records of each run."""
    scrubbed: Scrubbed | None = None
    """The secrets that were taken out, if that was asked for."""

    @property
    def ok(self) -> bool:
        """True when everything is intact, and no secret that was looked for is left."""
        return not self.problems and not (self.scrubbed and self.scrubbed.left)

    def to_json(self) -> dict[str, Any]:
        """Return the copy as `rlm home copy --json` prints it."""
        return {
            "runs": len(self.threads),
            "blobs": self.blobs.to_json(),
            "database_bytes": self.database,
            "ok": self.ok,
            "problems": [{"thread_id": thread, **problem.to_json()} for thread, problem in self.problems],
            "scrubbed": self.scrubbed.to_json() if self.scrubbed else None,
        }


def copy_database(source: Path, target: Path, on_progress: OnProgress, cancelled: Callable[[], bool]) -> None:
    """Copy the database as it is at one point in time. Raises StoreError, InterruptedError once `cancelled()`."""

    def progress(status: int, remaining: int, total: int) -> None:
        if cancelled():
            raise InterruptedError
        on_progress("database pages", total - remaining, 0)

    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    log, before = source.with_name(f"{source.name}-wal"), source.stat()
    try:
        if not log.exists():
            # No process has it open: SQLite then need not make its files beside it, which a reader could not remove.
            _copy(source, "immutable=1", target, progress)
            after = source.stat()
            if (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size):
                return
        _copy(source, "mode=ro", target, progress)
    except sqlite3.Error as error:
        raise as_store_error(error, source) from error


def _copy(source: Path, how: str, target: Path, progress: Callable[[int, int, int], None]) -> None:
    address = f"{source.absolute().as_uri()}?{how}"
    with (
        closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection,
        closing(sqlite3.connect(target)) as copy,
    ):
        # A transaction of its own keeps the view, so that the copy is not begun anew after each commit of others.
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.backup(copy, pages=_PAGES, progress=progress)


class HomeCopy:
    """The second half of a copy: blobs, scrubbing, and the check, in a database that was copied before."""

    def __init__(
        self, database: Path, source: Blobs, target: Blobs, on_progress: OnProgress, cancelled: Callable[[], bool]
    ) -> None:
        """Copy from the blobs `source` to the blobs `target`, as the copied `database` needs them."""
        self.copied = Copied()
        self._database = database
        self._source = source
        self._target = target
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._records = self._bytes = 0

    def finish(self, home_id: str, scrubber: Scrubber | None, now: float) -> Copied:
        """Make the copy whole, under its own id, and check it. Raises StoreError, InterruptedError."""
        try:
            with closing(connect(self._database)) as connection:
                if scrubber:
                    scrubber.add_from(connection)
                renamed = self._copy_blobs(connection, scrubber)
                connection.execute("BEGIN IMMEDIATE")
                if scrubber:
                    self.copied.scrubbed = scrub_rows(connection, self._target, scrubber, renamed, self._step)
                    note = (self.copied.scrubbed.note(now),)
                    connection.execute("INSERT OR REPLACE INTO home VALUES ('scrubbed', ?)", note)
                connection.execute("INSERT OR REPLACE INTO home VALUES ('id', ?)", (home_id,))
                connection.execute("DELETE FROM leases")
                # What is not sent yet is sent from the home it was entered in.
                connection.execute("DELETE FROM notifications")
                connection.execute("COMMIT")
                if scrubber:
                    # Pages that are free now still hold what was in them.
                    connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self.copied.threads = _threads(connection)
            self._check(scrubber)
        except sqlite3.Error as error:
            raise as_store_error(error, self._database) from error
        return self.copied

    def _copy_blobs(self, connection: sqlite3.Connection, scrubber: Scrubber | None) -> dict[str, str]:
        """Copy every blob that the database refers to, or every one where that is not known. Return new names."""
        marks = Marks(connection, EVERYTHING)
        connection.execute("BEGIN")
        known = True
        try:
            marks.find()
            connection.execute("COMMIT")
        except UnreadablePages:
            connection.execute("ROLLBACK")
            known = False
        known = known and not marks.unreadable
        renamed: dict[str, str] = {}
        try:
            self._target.make()
            for name, facts in self._source.stored():
                if known and not marks.has(name):
                    continue
                new = self._copy_blob(name, scrubber)
                if new != name:
                    renamed[name] = new
                self.copied.blobs.add(facts.st_size)
                self._step("files", facts.st_size)
            sync_folder(self._target.folder)
        except OSError as error:
            raise StoreError(
                f"Cannot copy {error.filename or self._source.folder}: {error.strerror}.", hint="Free some space."
            ) from error
        return renamed

    def _copy_blob(self, name: str, scrubber: Scrubber | None) -> str:
        """Copy one blob, scrubbed if asked for, and return its name, which a damaged one keeps with its damage."""
        partial = self._target.folder / ".partial-copy"
        read, written = hashlib.sha256(), hashlib.sha256()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out, self._source.open(name) as file:
            stream = scrubber.stream("files") if scrubber else None
            while chunk := file.read(_CHUNK):
                read.update(chunk)
                for part in stream.add(chunk) if stream else (chunk,):
                    written.update(part)
                    out.write(part)
            for part in stream.end() if stream else ():
                written.update(part)
                out.write(part)
            out.flush()
            os.fsync(out.fileno())
        new = written.hexdigest() if read.hexdigest() == name else name
        target = self._target.path(new)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        partial.replace(target)
        sync_folder(target.parent)
        return new

    def _check(self, scrubber: Scrubber | None) -> None:
        sound: set[tuple[str, str]] = set()
        for number, thread in enumerate(self.copied.threads):
            report = verify(
                self._database,
                self._target,
                thread,
                on_progress=lambda records, size, kind: self._on_progress("records checked", records, size),
                cancelled=self._cancelled,
                pages=not number,
                sound=sound,
            )
            self.copied.problems += [(thread, problem) for problem in report.problems]
        self.copied.database = self._database.stat().st_size
        if scrubber and self.copied.scrubbed:
            files = [path for path in self._database.parent.rglob("*") if path.is_file()]
            self.copied.scrubbed.left = [str(path) for path in files if scrubber.found_in(path)]

    def _step(self, what: str, size: int) -> None:
        if self._cancelled():
            raise InterruptedError
        self._records += 1
        self._bytes += size
        self._on_progress(what, self._records, self._bytes)


def _threads(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT thread_id FROM threads UNION SELECT thread_id FROM checkpoints ORDER BY 1")
    return [str(name) for [name] in rows]
