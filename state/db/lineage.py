"""The ancestors of a thread (those that it was forked from, whose journals it reads) and its child threads."""

import sqlite3
import uuid
from dataclasses import asdict, dataclass

from .tables import CHILDREN

NO_HORIZON = (1 << 63) - 1
"""The horizon that hides nothing."""

# The thread and those it was forked from, each with its horizon: calls settled later are not seen. Once there is a
# horizon, an ancestor is seen as it was when it was forked: up to the last step that both threads have.
LINE = f"""
WITH RECURSIVE line (thread_id, generation, horizon) AS (
    SELECT ?, 0, {NO_HORIZON}
    UNION
    SELECT parent, generation + 1, CASE
        WHEN line.horizon = {NO_HORIZON} THEN coalesce(threads.horizon, {NO_HORIZON})
        ELSE min(line.horizon, coalesce((
            SELECT max(own.settled) FROM steps AS own JOIN steps AS shared
            ON shared.thread_id = threads.parent AND shared.checkpoint_id = own.checkpoint_id
            WHERE own.thread_id = threads.thread_id
        ), line.horizon)) END
    FROM threads JOIN line USING (thread_id) WHERE parent IS NOT NULL
)
"""


# The thread and those it was forked from, each with what had been settled at the last step that it shares with the one
# before: the calls that were settled until then are calls of this thread, too.
PAST_UNTIL = """
WITH RECURSIVE past (thread_id, generation, until) AS (
    SELECT ?, 0, ?
    UNION
    SELECT threads.parent, generation + 1, min(past.until, coalesce((
        SELECT max(own.settled) FROM steps AS own JOIN steps AS shared
        ON shared.thread_id = threads.parent AND shared.checkpoint_id = own.checkpoint_id
        WHERE own.thread_id = threads.thread_id
    ), 0)) FROM threads JOIN past USING (thread_id) WHERE threads.parent IS NOT NULL
)
"""
"""Takes the thread, and the number of settled calls at one of its steps (`NO_HORIZON`: as it is now)."""
PAST = PAST_UNTIL.replace("0, ?", f"0, {NO_HORIZON}")
OF_PAST = f"coalesce(settled, {NO_HORIZON}) <= until"
"""The condition for a row of `calls`, joined with `PAST`, to belong to the thread."""


_NAMESPACE = uuid.UUID("6f1dbb5e-3c0e-5d0c-9a3b-2f4c8f5a7d10")


def child_thread(caller: str, call: str) -> str:
    """Return the name of the thread that answers the call with this key: always the same one."""
    return str(uuid.uuid5(_NAMESPACE, f"{caller}\0{call}"))


# The runs that the calls of a thread have started, those that their calls have started, and so on.
BELOW = """
WITH RECURSIVE below (thread_id) AS (
    SELECT thread_id FROM children WHERE caller = ?
    UNION SELECT children.thread_id FROM children JOIN below ON children.caller = below.thread_id
)
"""


@dataclass(frozen=True)
class Child:
    """A child thread: it answers the call of `caller` with the key `call`; `depth` counts the runs above it."""

    thread_id: str
    caller: str
    call: str
    depth: int


def enter_child(connection: sqlite3.Connection, child: Child) -> None:
    """Record the child's caller, inside a transaction."""
    row = asdict(child)
    connection.execute(CHILDREN.insert(*row), row)
