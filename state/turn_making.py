"""Makes the rows of turns from saved steps and the journal: when a step is saved, and for runs that have no rows yet.

The row of a turn is what is left after its steps were applied to it one after another, each with what it added to the
list of turns. A step that follows the last one changes one row. One that follows another step (a branch, after time
travel) makes all rows anew from the steps before it, which takes time in proportion to their number.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, cast, get_args

from .db.checksums import checksum_mismatch_sql
from .db.integrity import Deserializer
from .db.tables import CHECKPOINTS, STEPS, TURNS, WRITES
from .records import CellStatus, StepKind, TurnRecord
from .summaries import code_summary
from .turn_row import SELECT_TURNS, TurnRow, read_turn_row
from .turn_sums import inherited_sums, turn_sums


@dataclass(frozen=True)
class SavedAs:
    """A saved step, as far as rows of turns depend on it."""

    checkpoint_id: str
    parent: str | None
    turn: int
    """The turn that is under way after it."""
    created: float
    values: Mapping[str, Any]
    """The state after it."""


_ADDED = (
    f"SELECT type, CAST(value AS BLOB), {checksum_mismatch_sql(WRITES)} FROM writes WHERE thread_id = ? "
    "AND checkpoint_ns = '' AND checkpoint_id = ? AND channel = 'turns' ORDER BY task_id, idx"
)
_LAST = "SELECT checkpoint_id FROM steps WHERE thread_id = ? ORDER BY step DESC LIMIT 1"
_LATEST = f"SELECT turn, {checksum_mismatch_sql(STEPS)} FROM steps WHERE thread_id = ? ORDER BY step DESC"
# From a checkpoint back to the first one: a checkpoint that names itself as an ancestor ends the recursion.
_LINE = f"""
WITH RECURSIVE line (checkpoint_id, parent, rank) AS (
    SELECT checkpoint_id, parent_checkpoint_id, 0 FROM checkpoints
    WHERE thread_id = :thread_id AND checkpoint_ns = '' AND checkpoint_id = :checkpoint_id
    UNION ALL
    SELECT above.checkpoint_id, above.parent_checkpoint_id, rank + 1 FROM line CROSS JOIN checkpoints AS above
    ON above.checkpoint_id = line.parent WHERE above.thread_id = :thread_id AND above.checkpoint_ns = ''
    AND rank < (SELECT count(*) FROM steps WHERE thread_id = :thread_id)
    AND (:first < 2 OR EXISTS (SELECT 1 FROM steps WHERE steps.thread_id = :thread_id
    AND steps.checkpoint_id = above.checkpoint_id AND steps.turn >= :first))
)
SELECT line.checkpoint_id, parent, CASE WHEN {checksum_mismatch_sql(STEPS)} THEN '' ELSE steps.kind END,
CASE WHEN {checksum_mismatch_sql(STEPS)} THEN 0 ELSE steps.turn END,
CASE WHEN {checksum_mismatch_sql(STEPS)} THEN 0.0 ELSE steps.created END,
EXISTS (SELECT 1 FROM steps AS shared WHERE shared.checkpoint_id = line.checkpoint_id
AND shared.thread_id = (SELECT threads.parent FROM threads WHERE threads.thread_id = :thread_id))
FROM line LEFT JOIN steps ON steps.thread_id = :thread_id AND steps.checkpoint_id = line.checkpoint_id
ORDER BY rank DESC
"""
_STATE = (
    f"SELECT type, CAST(checkpoint AS BLOB), {checksum_mismatch_sql(CHECKPOINTS)} FROM checkpoints "
    "WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
)


_BY_NODES = frozenset(get_args(StepKind)) - {"edit"} | {"start", "input"}
"""The kinds of steps that each follow the one before them."""


def last_step(connection: sqlite3.Connection, thread_id: str) -> str | None:
    """Return the checkpoint of the step that was saved last; None without any."""
    row = connection.execute(_LAST, (thread_id,)).fetchone()
    return str(row[0]) if row else None


def turns_begun(connection: sqlite3.Connection, thread_id: str) -> int:
    """Return the number of turns that a thread has begun, as its last intact step says; 0 without one."""
    steps = connection.execute(_LATEST, (thread_id,))
    return max(0, next((turn for turn, damaged in steps if not damaged), 0))


def write_turn(
    connection: sqlite3.Connection, serde: Deserializer, thread_id: str, step: SavedAs, follows: str | None
) -> None:
    """Bring the rows of a run's turns up to date with a step, inside the transaction that saves it.

    `follows`: the step that was saved last before it.
    """
    if step.turn > 0:
        before = connection.execute(f"{SELECT_TURNS} AND turn >= ?", (thread_id, step.turn - 1)).fetchall()
        rows = {row.turn: row for row in map(read_turn_row, before)}
        known = step.turn == 1 or (step.turn - 1 in rows and not rows[step.turn - 1].damaged)
        if step.parent == follows and known and all(number <= step.turn for number in rows):
            row = rows.get(step.turn, TurnRow(step.turn))
            if not row.damaged:
                added, _ = added_turns(connection, serde, thread_id, step.parent)
                row = _with_records(row, [one for one in added if one.get("number") == step.turn], step.created)
                _put(connection, thread_id, _complete(connection, thread_id, row, step.values))
                if any(record.get("restore", {}).get("cells") for record in added):
                    # Earlier cells were replayed, with recorded answers and perhaps with new ones.
                    _refresh(connection, thread_id, range(1, step.turn), step.values)
                for turn in {edit["turn"] for edit in step.values.get("edits") or ()} - {step.turn}:
                    # Variables are set after the last cell, whose turn may be the one before.
                    _refresh(connection, thread_id, range(turn, turn + 1), step.values)
                return
    elif step.parent == follows:
        return
    rewrite_turns(connection, serde, thread_id, step.checkpoint_id)


def rewrite_turns(connection: sqlite3.Connection, serde: Deserializer, thread_id: str, checkpoint_id: str) -> None:
    """Replace the rows of a run's turns by those that follow from its steps up to a checkpoint.

    Rows of turns whose steps are there no longer stay as they are.
    """
    found = derived_turns(connection, serde, thread_id, checkpoint_id)
    last = max((row.turn for row in found), default=0)
    connection.execute("DELETE FROM turns WHERE thread_id = ? AND turn > ?", (thread_id, last))
    for row in found:
        if not row.damaged:
            _put(connection, thread_id, row)


def copy_turns(
    connection: sqlite3.Connection, serde: Deserializer, source: str, target: str, checkpoint_id: str
) -> None:
    """Give a fork, whose steps are copied up to a checkpoint, the rows of its turns: as recorded, and nothing paid."""
    row = connection.execute(
        "SELECT turn FROM steps WHERE thread_id = ? AND checkpoint_id = ?", (target, checkpoint_id)
    ).fetchone()
    last = int(row[0]) if row else 0
    found = connection.execute(f"{SELECT_TURNS} AND turn < ? ORDER BY turn", (source, last)).fetchall()
    rows = [row for row in map(read_turn_row, found) if not row.damaged]
    if len(rows) < last - 1:
        rows = []
    for row in rows:
        unpaid = replace(row, flags=row.flags - {"reused"}, reused=0, input_tokens=0, output_tokens=0, cost=0.0)
        _put(connection, target, unpaid)
    # The row of the last turn may say what came after this step.
    for row in derived_turns(connection, serde, target, checkpoint_id, first=last if rows else 1):
        _put(connection, target, row)


def refresh_callers(connection: sqlite3.Connection, thread_id: str) -> None:
    """Bring the rows of the turns up to date that a sub-RLM's spending belongs to, up to the top of its tree."""
    seen: set[str] = set()
    while thread_id not in seen:
        seen.add(thread_id)
        found = connection.execute(
            "SELECT caller, turn FROM children JOIN calls ON calls.thread_id = caller AND key = call "
            "WHERE children.thread_id = ?",
            (thread_id,),
        ).fetchone()
        if found is None:
            return
        thread_id, turn = found
        _refresh(connection, thread_id, range(turn, turn + 1), {})


def _refresh(connection: sqlite3.Connection, thread_id: str, turns: range, values: Mapping[str, Any]) -> None:
    """Bring the sums of rows up to date that are there, and what the state after a later step says of edits."""
    place = (thread_id, turns.start, turns.stop)
    for row in map(read_turn_row, connection.execute(f"{SELECT_TURNS} AND turn >= ? AND turn < ?", place).fetchall()):
        if not row.damaged:
            ended = {"final": True if "answer" in row.flags else None, "edits": values.get("edits")}
            _put(connection, thread_id, _complete(connection, thread_id, row, ended))


def derived_turns(
    connection: sqlite3.Connection,
    serde: Deserializer,
    thread_id: str,
    checkpoint_id: str | None = None,
    first: int = 1,
) -> list[TurnRow]:
    """Return the rows of turns from `first` on as they follow from the steps up to a checkpoint, by default the last.

    A turn is damaged where a step of it cannot be read. Turns whose steps are there no longer are left out.
    """
    checkpoint_id = checkpoint_id or last_step(connection, thread_id)
    place = {"thread_id": thread_id, "checkpoint_id": checkpoint_id, "first": first}
    line = connection.execute(_LINE, place).fetchall()
    values = _state(connection, serde, thread_id, checkpoint_id) if line else {}
    records: list[_Added] = []
    damaged: set[int] = set()
    for number, (name, parent, kind, turn, created, shared) in enumerate(line):
        # After an update the list may be saved whole, without what was added on another branch; or the steps before
        # the first one that is left were taken away.
        if kind not in _BY_NODES or (number == 0 and parent is not None):
            whole = _whole(_state(connection, serde, thread_id, name))
            if whole is not None:
                records = _matched(records, whole, created)
                continue
        added, unreadable = added_turns(connection, serde, thread_id, parent)
        records += [_Added(record, created, shared) for record in added]
        damaged |= {turn} if unreadable else set()
    rows = {number: TurnRow(number, damaged=True) for number in damaged}
    inherited: dict[int, bool] = {}
    for record, created, shared in records:
        number = record.get("number", 0)
        rows[number] = _with_record(rows.get(number, TurnRow(number)), record, created)
        if record.get("status"):
            inherited[number] = shared
    last = max(rows, default=0)
    before = {**values, "final": None, "answer": None}
    return [
        _complete(
            *(connection, thread_id, row, values if number == last else before), inherited=inherited.get(number, False)
        )
        for number, row in sorted(rows.items())
        if number >= first
    ]


class _Added(NamedTuple):
    """A record as it was added to the turns."""

    record: TurnRecord
    created: float
    """The time of the step."""
    shared: bool
    """True when the step is one of the thread that this one was forked from."""


def _whole(values: Mapping[str, Any]) -> list[TurnRecord] | None:
    """Return the list of turns of a state that has it whole; None for one that says only what was added."""
    found = values.get("turns")
    try:
        return None if found is None else list(_records(getattr(found, "value", found)))
    except (TypeError, KeyError):
        return None


def _matched(known: list[_Added], whole: list[TurnRecord], created: float) -> list[_Added]:
    """Return a list that was saved whole at `created`, with what is known of its records."""
    return [
        known[at] if at < len(known) and known[at].record == record else _Added(record, created, False)
        for at, record in enumerate(whole)
    ]


def _state(connection: sqlite3.Connection, serde: Deserializer, thread_id: str, checkpoint_id: Any) -> dict[str, Any]:
    """Return a state as its checkpoint has it; empty when that cannot be read."""
    row = connection.execute(_STATE, (thread_id, checkpoint_id)).fetchone()
    if row is not None and not row[2]:
        with contextlib.suppress(Exception):
            return serde.loads_typed(row[:2]).get("channel_values") or {}
    return {}


def added_turns(
    connection: sqlite3.Connection, serde: Deserializer, thread_id: str, parent: str | None
) -> tuple[list[TurnRecord], bool]:
    """Return what the step after the checkpoint `parent` added to the turns, and whether some of it cannot be read."""
    records: list[TurnRecord] = []
    damaged = False
    for kind, value, changed in connection.execute(_ADDED, (thread_id, parent)).fetchall() if parent else ():
        try:
            records += [] if changed else list(_records(serde.loads_typed((kind, value))))
        except Exception:
            # Of another version, or of another program: the row has its checksum.
            changed = True
        damaged = damaged or bool(changed)
    return records, damaged


def _records(value: Any) -> Iterator[TurnRecord]:
    for record in cast(list[Any], value):
        if isinstance(record["number"], int):
            yield cast(TurnRecord, record)


def _with_records(row: TurnRow, records: Sequence[TurnRecord], created: float) -> TurnRow:
    for record in records:
        row = _with_record(row, record, created)
    return row


def _with_record(row: TurnRow, record: TurnRecord, created: float) -> TurnRow:
    """Return the row of a turn with one record added, which was saved at `created`."""
    flags = set(row.flags)
    if record.get("replaced"):
        flags.add("edited")
    elif "reply" in record:
        code = record.get("short", {}).get("code", "")
        row = replace(row, summary=record.get("summary") or code_summary(code), planned=created)
        flags |= {"asked-again"} if record.get("nudge") else set()
    status = record.get("status")
    if status in get_args(CellStatus):
        flags |= {status} if status != "ok" else set()
        flags |= {"restored"} if record.get("restore") else set()
        flags |= {*record.get("marks", ())}
        ended = record.get("ended", created)
        row = replace(
            row,
            status=status,
            began=record.get("began", ended - record.get("seconds", 0.0)),
            ended=ended,
            computed=record.get("computed"),
        )
    return replace(row, flags=frozenset(flags))


def _complete(
    connection: sqlite3.Connection,
    thread_id: str,
    row: TurnRow,
    values: Mapping[str, Any],
    *,
    inherited: bool = False,
) -> TurnRow:
    """Return a row with its sums over the journal, and the flags that follow from them and from the state.

    `inherited`: the turn's cell ended in the thread that this one was forked from. A row that was copied from there has
    its sums already.
    """
    sums = turn_sums(connection, thread_id, row.turn)
    if sums is None and inherited:
        sums = inherited_sums(connection, thread_id, row.turn)
    if sums is not None:
        known = {name: value for name, value in asdict(sums).items() if name == "cost" or value is not None}
        row = replace(row, **known)
    elif row.cost is None:
        row = replace(row, cost=0.0)
    ended = values.get("final") is not None or values.get("answer") is not None
    edited = any(edit.get("turn") == row.turn for edit in values.get("edits") or ())
    found = {
        "failed-calls": row.failed > 0,
        "cut": row.cut > 0,
        "reused": row.reused > 0,
        "answer": ended,
        "edited": edited or "edited" in row.flags,
    }
    flags = row.flags - found.keys() | {flag for flag, has in found.items() if has}
    return replace(row, flags=frozenset(flags))


def _put(connection: sqlite3.Connection, thread_id: str, row: TurnRow) -> None:
    values = {name: getattr(row, name) for name in TURNS.key_in_thread + TURNS.columns()[2:]}
    values |= {"thread_id": thread_id, "flags": " ".join(sorted(row.flags))}
    connection.execute(TURNS.insert(*values, verb="INSERT OR REPLACE"), values)
