"""Deletes runs: everything that only they have in the database is deleted in one transaction.

A fork has its own copy of its history, but finds recorded answers in the threads that it was forked from. So a
deleted run that has forks leaves a remnant, under a name that no run can have and that is not shown: its steps and
its calls. It is deleted with the last of the forks. Texts and blobs are left to `maintenance/gc.py`, which knows what
else needs them.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import UnknownThread
from ..leases import Leases
from ..threads import DELETED
from ..usage import charge_to_caller

# A thread that another has called is not a fork of it, although it may name that thread as its parent.
_FORK = """
NOT EXISTS (SELECT 1 FROM calls WHERE calls.thread_id = threads.parent AND calls.child_thread = threads.thread_id)
"""
_FORKS = f"""
WITH RECURSIVE forks (thread_id) AS (
    SELECT thread_id FROM threads WHERE parent = ? AND {_FORK}
    UNION SELECT threads.thread_id FROM threads JOIN forks ON threads.parent = forks.thread_id WHERE {_FORK}
)
SELECT thread_id FROM forks
"""
_MARK = "\0"
"""The beginning of a remnant's name."""
_THERE = "SELECT 1 FROM threads WHERE thread_id = ? AND status != ? UNION SELECT 1 FROM checkpoints WHERE thread_id = ?"


@dataclass(frozen=True)
class Deleted:
    """The deleted run with its child runs; and its forks, which keep the answers that it had recorded."""

    threads: list[str] = field(default_factory=list[str])
    """The names of the deleted runs."""
    forks: list[str] = field(default_factory=list[str])
    """The names of their forks."""


def delete_run(connection: sqlite3.Connection, leases: Leases, thread_id: str) -> Deleted:
    """Delete a run, inside a transaction, with its child runs unless another run has called them as well.

    Raises UnknownThread, and RunBusy while a living process runs one of them, or a fork of one.
    """
    if not _is_there(connection, thread_id):
        raise UnknownThread(f"There is no run named {thread_id} here.", hint="`rlm list` shows those there are.")
    charge_to_caller(connection, thread_id)
    deleted = Deleted()
    wave = [thread_id]
    while wave:
        called = {child for name in wave for child in _children(connection, name)}
        origins = {_origin(connection, name) for name in wave}
        for name in wave:
            _delete(connection, leases, name, deleted)
        # A child is kept by any other run that has called it; a remnant by a remaining fork.
        children = sorted(called - _all_children(connection))
        wave = [*(child for child in children if _is_there(connection, child)), *_forkless(connection, origins)]
    return deleted


def shown_name(thread_id: str) -> str:
    """Return the name of a thread for display: of a remnant, the name that its run had."""
    return f"{thread_id.split(_MARK, 2)[2]}, deleted" if thread_id.startswith(_MARK) else thread_id


def _delete(connection: sqlite3.Connection, leases: Leases, name: str, deleted: Deleted) -> None:
    if _is_remnant(connection, name):
        _drop(connection, name)
        return
    forks = [row[0] for row in connection.execute(_FORKS, (name,))]
    for fork in forks:
        leases.ensure_idle(connection, fork)
    leases.fence(connection, name)
    deleted.threads.append(name)
    if forks:
        deleted.forks.extend(fork for fork in forks if not _is_remnant(connection, fork))
        _leave_remnant(connection, name)
    else:
        _drop(connection, name)


def _drop(connection: sqlite3.Connection, name: str) -> None:
    for table in (
        "checkpoints",
        "writes",
        "steps",
        "calls",
        "threads",
        "children",
        "turns",
        "executions",
        "notifications",
    ):
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (name,))


def _leave_remnant(connection: sqlite3.Connection, name: str) -> None:
    for table in ("checkpoints", "writes", "turns", "executions", "notifications"):
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (name,))
    connection.execute("DELETE FROM calls WHERE thread_id = ? AND status = 'asked'", (name,))
    # The lease's token was never used before, and never will be again.
    [token] = connection.execute("SELECT token FROM leases WHERE thread_id = ?", (name,)).fetchone()
    remnant = f"{_MARK}{token}{_MARK}{name}"
    for table in ("calls", "steps"):
        connection.execute(f"UPDATE {table} SET thread_id = ? WHERE thread_id = ?", (remnant, name))
    connection.execute(
        "UPDATE threads SET thread_id = ?, status = ?, question = '', input = '', start = '{}', model = '', "
        "limits = '{}', error = NULL WHERE thread_id = ?",
        (remnant, DELETED, name),
    )
    connection.execute("UPDATE threads SET parent = ? WHERE parent = ?", (remnant, name))
    connection.execute("UPDATE children SET caller = ? WHERE caller = ?", (remnant, name))
    connection.execute("DELETE FROM children WHERE thread_id = ?", (name,))


def _children(connection: sqlite3.Connection, name: str) -> set[str]:
    found = connection.execute(
        "SELECT DISTINCT child_thread FROM calls WHERE thread_id = ? AND child_thread IS NOT NULL", (name,)
    )
    return {row[0] for row in found}


def _all_children(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT DISTINCT child_thread FROM calls WHERE child_thread NOT NULL")}


def _origin(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT parent FROM threads WHERE thread_id = ?", (name,)).fetchone()
    return row[0] if row else None


def _forkless(connection: sqlite3.Connection, origins: Iterable[str | None]) -> list[str]:
    """Return those of the origins that are remnants and no longer needed."""
    needed = "SELECT 1 FROM threads WHERE parent = ?"
    remnants = [name for name in origins if name is not None and _is_remnant(connection, name)]
    return [name for name in remnants if not connection.execute(needed, (name,)).fetchone()]


def _is_there(connection: sqlite3.Connection, name: str) -> bool:
    return bool(connection.execute(_THERE, (name, DELETED, name)).fetchone())


def _is_remnant(connection: sqlite3.Connection, name: str) -> bool:
    return bool(
        connection.execute("SELECT 1 FROM threads WHERE thread_id = ? AND status = ?", (name, DELETED)).fetchone()
    )
