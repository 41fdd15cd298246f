"""What runs have spent: sums over their journals, always with the runs that they have called, and so on."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from .children import BELOW
from .database import Database
from .lines import LINE, NO_HORIZON


@dataclass(frozen=True)
class Spent:
    """A sum over rows of the journal. `cost` is None when any price was unknown."""

    model_calls: int = 0
    reused_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


_SUMS = (
    "coalesce(sum(attempts), 0), coalesce(sum(reused), 0), coalesce(sum(input_tokens), 0), "
    "coalesce(sum(output_tokens), 0), coalesce(sum(cost), 0.0), coalesce(sum(cost IS NULL AND attempts > 0), 0)"
)
_SPENT = f"SELECT {_SUMS} FROM calls"
_TREE = """
WITH RECURSIVE tree (thread_id) AS (
    VALUES (?) UNION SELECT children.thread_id FROM children JOIN tree ON children.caller = tree.thread_id
)
"""
# Every thread with itself and all below it.
_TREES = """
WITH RECURSIVE trees (top, thread_id) AS (
    SELECT DISTINCT thread_id, thread_id FROM calls
    UNION SELECT caller, caller FROM children
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
"""
# The same of the threads below one alone.
_TREES_BELOW = f"""
{BELOW},
trees (top, thread_id) AS (
    SELECT thread_id, thread_id FROM below
    UNION SELECT top, children.thread_id FROM children JOIN trees ON children.caller = trees.thread_id
)
"""
_SPENT_BY_TOP = f"SELECT {_SUMS}, top FROM trees JOIN calls USING (thread_id) GROUP BY top"
# The threads that one was forked from, each with what had been settled at the last step that it shares with the fork.
_SPENT_BEFORE = f"""
WITH RECURSIVE past (thread_id, until) AS (
    SELECT ?, {NO_HORIZON}
    UNION
    SELECT threads.parent, min(past.until, coalesce((
        SELECT max(own.settled) FROM steps AS own JOIN steps AS shared
        ON shared.thread_id = threads.parent AND shared.checkpoint_id = own.checkpoint_id
        WHERE own.thread_id = threads.thread_id
    ), 0)) FROM threads JOIN past USING (thread_id) WHERE threads.parent IS NOT NULL
),
tree (thread_id, until) AS (
    SELECT thread_id, until FROM past WHERE until < {NO_HORIZON}
    UNION SELECT children.thread_id, until FROM children JOIN tree ON children.caller = tree.thread_id
)
{_SPENT} JOIN tree USING (thread_id) WHERE coalesce(settled, {NO_HORIZON}) <= until
"""
_LARGEST_TURN = f"""
{LINE} SELECT coalesce(max(input_tokens / max(attempts, 1)), 0) FROM calls JOIN line USING (thread_id)
WHERE kind = 'root'
"""


class Spending:
    """What the runs of one database have spent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by(self, thread_id: str) -> Spent:
        """What the thread and those that it has called, and so on, have spent so far."""
        rows = await self._database.read(f"{_TREE} {_SPENT} JOIN tree USING (thread_id)", (thread_id,))
        return _spent(rows[0])

    async def before(self, thread_id: str) -> Spent:
        """What the threads that this one was forked from, with those that they have called, had spent until then."""
        rows = await self._database.read(_SPENT_BEFORE, (thread_id,))
        return _spent(rows[0])

    async def largest_turn(self, thread_id: str) -> int:
        """The input tokens of the largest root request of the thread and those it was forked from; 0 without any."""
        rows = await self._database.read(_LARGEST_TURN, (thread_id,))
        return rows[0][0]

    async def by_all(self) -> dict[str, Spent]:
        """What every thread has spent, with those that it has called."""
        rows = await self._database.read(f"{_TREES} {_SPENT_BY_TOP}")
        return {row[-1]: _spent(row) for row in rows}

    async def below(self, thread_id: str) -> dict[str, Spent]:
        """What each thread below this one has spent, with those that it has called."""
        rows = await self._database.read(f"{_TREES_BELOW} {_SPENT_BY_TOP}", (thread_id,))
        return {row[-1]: _spent(row) for row in rows}


def _spent(row: tuple[Any, ...]) -> Spent:
    return Spent(row[0], row[1], row[2], row[3], None if row[5] else row[4])


def charge_to_caller(connection: sqlite3.Connection, thread_id: str) -> None:
    """Inside a transaction: before a child is deleted, add what it has spent to the row of the call that it answers.

    So the tree's account stays what it was (promise P9).
    """
    child = connection.execute("SELECT caller, call FROM children WHERE thread_id = ?", (thread_id,)).fetchone()
    if child is None:
        return
    spent = connection.execute(f"{_TREE} {_SPENT} JOIN tree USING (thread_id)", (thread_id,)).fetchone()
    attempts, _, tokens_in, tokens_out, cost, unknown = spent
    connection.execute(
        "UPDATE calls SET attempts = attempts + ?, input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, "
        "cost = cost + ? WHERE thread_id = ? AND key = ?",
        (attempts, tokens_in, tokens_out, None if unknown else cost, *child),
    )
