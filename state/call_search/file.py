"""The file of words: `search.sqlite` beside the database. Anything in its place that is not that file is removed.

A word of it is a term of FTS5, which keeps no text. A document is a prompt, or an answer with its error, of the call
`document // SLOTS`; a run has documents of its own.
"""

import os
import sqlite3
import stat
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import StoreError
from ..home_size import SEARCH_FILE

FORM = 1
"""Raised when what is in the file changes: one of another form is made again."""
SLOTS = 8
"""Numbers that a call has for its documents: the first is its prompt, the others answers, as they were settled."""
_TABLES = (
    "CREATE TABLE marks (form INTEGER, home TEXT, seq INTEGER, settled INTEGER, rows INTEGER, seal BLOB, touched REAL)",
    "CREATE TABLE terms (term TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE runs (id INTEGER PRIMARY KEY, thread_id TEXT NOT NULL, said TEXT NOT NULL)",
    "CREATE INDEX runs_by_thread ON runs (thread_id)",
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='ascii')",
    "CREATE VIRTUAL TABLE run_words USING fts5(text, content='', tokenize='ascii')",
)
_ENDS = ("-wal", "-shm", "-journal", "")
_SETTINGS = ("trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "cache_size=-8192", "mmap_size=0")
_MOST_IN_MEMORY = 8 << 20
_MOST_LOG = 4 << 20
_PATIENCE = 0.1
"""Seconds that one attempt waits for another process."""


@dataclass(frozen=True)
class Marks:
    """The progress of reading a home."""

    home: str
    """The home's id."""
    seq: int = 0
    """The last row of the journal whose prompt is known."""
    settled: int = 0
    """The number up to which the outcomes of the rows before are known."""
    rows: int = 0
    """The rows that were read: fewer are there now when some were deleted."""
    seal: bytes = b""
    """The key of the last row, so that another home's row in its place is noticed."""
    touched: float = 0.0
    """The last time at which a run was touched whose question is known."""


class DamagedFile(Exception):
    """The file is not the one that it should be, and has to be made again."""


class FileInUse(Exception):
    """Another process, or another thread, is filling the file."""


class WordsFile:
    """The file of words of one home, whose id is `home`."""

    def __init__(self, folder: Path, home: str) -> None:
        self.path = folder / SEARCH_FILE
        self.home = home

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection | None]:
        """Open the file for reading; None when there is none. Raises DamagedFile."""
        with _damage():
            if not self._is_own():
                yield None
                return
            with closing(self._connected("ro")) as connection:
                yield connection if marks_in(connection, self.home) else None

    @contextmanager
    def writing(self) -> Generator[tuple[sqlite3.Connection, Marks]]:
        """Open the file, made if there is none, in a transaction. Raises FileInUse, DamagedFile, StoreError."""
        with _damage():
            self._make()
            with closing(self._connected("rw")) as connection:
                connection.execute("PRAGMA journal_mode=WAL").fetchall()
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(f"PRAGMA journal_size_limit={_MOST_LOG}")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection, marks_in(connection, self.home) or self._furnished(connection)
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")

    def remove(self) -> None:
        """Delete the file and what SQLite has beside it. Raises StoreError."""
        remove_search_file(self.path.parent)

    def _make(self) -> None:
        """Make an empty file, unless there is one. Raises DamagedFile, StoreError."""
        if not self._is_own():
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            except FileExistsError:
                raise FileInUse from None
            except OSError as error:
                raise StoreError(f"{self.path} cannot be made: {error.strerror}.") from error

    def _is_own(self) -> bool:
        """Return whether there is a file. Raises DamagedFile for one that others may have written."""
        try:
            facts = self.path.lstat()
        except OSError:
            return False
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise DamagedFile("others may have written it")
        return True

    def _connected(self, mode: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
        try:
            for one in _SETTINGS:
                connection.execute(f"PRAGMA {one}").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    def _furnished(self, connection: sqlite3.Connection) -> Marks:
        for statement in _TABLES:
            connection.execute(statement)
        for table in ("words", "run_words"):
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('hashsize', ?)", (_MOST_IN_MEMORY,))
        marks = Marks(self.home)
        connection.execute("INSERT INTO marks VALUES (?, ?, 0, 0, 0, x'', 0.0)", (FORM, self.home))
        return marks


def marks_in(connection: sqlite3.Connection, home: str) -> Marks | None:
    """Return how far the home has been read; None for an empty file. Raises DamagedFile for another's."""
    schema = connection.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL").fetchall()
    if not schema:
        return None
    # FTS5's own tables are not of our making; a trigger, a view or another table is not of its making either.
    ours = {sql for [sql] in schema if not sql.startswith(("CREATE TABLE 'words_", "CREATE TABLE 'run_words_"))}
    if ours != set(_TABLES):
        raise DamagedFile("it has other tables")
    found = connection.execute("SELECT * FROM marks").fetchall()
    if len(found) != 1 or found[0][:2] != (FORM, home):
        raise DamagedFile("it is of another form, or of another home")
    return Marks(*found[0][1:])


def set_marks(connection: sqlite3.Connection, marks: Marks) -> None:
    """Record how far the home has been read."""
    connection.execute(
        "UPDATE marks SET seq = ?, settled = ?, rows = ?, seal = ?, touched = ?",
        (marks.seq, marks.settled, marks.rows, marks.seal, marks.touched),
    )


def remove_search_file(home: Path) -> None:
    """Delete a home's file of words, if there is one. Raises StoreError."""
    for end in _ENDS:
        path = home / f"{SEARCH_FILE}{end}"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be deleted: {error.strerror}.", hint="Delete it.") from error


def old_search_files(home: Path, now: float, seconds: float) -> Iterator[tuple[Path, int]]:
    """Yield the file of words and what is beside it, with their sizes, when it was not used for so many seconds."""
    with suppress(OSError):
        if now - (home / SEARCH_FILE).lstat().st_mtime >= seconds:
            for end in _ENDS:
                path = home / f"{SEARCH_FILE}{end}"
                with suppress(OSError):
                    yield path, path.lstat().st_size


@contextmanager
def _damage() -> Generator[None]:
    """Turn SQLite's errors into those of a file."""
    try:
        yield
    except (sqlite3.Error, UnicodeError, TypeError, ValueError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise FileInUse from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            raise StoreError(f"The words of the calls cannot be kept beside the database: {error}.") from error
        raise DamagedFile(str(error)) from error
