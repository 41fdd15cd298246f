"""The random id of a home, by which the user's agreement to it is remembered (`state/agreements.py`).

It is made with the database and stands in it. It is read without SQLite's usual files beside the database, because a
home that nobody has agreed to must not be written to, and without a lock, because processes may be writing.
"""

import secrets
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

_SMALL = 8 << 20
"""Bytes of the largest database that is copied to read an id which is not in the database file itself yet."""

_MOST_WORK = 1_000
"""Thousands of SQLite's instructions that reading an id may take; it takes some dozens of instructions."""


def give_id(connection: sqlite3.Connection) -> str | None:
    """Give the database an id within the current transaction and return it; None when it has one."""
    home_id = secrets.token_hex(32)
    given = connection.execute("INSERT OR IGNORE INTO home VALUES ('id', ?) RETURNING value", (home_id,)).fetchone()
    return given[0] if given else None


def id_in(connection: sqlite3.Connection) -> str | None:
    """Return the id of an open database; None when it has none, or it cannot be read."""
    try:
        row = connection.execute("SELECT value FROM home WHERE name = 'id'").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def read_id(path: Path) -> str | None:
    """Return the id of the home with the database at `path`; None when it has none, or none that can be read."""
    if path.is_symlink() or not path.is_file():
        return None
    return _read(path) or _read_with_log(path)


def is_empty(path: Path) -> bool:
    """Return whether no table was ever made in the database at `path`, as when a process is just creating it."""
    if path.is_symlink() or not path.is_file():
        return False
    return (not path.stat().st_size and not _log_of(path).exists()) or _count_tables(path) == 0


def _read(path: Path) -> str | None:
    try:
        # Immutable: SQLite then makes no files beside the database, and takes no lock.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            return id_in(_bounded(connection))
    except sqlite3.Error:
        return None


def _read_with_log(path: Path) -> str | None:
    """Return the id that is only in the write-ahead log: its maker has not come to move it to the file yet."""
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        copy = _copied(path, Path(folder))
        if copy is None:
            return None
        with closing(sqlite3.connect(copy)) as connection:
            return id_in(_bounded(connection))


def _count_tables(path: Path) -> int | None:
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        copy = _copied(path, Path(folder))
        if copy is None:
            return None
        try:
            with closing(sqlite3.connect(copy)) as connection:
                return _bounded(connection).execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except sqlite3.Error:
            return None


def _bounded(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Have long work on a stranger's database fail: it may have a view without end in place of a table."""
    left = iter(range(_MOST_WORK))
    connection.set_progress_handler(lambda: next(left, None) is None, 1_000)
    return connection


def _copied(path: Path, folder: Path) -> Path | None:
    """Return a copy of a small database with its log; None where there is none."""
    try:
        files = [file for file in (path, _log_of(path)) if file.is_file() and not file.is_symlink()]
        if sum(file.stat().st_size for file in files) > _SMALL:
            return None
        for file in files:
            shutil.copyfile(file, folder / file.name)
    except OSError:
        return None
    return folder / path.name


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
