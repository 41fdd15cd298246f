"""Forks: a new thread that has everything of another one up to a step, and goes its own way from there."""

import json
import sqlite3
import time

from ..nodes.hands import Stores
from ..state.errors import ThreadExists, UsageError
from ..state.threads import Thread

_CHAIN = """
WITH RECURSIVE chain (checkpoint_id) AS (
    SELECT ?
    UNION
    SELECT parent_checkpoint_id FROM checkpoints JOIN chain USING (checkpoint_id)
    WHERE thread_id = ? AND checkpoint_ns = '' AND parent_checkpoint_id IS NOT NULL
)
"""


async def fork_history(stores: Stores, source: Thread, step: int, target: str) -> None:
    """Make `target` with the history of `source` up to `step`; the source is only read.

    Recorded answers are not copied: the journal finds them through the parent. Raises UsageError for a step
    that there is not, ThreadExists for a name that is taken.
    """
    steps = await stores.threads.steps(source.thread_id)
    if not 1 <= step <= len(steps):
        raise UsageError(f"{source.thread_id} has no step {step}; it has 1 to {len(steps)}.", hint="See rlm steps.")
    checkpoint = steps[step - 1].checkpoint_id
    parent = source.thread_id

    def unit(connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM threads WHERE thread_id = ?", (target,)).fetchone():
            raise ThreadExists(f"The thread {target} exists.", hint="Choose another name.")
        chain = (checkpoint, parent)
        connection.execute(
            f"{_CHAIN} INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, "
            "checkpoint, metadata) SELECT ?, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, "
            "checkpoint, metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' "
            "AND checkpoint_id IN (SELECT checkpoint_id FROM chain)",
            (*chain, target, parent),
        )
        # What tasks wrote on top of the step itself belongs to what came after it.
        connection.execute(
            f"{_CHAIN} INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, "
            "type, value) SELECT ?, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value "
            "FROM writes WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id != ? "
            "AND checkpoint_id IN (SELECT checkpoint_id FROM chain)",
            (*chain, target, parent, checkpoint),
        )
        connection.execute(
            f"{_CHAIN} INSERT INTO steps (thread_id, step, checkpoint_id, kind, turn, summary, created, settled) "
            "SELECT ?, row_number() OVER (ORDER BY step), checkpoint_id, kind, turn, summary, created, settled "
            "FROM steps WHERE thread_id = ? AND checkpoint_id IN (SELECT checkpoint_id FROM chain)",
            (*chain, target, parent),
        )
        now = time.time()
        connection.execute(
            "INSERT INTO threads (thread_id, question, input, start, model, parent, limits, status, turns, created, "
            "updated) VALUES (?, ?, ?, ?, ?, ?, ?, 'stopped', ?, ?, ?)",
            (
                *(target, source.question, source.input, json.dumps(source.start), source.model, parent),
                *(source.limits.model_dump_json(), steps[step - 1].turn, now, now),
            ),
        )

    await stores.database.commit(unit)
