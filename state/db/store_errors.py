"""SQLite's errors in words."""

import sqlite3
from pathlib import Path

from ..errors import StoredDataDamaged, StoreError

_DAMAGED = "`rlm verify THREAD` says what of a run is lost. Restore the home from a copy, or use another --home."
_SHORT_OF_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_UNWRITABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM}
_SHARED_MEMORY = {
    *(sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMMAP),
    *(sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_WRITE),
}
_UNSUITABLE = (OverflowError, UnicodeError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""Errors, SQLite's and those of Python's module for it, about a value that no column can hold."""


def lacks_room(error: sqlite3.Error) -> bool:
    """Return whether SQLite failed because the disk is full."""
    return getattr(error, "sqlite_errorcode", None) in _SHORT_OF_ROOM or "is full" in str(error)


def is_unwritable(error: sqlite3.Error) -> bool:
    """Return whether a file could not be opened for writing, so that it may still be read."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _UNWRITABLE or code in _SHARED_MEMORY


def as_store_error(error: sqlite3.Error | OverflowError | UnicodeError, path: Path | None = None) -> StoreError:
    """Return SQLite's error, or Python's about a value for it, as a StoreError of one sentence with a hint."""
    if isinstance(error, _UNSUITABLE):
        return StoreError(
            f"A value cannot be stored: {error}.", hint="This is a fault of the program, not of the disk."
        )
    text = str(error)
    where, the = (f"{path}: ", "the") if path else ("", "The")
    if "locked" in text or "busy" in text:
        return StoreError(f"{where}{the} store is locked by another process.", hint="Wait for it to end and try again.")
    if lacks_room(error):
        return StoreError(f"{where}{the} disk is full.", hint="Free some space.")
    if "readonly" in text or "unable to open" in text:
        return StoreError(f"{where}{the} store cannot be written.", hint="Fix its permissions or use another --home.")
    if "malformed" in text or "not a database" in text or "disk image" in text:
        return StoredDataDamaged(f"{where}checkpoints.sqlite is damaged or is not a database ({text}).", hint=_DAMAGED)
    return StoreError(f"{where}{the} store failed: {text}.", hint="Check the disk.")


def unit_failure(error: BaseException) -> Exception:
    """Return the exception for the caller of a unit that raised `error`, or whose transaction failed with it.

    Errors of the project and of its code are returned as they are; what asyncio would take for something else (the end
    of a generator, a cancellation, the end of the process) becomes a StoreError.
    """
    if isinstance(error, (sqlite3.Error, OverflowError, UnicodeError)):
        return as_store_error(error)
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    failure = StoreError(f"Saving failed: {type(error).__name__} {error}".rstrip() + ".", hint="Resume the run.")
    failure.__cause__ = error
    return failure
