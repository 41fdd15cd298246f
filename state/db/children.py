"""Child threads: runs that answer one call of another run, each with a history of its own (`threads.py`)."""

import sqlite3
import uuid
from dataclasses import dataclass

_NAMESPACE = uuid.UUID("6f1dbb5e-3c0e-5d0c-9a3b-2f4c8f5a7d10")


def child_thread(caller: str, call: str) -> str:
    """The name of the thread that answers the call with this key: always the same one."""
    return str(uuid.uuid5(_NAMESPACE, f"{caller}\0{call}"))


# The runs that calls of one have started, those that theirs have, and so on.
BELOW = """
WITH RECURSIVE below (thread_id) AS (
    SELECT thread_id FROM children WHERE caller = ?
    UNION SELECT children.thread_id FROM children JOIN below ON children.caller = below.thread_id
)
"""


@dataclass(frozen=True)
class Child:
    """Whose child a thread is: the call of `caller` with the key `call`; `depth` counts the runs above it."""

    thread_id: str
    caller: str
    call: str
    depth: int


def enter_child(connection: sqlite3.Connection, child: Child) -> None:
    """Inside a transaction: note whose child a thread is."""
    connection.execute(
        "INSERT INTO children (thread_id, caller, call, depth) VALUES (?, ?, ?, ?)",
        (child.thread_id, child.caller, child.call, child.depth),
    )
