"""A page of calls takes as much of the database whatever the number of calls."""

import sqlite3
from pathlib import Path

import pytest

from durable_rlm.state.call_pages import Asking, CallFilter, CallPages, Rank
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.tables import CALLS

FEW, MANY = 300, 3_000
_COUNTED = 50
"""Instructions of SQLite's machine that are counted as one."""


def rows(calls: int) -> list[dict[str, object]]:
    """Return rows of a run in which each third call failed, thirty a turn."""
    same = {"thread_id": "t", "depth": 0, "model": "m", "prompt": "p" * 64, "created": 1.0, "cost": 0.0, "kind": "llm"}
    return [
        {
            **same,
            "key": f"{number // 30}:{number}:1",
            "turn": number // 30,
            "status": "failed" if number % 3 else "answered",
        }
        for number in range(calls)
    ]


async def worked(folder: Path, calls: int, asking: Asking) -> int:
    """Return the instructions that reading a page takes in a run of so many calls."""
    made = rows(calls)
    async with Database.open(folder / "checkpoints.sqlite") as database:
        await database.commit(lambda connection: connection.executemany(CALLS.insert(*made[0]), made))
        count = 0

        def counted() -> None:
            nonlocal count
            count += 1

        def watch(connection: sqlite3.Connection) -> None:
            connection.set_progress_handler(counted, _COUNTED)

        await database.look(watch)
        page = await CallPages(database).page("t", asking)
        assert len(page.rows) == min(asking.most, 30 if asking.chosen.turn is not None else asking.most)
        return count


@pytest.mark.parametrize(
    "asking",
    [
        Asking(),
        Asking(last=True),
        Asking(after=Rank(0.0, 200)),
        Asking(before=Rank(0.0, 200)),
        Asking(CallFilter(state="failed")),
        Asking(CallFilter(turn=7)),
        Asking(CallFilter(turn=7), order="time"),
    ],
    ids=["first", "last", "after", "before", "failed", "turn", "slowest of a turn"],
)
async def test_a_page_takes_as_long_in_a_run_of_ten_times_the_calls(tmp_path: Path, asking: Asking) -> None:
    few, many = [await worked(tmp_path / str(calls), calls, asking) for calls in (FEW, MANY)]
    assert many <= 1.2 * few + 10


async def test_growth_is_seen_where_all_calls_are_looked_at(tmp_path: Path) -> None:
    few, many = [await worked(tmp_path / str(calls), calls, Asking(order="cost")) for calls in (FEW, MANY)]
    assert many > 3 * few
