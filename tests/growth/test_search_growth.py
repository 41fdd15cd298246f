"""Reading calls for searches, and searching, takes time in proportion to what there is."""

import sqlite3
import time
from pathlib import Path

import pytest

from durable_rlm.graph.call_searching import CallSearch
from durable_rlm.state.blobs.store import content_hash
from durable_rlm.state.db.tables import CALLS
from durable_rlm.state.open_home import open_home
from tests.growth.test_growth import MOST, QUICK

CALLS_OF_ONE, TIMES = 1_500, 4


def asked(connection: sqlite3.Connection, count: int) -> None:
    """Enter answered calls, with prompts that differ and answers that are long."""
    for number in range(count):
        prompt, answer = f"prompt {number:06x}".encode(), f"answer {number} {'word ' * 100}".encode()
        for body in (prompt, answer):
            connection.execute("INSERT OR IGNORE INTO texts (hash, body) VALUES (?, ?)", (content_hash(body), body))
        row = {"thread_id": "t", "key": f"1:{number}:1", "kind": "llm", "turn": 1, "depth": 0, "model": "m"}
        row |= {"prompt": content_hash(prompt), "answer": content_hash(answer), "status": "answered"}
        connection.execute(CALLS.insert(*row, "created", "settled"), {**row, "created": 1.0, "settled": number + 1})
    connection.execute("UPDATE counters SET value = ? WHERE name = 'settled'", (count,))


async def seconds(home: Path, count: int) -> dict[str, float]:
    """Return the CPU seconds of reading so many calls, and of searches in them."""
    async with open_home(home, trust=True) as stores, CallSearch(stores) as search:
        await stores.database.commit(lambda connection: asked(connection, count))
        took: dict[str, float] = {}
        begun = time.process_time()
        assert await search.fill() and await search.progress("t") == (count, count)
        took["fill"] = time.process_time() - begun
        for words in ("word", "rd", "nothing", '"word answer"', f"{count - 1:06x}"):
            begun = time.process_time()
            await search.search(words, thread="t", limit=20)
            took[words[-6:]] = time.process_time() - begun
        return took


@pytest.mark.slow
async def test_four_times_as_many_calls_take_four_times_as_long(tmp_path: Path) -> None:
    first = await seconds(tmp_path / "one", CALLS_OF_ONE)
    larger = await seconds(tmp_path / "other", CALLS_OF_ONE * TIMES)
    pairs = zip(first.items(), larger.values(), strict=True)
    assert [name for (name, took), more in pairs if more > QUICK and more > MOST * took] == []
