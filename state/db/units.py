"""Units of work, and their execution in one transaction: a unit that fails is undone alone, whatever it raised.

A unit may be deferred, so that no caller waits for it. If such a unit fails, then what it was to save is *unsaved*:
later units that refer to it fail as well (`Unsaved.check`), and no others.
"""

import asyncio
import copy
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import RlmError, StoreError
from ..failpoints import Failpoint
from .store_errors import unit_failure

Unit = Callable[[sqlite3.Connection], Any]
"""Work inside a transaction: it may read and write, and must not commit. It may be run again after it was undone."""

_MAY_PASS = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT),
    *(sqlite3.SQLITE_PERM,),
}
"""Failures of the disk or of its surroundings: the same unit may succeed later."""
_BY_HASH = ("texts", "recipes", "chunks", "manifests")
_IS_SAVED = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE hash = ?" for table in _BY_HASH)


@dataclass
class Pending:
    """A unit that waits for its transaction."""

    unit: Unit
    done: asyncio.Future[Any] | None
    """Gets the result. None for a deferred unit."""
    synced: bool
    what: str = ""
    patient: bool = True
    """True when the commit may wait for another process that is writing."""
    saves: Sequence[str] = ()
    """Names of what a deferred unit saves."""


@dataclass(frozen=True)
class Failed:
    """The outcome of a unit that raised an exception."""

    error: BaseException

    @property
    def may_pass(self) -> bool:
        """True when the same unit may succeed later."""
        code = getattr(self.error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _MAY_PASS


class GroupFailed(Exception):
    """A transaction failed as a whole. Nothing of it was kept; its units may succeed one by one."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Unsaved:
    """Rows that deferred units could not save, by name. Used inside transactions only."""

    def __init__(self) -> None:
        self._errors: dict[str, RlmError] = {}

    def note(self, names: Iterable[str], error: BaseException | None) -> None:
        """Record that these names are unsaved because of `error`; None: that they are saved."""
        for name in names if error is not None or self._errors else ():
            if error is None:
                self._errors.pop(name, None)
            else:
                self._errors[name] = _as_rlm_error(error)

    def check(self, connection: sqlite3.Connection, *values: Any) -> None:
        """Raise the error with which something was not saved that a value (a text or bytes) names."""
        for name, error in self._errors.items() if self._errors else ():
            named = any(
                name in value if isinstance(value, str) else name.encode() in (value or b"") for value in values
            )
            # Another run may have saved the same text.
            if named and not connection.execute(_IS_SAVED, (name,) * len(_BY_HASH)).fetchone():
                # An exception of its own for each unit: one object carries the tracebacks of all who raise it.
                raise copy.copy(error)

    def check_beginning(self, beginning: str) -> None:
        """Raise the error with which something was not saved whose name begins so."""
        for name, error in self._errors.items() if self._errors else ():
            if name.startswith(beginning):
                raise copy.copy(error)


def _as_rlm_error(error: BaseException) -> RlmError:
    failure = unit_failure(error)
    if isinstance(failure, RlmError):
        return failure
    return StoreError(f"Saving failed: {type(failure).__name__}: {failure}.", hint="Resume the run.")


def run_group(
    connection: sqlite3.Connection, group: Sequence[Pending], unsaved: Unsaved, failpoint: Failpoint, wait: int
) -> list[Any]:
    """Run the units in one transaction, in order. Return the result of each, or `Failed`.

    When the transaction fails as a whole (a disk that is full shows only at its commit), each unit gets one of its own.
    Raises sqlite3.OperationalError when another process writes for more than `wait` milliseconds; nothing was run then.
    """
    try:
        return run_together(connection, group, unsaved, failpoint, wait)
    except GroupFailed as failed:
        if len(group) == 1:
            return [_failed(group[0], failed.error, unsaved)]
    outcomes: list[Any] = []
    for pending in group:
        try:
            outcomes += run_together(connection, [pending], unsaved, failpoint, wait)
        except (GroupFailed, sqlite3.Error) as error:
            outcomes.append(_failed(pending, error.error if isinstance(error, GroupFailed) else error, unsaved))
    return outcomes


def _failed(pending: Pending, error: BaseException, unsaved: Unsaved) -> Failed:
    unsaved.note(pending.saves, error)
    return Failed(error)


def run_together(
    connection: sqlite3.Connection, group: Sequence[Pending], unsaved: Unsaved, failpoint: Failpoint, wait: int
) -> list[Any]:
    """Run the units in one transaction. Raises GroupFailed when it was undone as a whole, and what a failpoint raises.

    Raises sqlite3.OperationalError as `run_group` does.
    """
    what = "+".join(pending.what for pending in group if pending.what)
    failpoint(f"{what}-before")
    # With a write-ahead log, NORMAL only omits the fsync of this commit; the next commit with FULL makes up for it.
    synced = any(pending.synced for pending in group)
    connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
    connection.execute(f"PRAGMA busy_timeout={wait}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_run_alone(connection, pending, unsaved) for pending in group]
        failpoint(f"{what}-uncommitted")
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise GroupFailed(error) from error
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    failpoint(f"{what}-after")
    return outcomes


def _run_alone(connection: sqlite3.Connection, pending: Pending, unsaved: Unsaved) -> Any:
    """Run a unit inside the transaction; undo it if it fails. Raises GroupFailed when SQLite undid everything."""
    connection.execute("SAVEPOINT unit")
    try:
        outcome = pending.unit(connection)
    except BaseException as error:
        if not connection.in_transaction:
            raise GroupFailed(error) from error
        connection.execute("ROLLBACK TO unit")
        outcome = _failed(pending, error, unsaved)
    else:
        unsaved.note(pending.saves, None)
    connection.execute("RELEASE unit")
    return outcome
