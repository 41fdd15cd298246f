"""Opens the file: made, checked, brought up to date; and for reading alone where it cannot be written.

SQLite reads a file with a write-ahead log only if it can make or change the `-shm` beside it, which a full disk and a
read-only folder prevent. A file without a `-wal` is whole and no process has it open: it is read as it is. Otherwise,
and when its format is an older one, a copy is read, in the folder for temporary files.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

import aiosqlite

from ..errors import StoredDataDamaged, StoreError
from ..failpoints import Failpoint, no_failpoint
from ..fsync import make_folder, mark_home
from .aiosqlite_compat import run_in_thread
from .checksums import register_function
from .home_id import give_id
from .reserve import has_no_room
from .schema import FORMATS, SCHEMA_VERSION
from .store_errors import as_store_error, is_unwritable

OnMade = Callable[[str], None]
BUSY_SECONDS = 30.0
_LOG_BYTES = 1 << 20
"""Bytes of the write-ahead log from which a commit moves it into the file."""
_HINT = "Check the folder given with --home."
_RESTORE = "Restore the home from a copy, or use another --home."
_OURS = {"threads", "calls"}
"""Tables of every format."""
_FIRST = {*_OURS, "texts", "steps", "leases"}
_LANGGRAPH = {"checkpoints", "writes"}
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"


@asynccontextmanager
async def opened(
    path: Path, failpoint: Failpoint, patience: float, on_made: OnMade
) -> AsyncGenerator[tuple[aiosqlite.Connection, StoreError | None]]:
    """Open or create the file, in this version's format. Yield the connection, and why it can only be read.

    `on_made` gets the id of a new home before any process can see it. Raises StoreError.
    """
    await asyncio.to_thread(_make, path)
    why: StoreError | None = None
    with ExitStack() as kept:
        try:
            try:
                connection = await _prepared(str(path), path, failpoint, patience, on_made)
            except sqlite3.Error as error:
                if not is_unwritable(error):
                    raise
                why = _unwritable(error, path)
                place = await asyncio.to_thread(kept.enter_context, _readable(path))
                connection = await _prepared(place, path, failpoint, patience, on_made)
        except sqlite3.Error as error:
            raise as_store_error(error, path) from error
        try:
            yield connection, why
        finally:
            await connection.close()


async def _prepared(
    place: str, path: Path, failpoint: Failpoint, patience: float, on_made: OnMade
) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(place, timeout=patience, uri=place.startswith("file:"))
    try:
        connection.text_factory = _text
        await run_in_thread(connection, _prepare, path, failpoint, on_made, reading=place.startswith("file:"))
    except BaseException:
        await connection.close()
        raise
    return connection


def _unwritable(error: sqlite3.Error, path: Path) -> StoreError:
    """Return why a file cannot be written: without room SQLite may also say that it cannot make a file."""
    return as_store_error(sqlite3.OperationalError("disk is full") if has_no_room(path.parent) else error, path)


@contextmanager
def connected(path: Path) -> Generator[sqlite3.Connection]:
    """Open a separate connection to an existing store for reading, for long reads that must not block other work.

    Raises sqlite3.Error, StoreError.
    """
    with ExitStack() as kept:
        try:
            connection = kept.enter_context(closing(connect(path)))
            connection.execute(_TABLES).fetchone()
        except sqlite3.Error as error:
            if not is_unwritable(error):
                raise
            connection = kept.enter_context(closing(connect(kept.enter_context(_readable(path)))))
        yield connection


def connect(place: Path | str) -> sqlite3.Connection:
    """Return a separate connection to an existing store that can be written: a path, or an address `file:…`."""
    uri = isinstance(place, str) and place.startswith("file:")
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, uri=uri)
    connection.text_factory = _text
    register_function(connection)
    return connection


@contextmanager
def _readable(path: Path) -> Generator[str]:
    """Give an address at which the file, which cannot be written, can be read in this version's format.

    Raises StoreError, sqlite3.Error.
    """
    address, log = path.absolute().as_uri(), path.with_name(f"{path.name}-wal")
    way = f"{address}?mode=ro" if log.exists() else f"{address}?mode=ro&immutable=1"
    if _is_current(way, path):
        yield way
        return
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        copy = Path(folder, path.name)
        try:
            for file in (path, log):
                if file.exists():
                    shutil.copyfile(file, copy.with_name(file.name))
        except OSError as error:
            why = error.strerror or error
            raise StoreError(
                f"{path} cannot be read: {why}.", hint="Fix its permissions, or free some space."
            ) from error
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            register_function(connection)
            _bring_up_to_date(connection, no_failpoint, lambda home_id: None)
        yield f"{copy.as_uri()}?mode=ro"


def _is_current(way: str, path: Path) -> bool:
    """Return whether a file can be read at this address and is in this version's format. Raises StoreError."""
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(way, uri=True)) as connection:
        return _version(connection, path) == SCHEMA_VERSION
    return False


def _make(path: Path) -> None:
    """Make an empty file, unless there is one. Raises StoreError for what cannot be a home's."""
    folder = path.parent
    try:
        make_folder(folder)
        # An existing file is not opened here: closing it would drop the locks that this process's SQLite holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            mark_home(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            # It can be read, perhaps.
            return _check(path)
        why = "it is a file, not a folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise StoreError(f"Cannot open the home {folder}: {why}.", hint=_HINT) from error
    else:
        _check(path)


def _check(path: Path) -> None:
    """Raise StoreError for a folder and for a file that has lost its contents; OSError where there is none."""
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        raise StoreError(f"{path} is a folder, not a database.", hint=_HINT)
    if not facts.st_size and _has_saved(path):
        raise StoredDataDamaged(f"{path} is empty, although runs were saved in this home.", hint=_RESTORE)


def _has_saved(path: Path) -> bool:
    """Return whether anything beside an empty database shows that it had contents."""
    with contextlib.suppress(OSError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return True
    with contextlib.suppress(OSError), os.scandir(path.parent / "blobs") as found:
        return any(True for _ in found)
    return False


def _prepare(
    connection: sqlite3.Connection, path: Path, failpoint: Failpoint, on_made: OnMade, *, reading: bool
) -> None:
    """Check the file, set the connection up and bring the file up to date. Raises StoreError, sqlite3.Error."""
    try:
        version = _version(connection, path)
    except UnicodeDecodeError as error:
        # SQLite's message quotes the unreadable part of a damaged schema.
        raise as_store_error(sqlite3.DatabaseError("malformed database schema"), path) from error
    register_function(connection)
    if reading:
        return
    if version == 0:
        # Can be set on an empty file only; `rlm gc` then frees space a little at a time.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    [[page]] = connection.execute("PRAGMA page_size").fetchall()
    connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // page}")
    connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
    if version < SCHEMA_VERSION:
        _bring_up_to_date(connection, failpoint, on_made)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of a home's database; 0 for an empty file. Raises StoreError for another program's database."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = {name for [name] in connection.execute(_TABLES)}
    if version == 0:
        ours = not tables or (tables <= _FIRST | _LANGGRAPH and bool(tables & _FIRST))
    else:
        ours = tables >= _OURS or (not tables and version > SCHEMA_VERSION)
    # A view in place of a table may take forever to read, and nothing here makes one.
    if not ours or connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'view'").fetchone():
        raise StoreError(f"{path} is a database, but not one of durable-rlm.", hint=_HINT)
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer durable-rlm (format {version}, this one knows {SCHEMA_VERSION}).",
            hint="Install the newer version to use these runs.",
        )
    return version


def _text(data: bytes) -> str:
    """Decode a stored text; a damaged one does not prevent the rest of its query from being read."""
    return str(data, "utf-8", "replace")


def _bring_up_to_date(connection: sqlite3.Connection, failpoint: Failpoint, on_made: OnMade) -> None:
    """Migrate the file from its format to this one in one transaction: a crash leaves the old format."""
    failpoint("format-before")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated it meanwhile.
        [version] = connection.execute("PRAGMA user_version").fetchone()
        for statements in FORMATS[version:]:
            for statement in _statements(statements):
                connection.execute(statement)
        if (home_id := give_id(connection)) and version == 0:
            on_made(home_id)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        failpoint("format-uncommitted")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    failpoint("format-after")
    # The id is read from the file alone (`home_id.py`).
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: sqlite3's own executescript commits before it begins."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
