"""Reads a step's checkpoint as it is saved, with the checks of the checkpointer, without importing LangGraph.

From a checkpoint follow the nodes that run next and the requests that wait (`graph/saved_states.py`).
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .db.connection import Database
from .db.integrity import check_checkpoint, check_line, damaged_step, last_checkpoint
from .saved_values import SavedList, SavedValues

TURNS = "turns"
"""The growing list of a state: a step saves what it added to it, and the whole list once in fifty additions."""
_AT_ONCE = 500
_CHECKPOINT = (
    "SELECT type, CAST(checkpoint AS BLOB), CAST(metadata AS BLOB) FROM checkpoints "
    "WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
)
_WRITES = (
    "SELECT checkpoint_id, task_id, channel, type, CAST(value AS BLOB) FROM writes "
    "WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id IN ({marks}){where} ORDER BY task_path, task_id, idx"
)
"""In the order in which LangGraph applies the writes of one step."""


class SavedWrite(NamedTuple):
    """A value that a task wrote after a checkpoint: a part of the next step, a request that waits, or an error."""

    task_id: str
    channel: str
    value: Any


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint: the values, and what says which nodes run next."""

    checkpoint_id: str
    values: dict[str, Any]
    """The saved values, with the whole list of turns."""
    versions: dict[str, Any]
    """The number of each value's last change."""
    seen: dict[str, dict[str, Any]]
    """For each node, the numbers that it has seen when it ran last."""
    number: int
    """LangGraph's number of the step that follows."""
    writes: Sequence[SavedWrite]
    """The values that tasks have written since."""


async def read_checkpoint(database: Database, thread_id: str, checkpoint_id: str | None) -> SavedCheckpoint | None:
    """Return a checkpoint of a thread, without a name the one saved last; None when there is none.

    Raises StoreError; StoredDataDamaged when not all that it is made of is what was saved.
    """

    def look(connection: sqlite3.Connection) -> SavedCheckpoint | None:
        chosen = checkpoint_id or last_checkpoint(connection, thread_id, "")
        if chosen is None:
            return None
        check_checkpoint(connection, thread_id, "", chosen)
        row = connection.execute(_CHECKPOINT, (thread_id, chosen)).fetchone()
        try:
            return _checkpoint(connection, thread_id, chosen, row) if row else None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # Not damaged on the disk: saved by another program, or by one that wrote nonsense.
            raise damaged_step(connection, thread_id, chosen, f"cannot be read ({error})") from error

    await database.catch_up()
    return await database.look(look)


def _checkpoint(
    connection: sqlite3.Connection, thread_id: str, checkpoint_id: str, row: tuple[str, bytes, bytes | None]
) -> SavedCheckpoint:
    kind, body, metadata = row
    saved = SavedValues().loads_typed((kind, body))
    values, versions = dict(saved["channel_values"]), dict(saved["channel_versions"])
    if TURNS in values:
        values[TURNS] = _whole(values[TURNS])
    else:
        values[TURNS] = _rebuilt(connection, thread_id, checkpoint_id) if TURNS in versions else []
    return SavedCheckpoint(
        checkpoint_id=checkpoint_id,
        values=values,
        versions=versions,
        seen=dict(saved["versions_seen"]),
        number=int(json.loads(metadata or b"{}").get("step", -1)) + 1,
        writes=[write for _, write in _writes(connection, thread_id, [checkpoint_id])],
    )


def _rebuilt(connection: sqlite3.Connection, thread_id: str, checkpoint_id: str) -> list[Any]:
    """Return the turns of a checkpoint that did not save them: what its ancestors have saved and added since."""
    line = check_line(connection, SavedValues(), (thread_id, "", checkpoint_id), [TURNS])
    added: dict[str, list[Any]] = {}
    for ancestor, write in _writes(connection, thread_id, line.ancestors, only=[TURNS]):
        added.setdefault(ancestor, []).extend(write.value)
    turns = _whole(line.whole.get(TURNS, []))
    for ancestor in reversed(line.ancestors):
        turns += added.get(ancestor, [])
    return turns


def _whole(saved: Any) -> list[Any]:
    return list(saved.value if isinstance(saved, SavedList) else saved)


def _writes(
    connection: sqlite3.Connection, thread_id: str, checkpoints: Sequence[str], only: Collection[str] = ()
) -> list[tuple[str, SavedWrite]]:
    """Return what was written after checkpoints, to `only` these values if any are named, each with its checkpoint."""
    found: list[tuple[str, SavedWrite]] = []
    where = f" AND channel IN ({_marks(only)})" if only else ""
    for start in range(0, len(checkpoints), _AT_ONCE):
        names = checkpoints[start : start + _AT_ONCE]
        query = _WRITES.format(marks=_marks(names), where=where)
        for checkpoint, task_id, channel, kind, value in connection.execute(query, (thread_id, *names, *only)):
            written = SavedValues().loads_typed((kind, value))
            found.append((checkpoint, SavedWrite(task_id, channel, written)))
    return found


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
