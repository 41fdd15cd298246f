"""Garbage collection of unreferenced texts, deltas, snapshots, chunks of variables, blobs, and files of dead writers.

Safe at any time, also beside processes that write, and wherever it is killed:

- References are found in one consistent view of the database: everything that looks like a hash counts. Where
  something cannot be read, its references are unknown, and nothing is freed but leftovers.
- A delta keeps the blobs that its text is cut from. A process that stores the text again replaces the delta by one of
  a blob that its own run refers to, so the old one may be deleted meanwhile.
- A writer touches a record before it refers to it. What was touched within the grace period, or since the oldest
  process that runs a thread was started, stays; so does all that such a snapshot is made of, because a kernel's next
  one builds on it. When no other process has the file open, there is no such writer, and everything older than now
  may be deleted.
- A record is deleted only while it is as it was in that view: one that is touched meanwhile stays.
- Blobs are deleted only where the database knows the folder: an empty database beside them, or one of another home,
  refers to none of them.
- Rows are deleted in small transactions, blobs under the lock that writers touch them with.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..blobs.store import Blobs, owner_of
from ..call_search.file import old_search_files
from ..db.home_id import id_in
from ..db.opening import connect, connected
from ..db.reserve import is_nearly_full, reserve_given_up, write_little
from ..db.store_errors import as_store_error
from ..input.extracts import FOLDER, KEPT_SECONDS, Extracts
from ..leases import living_since
from ..logs import log_name, logs_to_free, remove_files
from ..search.files import FOLDER as SEARCH
from ..search.files import IndexFiles, remove
from .marking import Marks, UnreadablePages
from .report import Tally
from .retention import OldRuns

GRACE = 3600.0
"""Seconds for which a touched record stays although unreferenced, while other processes have the file open."""
_COARSE = 0.02
"""Seconds that a file's modification time may lag behind the clock."""
_BATCH = 500
_PAGES = 1000
_WORTHWHILE = 4 << 20
"""Bytes of free pages from which a file of the first format is rewritten."""
_THREADS = "SELECT thread_id FROM threads UNION SELECT thread_id FROM steps"
_TABLES = {"snapshots": "manifests", "pieces": "chunks", "texts": "texts", "recipes": "recipes"}

OnProgress = Callable[[int], None]
"""Called with the number of records examined so far."""


@dataclass
class Collected:
    """The records that were freed; in a dry run, those that would be."""

    freed: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """By kind: `texts`, `recipes` (deltas of texts), `snapshots`, `pieces` (of variables), `blobs`, `extracted` (files
    of extracted texts), `search` (indexes of inputs, words of calls), `logs` (of runs that are gone), `leftovers`."""
    recent: Tally = field(default_factory=Tally)
    """Unreferenced records that were touched too recently to be freed."""
    foreign: Tally = field(default_factory=Tally)
    """Files that were kept, because this database was not made with the folder of blobs that they are in."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    """Unreadable records, by thread: the reason why nothing but leftovers was freed."""
    file_before: int = 0
    """Bytes of the database before."""
    file_after: int = 0
    """Bytes of the database after."""
    old: OldRuns = field(default_factory=OldRuns)
    """The old runs that were deleted before, if that was asked for."""
    dry_run: bool = False
    """True when nothing was freed, because only a report was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that `rlm gc --json` prints."""
        return {
            "dry_run": self.dry_run,
            "deleted": self.old.deleted,
            "kept": self.old.kept,
            "freed": {kind: tally.to_json() for kind, tally in self.freed.items()},
            "recent": self.recent.to_json(),
            "foreign": self.foreign.to_json(),
            "unreadable": self.unreadable,
            "database": {"bytes_before": self.file_before, "bytes_after": self.file_after},
        }


def collect(
    path: Path,
    blobs: Blobs,
    *,
    grace: float = GRACE,
    dry_run: bool = False,
    extracted_for: float = KEPT_SECONDS,
    clock: Callable[[], float] = time.time,
    on_progress: OnProgress = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    failpoint: Callable[[str], None] = lambda _: None,
    rest: Callable[[float], None] = time.sleep,
) -> Collected:
    """Free what nothing in the database at `path` refers to, and return the space to the disk.

    Extracted texts of documents and search indexes are freed when they were not used for `extracted_for` seconds.

    Synchronous and long (it reads every checkpoint): call it in a thread. Raises StoreError, and InterruptedError
    once `cancelled()`; what was freed until then stays freed.
    """
    now = clock() - _COARSE
    short = not dry_run and is_nearly_full(path.parent)
    try:
        with nullcontext() if dry_run else reserve_given_up(path.parent), ExitStack() as opened:
            alone = _alone(path)
            connection = opened.enter_context(connected(path) if dry_run else closing(connect(path)))
            if short:
                write_little(connection)
            cutoff = now if alone else living_since(connection, now) - grace
            pausing = None if alone else rest
            work = _Collection(connection, blobs, cutoff, on_progress, cancelled, failpoint, pausing, short=short)
            work.result.file_before = _size(path)
            work.look()
            work.free_cached("extracted", Extracts(path.parent / FOLDER).old(clock(), extracted_for), keep=dry_run)
            indexes = IndexFiles(path.parent / SEARCH)
            work.free_cached("search", indexes.old(clock(), extracted_for), keep=dry_run)
            work.free_cached("search", old_search_files(path.parent, clock(), extracted_for), keep=dry_run)
            work.free_logs(path.parent, clock(), keep=dry_run)
            if not dry_run:
                work.free()
                work.give_back(rewrite=alone)
            work.result.dry_run = dry_run
            work.result.file_after = _size(path)
            return work.result
    except sqlite3.Error as error:
        raise as_store_error(error, path) from error


class _Collection:
    """One collection. Its own tables are temporary, and move to disk when they grow."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        blobs: Blobs,
        cutoff: float,
        on_progress: OnProgress,
        cancelled: Callable[[], bool],
        failpoint: Callable[[str], None],
        rest: Callable[[float], None] | None,
        *,
        short: bool,
    ) -> None:
        """`short`: the disk is nearly full, so that what is written at once must be little."""
        self.result = Collected(
            freed={kind: Tally() for kind in (*_TABLES, "blobs", "extracted", "search", "logs", "leftovers")}
        )
        self._connection = connection
        self._blobs = blobs
        self._cutoff = cutoff
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._failpoint = failpoint
        self._rest = rest
        self._short = short
        self._rows_at_once, self._pages_at_once = (_BATCH // 10, _PAGES // 10) if short else (_BATCH, _PAGES)
        self._looked = 0
        self._marks = Marks(connection, cutoff, self._step, self.result.unreadable)
        connection.execute("CREATE TEMP TABLE doomed (kind TEXT, hash TEXT, touched, size, PRIMARY KEY (kind, hash))")

    def look(self) -> None:
        """Determine what may be freed, in one view of the database."""
        self._connection.execute("BEGIN")
        try:
            self._marks.find()
            self._doom_rows()
            self._doom_blobs()
        except UnreadablePages as why:
            # SQLite writes nothing more in a transaction that has met damage, not even into temporary tables.
            self.result.unreadable["*"] = str(why)
            self._connection.execute("ROLLBACK")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        if self.result.unreadable:
            self._connection.execute("DELETE FROM doomed")
        for kind, count, size in self._connection.execute(
            "SELECT kind, count(*), coalesce(sum(size), 0) FROM doomed GROUP BY kind"
        ):
            self.result.freed[kind] = Tally(count, size)
        for _, facts in self._leftovers():
            self.result.freed["leftovers"].add(facts.st_size)
        self._failpoint("gc-looked")

    def _doom_rows(self) -> None:
        for kind, table in _TABLES.items():
            loose = f"FROM {table} WHERE hash NOT IN (SELECT hash FROM marks) AND touched"
            size = "length(CAST(body AS BLOB))"
            self._connection.execute(
                f"INSERT INTO doomed SELECT '{kind}', hash, touched, {size} {loose} < ?", (self._cutoff,)
            )
            [count, total] = self._connection.execute(
                f"SELECT count(*), coalesce(sum({size}), 0) {loose} >= ?", (self._cutoff,)
            ).fetchone()
            self.result.recent.records += count
            self.result.recent.bytes += total

    def _doom_blobs(self) -> None:
        loose: list[tuple[str, Any]] = []
        some_known = False
        for name, facts in self._blobs.stored():
            self._step()
            if self._marks.has(name):
                some_known = True
            elif facts.st_mtime >= self._cutoff:
                self.result.recent.add(facts.st_size)
            else:
                loose.append((name, facts))
        if not self._knows_blobs(some_known):
            for _, facts in loose:
                self.result.foreign.add(facts.st_size)
            return
        rows = (("blobs", name, facts.st_mtime_ns, facts.st_size) for name, facts in loose)
        self._connection.executemany("INSERT INTO doomed VALUES (?, ?, ?, ?)", rows)

    def _knows_blobs(self, some_known: bool) -> bool:
        """Return whether the folder of blobs was made for this database: another one refers to blobs unknown here.

        A folder of an earlier version does not say so; then one blob that is needed here shows it.
        """
        written = self._blobs.owner()
        return some_known if written is None else written == owner_of(id_in(self._connection))

    def _leftovers(self) -> Iterator[tuple[Path, Any]]:
        return ((path, facts) for path, facts in self._blobs.leftovers() if facts.st_mtime < self._cutoff)

    def free(self) -> None:
        """Delete what `look` found. Files come first: on a full disk they make room for the transactions."""
        for path, _ in self._leftovers():
            path.unlink(missing_ok=True)
        for kind in ("blobs", *_TABLES):
            self.result.freed[kind] = Tally()
        for name, touched, size in self._connection.execute(
            "SELECT hash, touched, size FROM doomed WHERE kind = 'blobs'"
        ).fetchall():
            if self._blobs.remove(name, touched):
                self.result.freed["blobs"].add(size)
            self._failpoint("gc-blob")
            self._step()
        for kind, table in _TABLES.items():
            self._free_rows(kind, table)

    def free_cached(self, kind: str, old: Iterable[tuple[Path, int]], *, keep: bool) -> None:
        """Delete these files and folders of a cache, and count them; with `keep`, count only."""
        for path, size in old:
            self._step()
            if not keep:
                remove(path)
            self.result.freed[kind].add(size)

    def free_logs(self, home: Path, now: float, *, keep: bool) -> None:
        """Delete the logs of runs that are gone, and count them; with `keep`, count only."""
        # Before the names of the runs: a run is entered before its log is made.
        there = logs_to_free(home, now)
        try:
            rows = self._connection.execute(_THREADS).fetchall()
        except sqlite3.DatabaseError:
            return
        needed = {log_name(name) for [name] in rows if isinstance(name, str)}
        gone = [] if self.result.unreadable else [(name, size) for name, size in there if name not in needed]
        for _, size in gone:
            self.result.freed["logs"].add(size)
        if not keep:
            remove_files(home, [name for name, _ in gone])

    def _free_rows(self, kind: str, table: str) -> None:
        execute = self._connection.execute
        batch = "SELECT rowid FROM doomed WHERE kind = ? LIMIT ?"
        while execute("SELECT 1 FROM doomed WHERE kind = ?", (kind,)).fetchone():
            began = time.monotonic()
            execute("BEGIN IMMEDIATE")
            gone = execute(
                f"DELETE FROM {table} WHERE (hash, touched) IN "
                f"(SELECT hash, touched FROM doomed WHERE rowid IN ({batch})) RETURNING length(CAST(body AS BLOB))",
                (kind, self._rows_at_once),
            ).fetchall()
            execute("COMMIT")
            self._empty_log()
            self._let_others_write(began)
            execute(f"DELETE FROM doomed WHERE rowid IN ({batch})", (kind, self._rows_at_once))
            for [size] in gone:
                self.result.freed[kind].add(size)
            self._failpoint("gc-rows")
            self._step()

    def give_back(self, *, rewrite: bool) -> None:
        """Return the file's free pages to the disk, a little at a time.

        A file of the first format cannot do that: it is rewritten when that pays, if `rewrite`. A damaged file is left
        as it is.
        """
        if self.result.unreadable:
            return
        execute = self._connection.execute
        if _pragma(self._connection, "auto_vacuum"):
            left = _pragma(self._connection, "freelist_count")
            while left:
                began = time.monotonic()
                # As a script, because `execute` steps through one page only.
                self._connection.executescript(f"PRAGMA incremental_vacuum({self._pages_at_once})")
                self._empty_log()
                self._let_others_write(began)
                self._failpoint("gc-space")
                self._step()
                before, left = left, _pragma(self._connection, "freelist_count")
                if left >= before:
                    break
        elif rewrite and _free_bytes(self._connection) >= _WORTHWHILE:
            execute("PRAGMA auto_vacuum=INCREMENTAL")
            execute("VACUUM")
        # Not possible while another connection reads an older view; a later collection does it then.
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _empty_log(self) -> None:
        """Move the write-ahead log into the file, so that it does not grow on a disk that is nearly full."""
        if self._short:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _let_others_write(self, began: float) -> None:
        """Pause for as long as the file was locked: waiting processes only check now and then whether it is free."""
        if self._rest:
            self._rest(time.monotonic() - began)

    def _step(self) -> None:
        self._looked += 1
        self._on_progress(self._looked)
        if self._cancelled():
            raise InterruptedError


def _alone(path: Path) -> bool:
    """Return whether no process, this one included, has the file open.

    An exclusive lock, released at once, cannot be taken beside any other connection to a file in WAL mode.
    """
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            return False
    return True


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _free_bytes(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "freelist_count") * _pragma(connection, "page_size")


def _size(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
