"""Checks that the rows which a state is loaded from are what was saved, before it is loaded (promise P5).

The functions are for `Database.look`. They raise StoredDataDamaged, naming the step.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import CHANGED, MISSING, StoredDataDamaged, cli_command
from .checksums import checksum_mismatch_sql
from .corruption import is_damage
from .tables import CHECKPOINTS, STEPS, WRITES

_AT_ONCE = 500
_PLACE = "thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
_CHECKPOINT = f"SELECT {checksum_mismatch_sql(CHECKPOINTS)} FROM checkpoints WHERE {_PLACE}"
_WRITES = f"SELECT count(*) FROM writes WHERE {_PLACE} AND {checksum_mismatch_sql(WRITES)}"
_NEWEST = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
_LAST_STEP = (
    f"SELECT checkpoint_id, {checksum_mismatch_sql(STEPS)} FROM steps WHERE thread_id = ? ORDER BY step DESC LIMIT 1"
)
# From a checkpoint back to the first one, as LangGraph follows them.
_LINE = f"""
WITH RECURSIVE line (rank, checkpoint_id, parent) AS (
    SELECT 0, checkpoint_id, parent_checkpoint_id FROM checkpoints WHERE {_PLACE}
    UNION ALL
    SELECT rank + 1, checkpoints.checkpoint_id, parent_checkpoint_id FROM line CROSS JOIN checkpoints
    ON checkpoints.checkpoint_id = line.parent WHERE thread_id = ? AND checkpoint_ns = ?
)
SELECT rank, line.checkpoint_id, parent, type, checkpoint, {checksum_mismatch_sql(CHECKPOINTS)}
FROM line CROSS JOIN checkpoints ON checkpoints.checkpoint_id = line.checkpoint_id
WHERE thread_id = ? AND checkpoint_ns = ?
"""


class Deserializer(Protocol):
    """The part of LangGraph's serializer that is needed here."""

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the deserialized value."""
        ...


@dataclass(frozen=True)
class Line:
    """The ancestors of a checkpoint as far as its growing lists are rebuilt from them, the nearest one first."""

    ancestors: list[str]
    whole: dict[str, Any]
    """The lists that an ancestor has saved whole, as its serializer returned them. A list without one starts empty."""


def last_checkpoint(connection: sqlite3.Connection, thread_id: str, namespace: str) -> str | None:
    """Return the id of the checkpoint that was saved last, by order of saving rather than by a clock; None without any.

    Raises StoredDataDamaged when it is missing.
    """
    step = None if namespace else connection.execute(_LAST_STEP, (thread_id,)).fetchone()
    if step and connection.execute(_CHECKPOINT, (thread_id, namespace, step[0])).fetchone():
        return step[0]
    if step and not step[1]:
        raise damaged_step(connection, thread_id, step[0], MISSING)
    return connection.execute(_NEWEST, (thread_id, namespace)).fetchone()[0]


def check_checkpoint(connection: sqlite3.Connection, thread_id: str, namespace: str, checkpoint_id: str) -> None:
    """Check a checkpoint and its pending writes. Does nothing when the checkpoint does not exist."""
    place = (thread_id, namespace, checkpoint_id)
    try:
        row = connection.execute(_CHECKPOINT, place).fetchone()
        [writes] = connection.execute(_WRITES, place).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise damaged_step(connection, thread_id, checkpoint_id, f"cannot be read ({error})") from error
    if writes or (row and row[0]):
        raise damaged_step(connection, thread_id, checkpoint_id, CHANGED)


def check_line(
    connection: sqlite3.Connection,
    serde: Deserializer,
    place: tuple[str, str, str],
    channels: Collection[str],
) -> Line:
    """Check the rows from which the growing lists `channels` of a checkpoint are rebuilt, and return where they are.

    These are its ancestors back to where each list was last saved whole, and all writes to the lists since.
    """
    thread_id, namespace, checkpoint_id = place
    wanted, passed, whole = set(channels), dict[str, None](), dict[str, Any]()
    expected: str | None = None
    try:
        for rank, found, parent, kind, body, damaged in connection.execute(
            _LINE, (*place, *(thread_id, namespace) * 2)
        ):
            if damaged:
                raise damaged_step(connection, thread_id, found, CHANGED)
            expected = parent
            if rank:
                passed[found] = None
                values = serde.loads_typed((kind, body)).get("channel_values") or {}
                whole |= {name: values[name] for name in wanted & values.keys()}
                wanted -= values.keys()
            if not wanted or parent in passed:
                expected = None
                break
        if expected is not None:
            raise damaged_step(connection, thread_id, expected, MISSING)
        _check_writes(connection, thread_id, namespace, list(passed), sorted(channels))
        return Line(list(passed), whole)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise damaged_step(connection, thread_id, expected or checkpoint_id, f"cannot be read ({error})") from error


def _check_writes(
    connection: sqlite3.Connection, thread_id: str, namespace: str, line: Sequence[str], channels: Sequence[str]
) -> None:
    """Check the writes to the channels on top of the checkpoints in `line`."""
    for start in range(0, len(line), _AT_ONCE):
        names = line[start : start + _AT_ONCE]
        found = connection.execute(
            f"SELECT checkpoint_id FROM writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id IN "
            f"({_marks(names)}) AND channel IN ({_marks(channels)}) AND {checksum_mismatch_sql(WRITES)} LIMIT 1",
            (thread_id, namespace, *names, *channels),
        ).fetchone()
        if found:
            raise damaged_step(connection, thread_id, found[0], CHANGED)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def damaged_step(connection: sqlite3.Connection, thread_id: str, checkpoint_id: str, fault: str) -> StoredDataDamaged:
    """Return the error for a step of which `fault` is said ("has changed on disk"), to be raised."""
    try:
        row = connection.execute(
            "SELECT step FROM steps WHERE thread_id = ? AND checkpoint_id = ?", (thread_id, checkpoint_id)
        ).fetchone()
    except sqlite3.DatabaseError:
        row = None
    what = f"Step {row[0]}" if row else f"The checkpoint {checkpoint_id}"
    fork = cli_command("fork", thread_id, "--step", str(row[0] - 1)) if row else ""
    before = f", and {fork} continues from before it" if row and row[0] > 1 else ""
    return StoredDataDamaged(
        f"{what} of {thread_id} {fault}.", hint=f"{cli_command('verify', thread_id)} says what is lost{before}."
    )
