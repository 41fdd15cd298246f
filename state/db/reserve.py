"""A file that keeps some room on the disk, so that runs can be deleted when the disk is full.

Deleting rows writes before it frees: the `-shm`, and the changed pages into the write-ahead log. On a full disk
the file is given up for as long as something is deleted, and made again once there is room.
"""

import contextlib
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

RESERVE = "checkpoints.sqlite-reserve"
RESERVE_BYTES = 1 << 20
_LEAST = 1 << 16
_NEARLY_FULL = 4 << 20
"""Bytes of room below which deleting has to write as little as it can."""


def keep_reserve(home: Path) -> None:
    """Make the file where it is missing, if the disk has room for it and for as much again."""
    path = home / RESERVE
    with contextlib.suppress(OSError):
        if path.exists() or _room(home) < 2 * RESERVE_BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _allocate(descriptor)
        except OSError:
            path.unlink()
        finally:
            os.close(descriptor)


def _allocate(descriptor: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    elif os.write(descriptor, bytes(RESERVE_BYTES)) < RESERVE_BYTES:
        raise OSError


@contextmanager
def reserve_given_up(home: Path) -> Generator[None]:
    """While this lasts, have the room of the file on a disk that is nearly full."""
    if is_nearly_full(home):
        with contextlib.suppress(OSError):
            (home / RESERVE).unlink()
    try:
        yield
    finally:
        keep_reserve(home)


def is_nearly_full(home: Path) -> bool:
    """Return whether the disk may have no room for what deleting writes."""
    with contextlib.suppress(OSError):
        return _room(home) < _NEARLY_FULL
    return False


def has_no_room(home: Path) -> bool:
    """Return whether the disk has no room even for the files that SQLite needs beside the database."""
    with contextlib.suppress(OSError):
        return _room(home) < _LEAST
    return False


def write_little(connection: sqlite3.Connection) -> None:
    """Set a connection up so that deleting writes as few pages as it can, and no temporary files."""
    # Pages that become free are not written, not even overwritten with zeros; `rlm gc` gives them back to the disk.
    connection.execute("PRAGMA secure_delete=FAST")
    connection.execute("PRAGMA cache_spill=OFF")
    connection.execute("PRAGMA temp_store=MEMORY")


def _room(home: Path) -> int:
    facts = os.statvfs(home)
    return facts.f_bavail * facts.f_frsize
