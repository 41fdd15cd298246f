"""Marks: short texts that differ once something new is saved of a run, or of any run of a home.

A follower compares them, so nothing has to be kept for a follower that was away. Each takes a few small queries.
"""

import sqlite3
from dataclasses import dataclass
from hashlib import sha256

from ..state.db.lineage import BELOW
from ..state.stores import Stores
from ..state.threads import DELETED

GONE = "gone"
"""The mark of a run, or of a home, that there is not."""
UNREADABLE = "unreadable"
"""The mark of what cannot be read, because the database is busy or damaged."""
_OWN = f"SELECT status FROM threads WHERE thread_id = ? AND status != '{DELETED}'"
# The parts of a sub-RLM's mark count for the run above it, which shows its sums.
_SAVED = f"""
{BELOW}
SELECT
    coalesce(sum((SELECT max(step) FROM steps WHERE steps.thread_id = tree.thread_id)), 0),
    coalesce(max((SELECT max(settled) FROM calls WHERE calls.thread_id = tree.thread_id)), 0),
    coalesce(max((SELECT max(seq) FROM calls WHERE calls.thread_id = tree.thread_id)), 0)
FROM (SELECT ? AS thread_id UNION SELECT thread_id FROM below) AS tree
"""
# Read from indexes alone. A deleted run's lease has a new token, while its row may stay for its forks.
_HOME = """
SELECT
    (SELECT count(*) FROM threads),
    (SELECT CAST(total(token) AS INTEGER) FROM leases),
    (SELECT max(updated) FROM threads),
    (SELECT value FROM counters WHERE name = 'settled'),
    (SELECT max(seq) FROM calls)
"""


@dataclass(frozen=True)
class Marks:
    """The marks of what was asked for, by the name of the run; that of the whole home by the empty name."""

    by_name: dict[str, str]
    busy: bool
    """True when a process runs one of these runs: it may end without saving that it has."""


async def marks_of(stores: Stores, names: set[str]) -> Marks:
    """Return the mark of each of these runs, and for the empty name that of the home. Raises StoreError."""
    alive = set(await stores.leases.alive())

    def read(connection: sqlite3.Connection) -> dict[str, str]:
        return {name: _run(connection, name, alive) if name else _home(connection, alive) for name in names}

    marks = await stores.database.look(read)
    return Marks(marks, bool(alive & names) or bool(alive and "" in names))


def _run(connection: sqlite3.Connection, name: str, alive: set[str]) -> str:
    own = connection.execute(_OWN, (name,)).fetchone()
    if own is None:
        return GONE
    [status] = own
    if status == "running":
        status = "busy" if name in alive else "stopped"
    step, settled, seq = connection.execute(_SAVED, (name, name)).fetchone()
    return f"{step}.{settled}.{seq}.{status}"


def _home(connection: sqlite3.Connection, alive: set[str]) -> str:
    count, tokens, updated, settled, seq = connection.execute(_HOME).fetchone()
    living = sha256("\0".join(sorted(alive)).encode("utf-8", "replace")).hexdigest()[:8] if alive else "0"
    when = f"{updated:.3f}" if isinstance(updated, float) else "0"
    return f"{count}.{tokens}.{when}.{settled or 0}.{seq or 0}.{living}"
