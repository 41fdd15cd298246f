"""Forks: a fork is a new thread that begins as a copy of another one up to a step.

The copy, the changes to it and its entry in the index are one transaction: a fork exists completely or not at all.
The thread that it is copied from is only read, also while another process runs it.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.runnables import RunnableConfig

from ..state.budget import Limits
from ..state.call_journal import give_answer
from ..state.checkpointer import RunSaver, StagedSaver
from ..state.db.checksums import checksum_mismatch_sql
from ..state.db.connection import Unit
from ..state.db.tables import CHECKPOINTS, STEPS, THREADS, WRITES
from ..state.errors import ThreadExists, UnknownThread
from ..state.run_state import Status
from ..state.stores import Stores
from ..state.turn_making import copy_turns
from .build import Graph
from .checkpoints import StateAtStep
from .fork_edits import Changes, Edit, edit_of
from .tracing import traced

Compiled = Callable[[RunSaver], Graph]
"""Returns the graph compiled with a saver."""
Commit = Callable[[Unit], Awaitable[None]]

_CHAIN = """
WITH RECURSIVE chain (checkpoint_id) AS (
    SELECT :checkpoint_id
    UNION
    SELECT parent_checkpoint_id FROM checkpoints JOIN chain USING (checkpoint_id)
    WHERE thread_id = :source AND checkpoint_ns = '' AND parent_checkpoint_id IS NOT NULL
)
"""
_OF_CHAIN = "thread_id = :source AND checkpoint_id IN (SELECT checkpoint_id FROM chain)"

_WITHOUT_RUN = """
CASE WHEN json_valid(CAST(metadata AS TEXT)) THEN CAST(json_remove(CAST(metadata AS TEXT), '$.run_id') AS BLOB)
ELSE metadata END
"""
"""A checkpoint's metadata without the run of a server that made it: taking that run back leaves its copies alone."""


async def make_fork(
    stores: Stores,
    compiled: Compiled,
    step_state: StateAtStep,
    target: str,
    changes: Changes,
    limits: Limits,
    *,
    commit: Commit | None = None,
) -> None:
    """Create the thread `target` from `step_state`, with `changes` and `limits`.

    Recorded answers are not copied: the journal finds them through the parent. `commit` may do more in the same
    transaction. Raises UsageError for changes that are invalid at that step, ThreadExists for a name that is taken.
    """
    source, step = step_state.thread.thread_id, step_state.step
    assert step is not None, "a fork is made at a step"
    edit = await edit_of(stores, step_state, changes, limits)
    saver = StagedSaver(stores.database, stores.leases, source=source, checkpoint_id=step.checkpoint_id, copy=target)
    if edit:
        config: RunnableConfig = {"configurable": {"thread_id": target, "checkpoint_id": step.checkpoint_id}}
        with traced(False):
            await compiled(saver).aupdate_state(config, edit.values, as_node=edit.as_node)

    def unit(connection: sqlite3.Connection) -> None:
        _check_is_free(connection, target)
        settled = _copied(connection, source, step.checkpoint_id, target)
        now = stores.threads.now()
        _enter(connection, step_state, edit, target, limits, horizon=settled if changes.fresh else None, now=now)
        copy_turns(connection, saver.serde, source, target, step.checkpoint_id)
        for staged in saver.units:
            staged(connection)
        for call, answer in edit.answers if edit else ():
            stores.database.unsaved.check(connection, answer)
            # Settled at the step that gives it, whatever is settled elsewhere: a fresh fork of this fork keeps it.
            give_answer(connection, target, call, answer, settled=settled, now=now)
        if edit:
            connection.execute(
                "UPDATE steps SET kind = 'edit', summary = ?, settled = ? WHERE thread_id = ? AND step = ("
                "SELECT max(step) FROM steps WHERE thread_id = ?)",
                (edit.summary, settled, target, target),
            )

    await (commit(unit) if commit else stores.database.commit(unit, "fork"))


def _check_is_free(connection: sqlite3.Connection, name: str) -> None:
    for table in ("threads", "checkpoints"):
        if connection.execute(f"SELECT 1 FROM {table} WHERE thread_id = ?", (name,)).fetchone():
            raise ThreadExists(f"The thread {name} exists.", hint="Choose another name with --thread.")


def _copied(connection: sqlite3.Connection, source: str, checkpoint_id: str, target: str) -> int:
    """Copy the history up to a checkpoint. Return its `settled` number. Raises UnknownThread."""
    place = {"source": source, "checkpoint_id": checkpoint_id, "target": target}
    to_target = {"thread_id": ":target"}
    renumbered = {**to_target, "step": "row_number() OVER (ORDER BY step)"}
    for copy in (
        f"{CHECKPOINTS.copy({**to_target, 'metadata': _WITHOUT_RUN})} WHERE checkpoint_ns = ''",
        # Writes that tasks made on top of this step belong to the next one.
        f"{WRITES.copy(to_target)} WHERE checkpoint_ns = '' AND checkpoint_id != :checkpoint_id",
        f"{STEPS.copy(renumbered)} WHERE true",
    ):
        connection.execute(f"{_CHAIN} {copy} AND {_OF_CHAIN}", place)
    _keep_damage(connection, source, target)
    row = connection.execute(
        "SELECT settled FROM steps WHERE thread_id = ? AND checkpoint_id = ?", (target, checkpoint_id)
    ).fetchone()
    if row is None:
        raise UnknownThread(f"{source} was deleted meanwhile.", hint="`rlm list` shows the runs there are.")
    return int(row[0])


def _keep_damage(connection: sqlite3.Connection, source: str, target: str) -> None:
    """Invalidate the checksums of copies of damaged rows: a copy of damaged data is damaged, too."""
    # Steps are numbered anew in the copy.
    for table, key in (
        (CHECKPOINTS, CHECKPOINTS.key_in_thread),
        (WRITES, WRITES.key_in_thread),
        (STEPS, ("checkpoint_id",)),
    ):
        same = " AND ".join(f"{table.name}.{column} = damaged.{column}" for column in key)
        connection.execute(
            f"UPDATE {table.name} SET seal = NULL FROM "
            f"(SELECT * FROM {table.name} WHERE thread_id = ? AND {checksum_mismatch_sql(table)}) AS damaged "
            f"WHERE {table.name}.thread_id = ? AND {same}",
            (source, target),
        )


def _enter(
    connection: sqlite3.Connection,
    step_state: StateAtStep,
    edit: Edit | None,
    target: str,
    limits: Limits,
    *,
    horizon: int | None,
    now: float,
) -> None:
    """Insert the fork's row into the index of runs."""
    source = step_state.thread
    question = edit.question if edit and edit.question is not None else source.question
    settings = edit.settings if edit else None
    model = settings.model if settings else source.model
    other = {"settings": settings.frozen()} if settings else {}
    start: dict[str, Any] = {**source.start, "question": question, **other} if source.start else {}
    row = {
        **{"thread_id": target, "question": question, "input": source.input, "start": json.dumps(start)},
        **{"model": model, "parent": source.thread_id, "limits": limits.model_dump_json()},
        **{"status": _status(step_state, edit), "turns": step_state.step.turn if step_state.step else 0},
        **{"created": now, "updated": now, "horizon": horizon},
    }
    connection.execute(THREADS.insert(*row), row)


def _status(step_state: StateAtStep, edit: Edit | None) -> Status:
    status = step_state.state.get("status", "running")
    return "stopped" if edit or status == "running" else status
