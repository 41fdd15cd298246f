"""Thousands of runs in a home: copies of one of its runs, each with its calls, its answer and a time of its own."""

from contextlib import closing
from pathlib import Path

from durable_rlm.state.db.connection import connect
from durable_rlm.state.db.tables import CALLS, CHILDREN, STEPS, THREADS, WRITES
from durable_rlm.state.home_access import DATABASE

STATUSES = ("answered", "answered", "answered", "failed", "budget", "stopped", "paused", "running")
FIRST = 1_700_000_000.0
"""The time of the oldest copy; each is a minute younger than the one before."""


def add_runs(home: Path, count: int, *, of: str = "tree", sub_rlms: int = 0) -> list[str]:
    """Add copies of the run `of` named `copy-00000`…, and sub-RLMs of the youngest. Return the names of the copies."""
    names = [f"copy-{number:05}" for number in range(count)]
    with closing(connect(home / DATABASE)) as base:
        base.execute("BEGIN")
        for number, name in enumerate(names):
            when = FIRST + 60 * number
            changed = {
                "thread_id": ":name",
                "question": "'Question ' || :number || ': ' || question",
                "status": ":status",
                "created": ":when",
                "updated": ":when",
                "parent": "NULL",
            }
            values = {"name": name, "number": number, "when": when, "of": of}
            base.execute(
                f"{THREADS.copy(changed)} WHERE thread_id = :of",
                {**values, "status": STATUSES[number % len(STATUSES)]},
            )
            for table in (CALLS, STEPS):
                base.execute(
                    f"{table.copy({'thread_id': ':name'}, without=['seq'])} WHERE thread_id = :of",
                    values,
                )
            base.execute(
                f"{WRITES.copy({'thread_id': ':name'})} WHERE thread_id = :of AND channel = 'answer'",
                values,
            )
        for number in range(sub_rlms):
            child = f"{names[-1]}-child-{number:03}"
            base.execute(
                f"{THREADS.copy({'thread_id': ':child'})} WHERE thread_id = :name", {"child": child, "name": names[-1]}
            )
            base.execute(
                CHILDREN.insert("thread_id", "caller", "call", "depth"),
                {"thread_id": child, "caller": names[-1], "call": f"1:0:{number}", "depth": 1},
            )
        base.execute("COMMIT")
    return names
