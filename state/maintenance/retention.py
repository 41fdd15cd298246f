"""Decides which runs are old enough to be deleted: those that were not touched for long, with their sub-RLMs.

A run that waits for a reviewer is never old, however long it waits, nor is one that a process runs, nor one whose rows
cannot be read: their time is not known.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..db.checksums import checksum_mismatch_sql
from ..db.integrity import last_checkpoint
from ..db.lineage import BELOW
from ..db.tables import THREADS
from ..leases import Leases
from ..threads import DELETED, Thread
from .delete import Deleted, delete_run

Reason = Literal["waiting", "running", "damaged"]
"""The reason why a run is kept: it waits for a reviewer, a process runs it or a fork of it, or its rows are damaged."""

_SECONDS = {"s": 1, "h": 3600, "d": 86_400, "w": 7 * 86_400}
"""No `m`: minutes or months."""
_AGE = re.compile(r"([0-9]{1,9})([shdw])")
_INTERRUPT = "__interrupt__"
"""LangGraph's channel for what a task waits for."""
_TREE = (
    f"{BELOW} SELECT thread_id, status, updated, {checksum_mismatch_sql(THREADS)} FROM threads "
    f"WHERE (thread_id = ? OR thread_id IN below) AND status != '{DELETED}'"
)
_WAITS = "SELECT 1 FROM writes WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ? AND channel = ? LIMIT 1"


@dataclass
class OldRuns:
    """The old runs that were deleted, or in a dry run those that would be, and those that are kept all the same."""

    deleted: list[str] = field(default_factory=list[str])
    """Names of runs and of their sub-RLMs."""
    kept: dict[str, Reason] = field(default_factory=dict[str, Reason])
    """The reason, by the name of the run at the top."""


def parse_age(text: str) -> float:
    """Return the seconds of `12h`, `90d`, `2w`, `0s`. Raises ValueError on anything else, such as a bare number."""
    match = _AGE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not an age; write 90d (days), 12h (hours) or 2w (weeks)")
    return float(int(match[1]) * _SECONDS[match[2]])


def trees_of(rows: Iterable[Thread]) -> dict[str, list[Thread]]:
    """Return the runs with those below them, by the name of the run at the top, the one touched last at the end."""
    known = {row.thread_id: row for row in rows}
    trees: defaultdict[str, list[Thread]] = defaultdict(list)
    for row in known.values():
        top, passed = row, {row.thread_id}
        # Damaged rows may form a cycle of callers.
        while top.caller in known and top.caller not in passed:
            top = known[top.caller]
            passed.add(top.thread_id)
        trees[top.thread_id].append(row)
    return dict(sorted(trees.items(), key=lambda tree: (max(row.updated for row in tree[1]), tree[0])))


def standing_of(connection: sqlite3.Connection, name: str, before: float) -> Reason | Literal["old", "young"]:
    """Return whether a run and all those below it were last touched before `before`, or why that does not count.

    Raises StoredDataDamaged.
    """
    tree = connection.execute(_TREE, (name, name)).fetchall()
    if any(damaged or not isinstance(updated, int | float) for _, _, updated, damaged in tree):
        return "damaged"
    if not tree or max(updated for _, _, updated, _ in tree) >= before:
        return "young"
    if any(status == "paused" or _waits(connection, thread_id, status) for thread_id, status, _, _ in tree):
        return "waiting"
    return "old"


def _waits(connection: sqlite3.Connection, thread_id: str, status: str) -> bool:
    """Return whether a run waits for a reviewer although its row does not say so: its process was killed too soon."""
    if status in ("answered", "budget"):
        return False
    last = last_checkpoint(connection, thread_id, "")
    return last is not None and connection.execute(_WAITS, (thread_id, last, _INTERRUPT)).fetchone() is not None


def delete_if_old(
    connection: sqlite3.Connection, leases: Leases, name: str, before: float
) -> Deleted | Reason | Literal["young"]:
    """Delete a run and its child runs, inside a transaction, unless there is a reason to keep it: return that then.

    Raises RunBusy while a living process runs one of them, or a fork of one; StoredDataDamaged.
    """
    standing = standing_of(connection, name, before)
    return delete_run(connection, leases, name) if standing == "old" else standing
