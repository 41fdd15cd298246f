"""The cells and the answer of the run that these tests fork, and look-ups of its steps and rows."""

import sqlite3
from pathlib import Path
from typing import Any

from durable_rlm import Runner

CELLS = [
    "limit = 3\nseen = [llm_query(q) for q in ['a', 'b']]\nprint(seen)",
    "picked = llm_query_batched([f'{word}{limit}' for word in seen])",
    "FINAL(picked + [limit])",
    "FINAL(['once more', picked, limit])",
]
ANSWER = ["A3", "B3", 3]


async def step(runner: Runner, kind: str, turn: int, summary: str = "", thread: str = "parent") -> int:
    """Return the first step of a kind in a turn with `summary` in its summary."""
    found = await runner.queries.steps(thread)
    return next(s["step"] for s in found if (s["kind"], s["turn"]) == (kind, turn) and summary in s["summary"])


def rows(home: Path, thread: str) -> dict[str, list[Any]]:
    """Return all rows of a thread in the database, by table."""
    with sqlite3.connect(home / "checkpoints.sqlite") as connection:
        tables = ("threads", "steps", "checkpoints", "writes", "calls")
        return {
            table: connection.execute(
                f"SELECT * FROM {table} WHERE thread_id = ? ORDER BY 1, 2, 3", (thread,)
            ).fetchall()
            for table in tables
        }
