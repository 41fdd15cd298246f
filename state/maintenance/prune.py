"""Takes back single steps of a thread, as callers of LangGraph's checkpointers may ask for it.

Nothing else removes steps (promise P6). What was paid stays in the journal, so that a resumed run finds its answers.
"""

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

from ..db.integrity import Deserializer, last_checkpoint
from ..db.tables import CHECKPOINTS, STEPS, WRITES
from ..errors import StoreError, ThreadExists
from ..leases import Leases
from ..records import Status
from ..turn_making import rewrite_turns
from .delete import delete_run

_OWNER = "CASE WHEN json_valid(CAST(metadata AS TEXT)) THEN json_extract(CAST(metadata AS TEXT), '$.run_id') END"
OWNED = f"SELECT DISTINCT thread_id FROM checkpoints WHERE {_OWNER} IN (SELECT value FROM json_each(?))"
"""The threads with steps that runs of a server have made; the parameter is a JSON list of the ids of those runs."""


def roll_back(
    connection: sqlite3.Connection, leases: Leases, serde: Deserializer, thread_id: str, run_ids: str
) -> None:
    """Remove the steps that these runs of a server made (a JSON list), and the thread when none is left.

    Raises RunBusy while a process executes the thread.
    """
    leases.fence(connection, thread_id)
    owned = f"SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ? AND {_OWNER} IN "
    _remove(connection, thread_id, connection.execute(f"{owned}(SELECT value FROM json_each(?))", (thread_id, run_ids)))
    if not connection.execute("SELECT 1 FROM checkpoints WHERE thread_id = ?", (thread_id,)).fetchone():
        if connection.execute("SELECT 1 FROM threads WHERE thread_id = ?", (thread_id,)).fetchone():
            delete_run(connection, leases, thread_id)
        return
    connection.execute(
        "UPDATE threads SET status = ?, error = NULL, "
        "turns = (SELECT coalesce(max(turn), 0) FROM steps WHERE steps.thread_id = threads.thread_id) "
        "WHERE thread_id = ?",
        (_status(connection, serde, thread_id), thread_id),
    )
    if last := last_checkpoint(connection, thread_id, ""):
        rewrite_turns(connection, serde, thread_id, last)


def _status(connection: sqlite3.Connection, serde: Deserializer, thread_id: str) -> Status:
    """Return the status of a run whose last step is the one that it has now. Raises StoreError."""
    if (last := last_checkpoint(connection, thread_id, "")) is None:
        return "stopped"
    row = connection.execute(
        "SELECT parent_checkpoint_id, type, checkpoint FROM checkpoints WHERE thread_id = ? AND checkpoint_id = ?",
        (thread_id, last),
    ).fetchone()
    # Out of budget it may resume: the run that was taken back may have raised its limits.
    status = (_checkpoint(serde, thread_id, row).get("channel_values") or {}).get("status")
    return "answered" if status == "answered" else "stopped"


def keep_latest(connection: sqlite3.Connection, leases: Leases, serde: Deserializer, thread_id: str) -> None:
    """Remove all steps but the last one of each namespace, and those from which its state is rebuilt.

    These are its ancestors back to where each growing list was saved whole. Raises RunBusy while a process executes
    the thread, and StoreError for a last step that cannot be read.
    """
    leases.fence(connection, thread_id)
    there = connection.execute(
        "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint FROM checkpoints "
        "LEFT JOIN steps USING (thread_id, checkpoint_id) WHERE thread_id = ? "
        "ORDER BY coalesce(step, 0), checkpoint_id",
        (thread_id,),
    ).fetchall()
    rows = {(namespace, name): (parent, kind, body) for namespace, name, parent, kind, body in there}
    latest = dict(rows.keys())
    kept: set[tuple[str, str]] = set()
    for namespace, name in latest.items():
        missing: set[str] | None = None
        at: str | None = name
        while at is not None and (row := rows.get((namespace, at))) and (missing is None or missing):
            kept.add((namespace, at))
            checkpoint = _checkpoint(serde, thread_id, row)
            missing = set(checkpoint.get("channel_versions") or ()) if missing is None else missing
            missing -= (checkpoint.get("channel_values") or {}).keys()
            at = row[0]
    _remove(connection, thread_id, rows.keys() - kept)


def _checkpoint(serde: Deserializer, thread_id: str, row: tuple[Any, str, bytes]) -> Any:
    try:
        return serde.loads_typed((row[1], row[2]))
    except Exception as error:
        raise StoreError(f"A step of {thread_id} cannot be read, so that nothing of it is removed.") from error


def copy_steps(connection: sqlite3.Connection, leases: Leases, source: str, target: str) -> None:
    """Copy the steps of a thread that no run of the index is. Raises ThreadExists, RunBusy."""
    leases.check(connection, target)
    if connection.execute("SELECT 1 FROM checkpoints WHERE thread_id = ?", (target,)).fetchone():
        raise ThreadExists(f"The thread {target} exists.", hint="Copy to another name.")
    for table in (CHECKPOINTS, WRITES, STEPS):
        copy = table.copy({"thread_id": ":target"})
        connection.execute(f"{copy} WHERE thread_id = :source", {"source": source, "target": target})


def _remove(connection: sqlite3.Connection, thread_id: str, places: Iterable[Collection[str]]) -> None:
    """Remove checkpoints, each named by its namespace and id, with their writes and step numbers."""
    named = [(thread_id, *place) for place in places]
    for table in ("checkpoints", "writes"):
        connection.executemany(
            f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?", named
        )
    connection.executemany("DELETE FROM steps WHERE thread_id = ? AND ? = '' AND checkpoint_id = ?", named)
    left = connection.execute("SELECT step FROM steps WHERE thread_id = ? ORDER BY step", (thread_id,)).fetchall()
    # Without gaps: a missing number is taken for a step that was lost.
    renumbered = [(number, thread_id, step) for number, (step,) in enumerate(left, 1) if number != step]
    connection.executemany("UPDATE steps SET step = ? WHERE thread_id = ? AND step = ?", renumbered)
