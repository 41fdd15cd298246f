"""The coverage that the page keeps: added up once, again when a run has read more, and of a few runs only."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.graph.coverage import InputRead
from durable_rlm.state.db.connection import Database
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.stores import Stores
from durable_rlm.state.threads import Thread
from durable_rlm.studio.page import coverage_cache
from durable_rlm.studio.page.background import Work
from durable_rlm.studio.page.coverage_cache import CoverageCache
from durable_rlm.studio.page.home import HomeOpener, PageHome


@pytest.fixture
async def home(own_home: Path) -> AsyncGenerator[PageHome]:
    opener = HomeOpener(own_home)
    async with opener.closing():
        yield await opener.opened()


class Reading:
    """Counts the times that coverage is added up; while `held`, each waits for `let_go`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self.let_go = asyncio.Event()
        self.let_go.set()
        self._read = coverage_cache.input_read
        patch.setattr(coverage_cache, "input_read", self)

    async def __call__(self, stores: Stores, row: Thread) -> InputRead | None:
        self.times += 1
        await self.let_go.wait()
        return await self._read(stores, row)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


async def settle_another(database: Database, thread: str) -> None:
    sql = "UPDATE calls SET settled = settled + 1000, places = json_insert(places, '$[#]', 0, '$[#]', 5) WHERE seq = "
    await database.commit(
        lambda connection: connection.execute(
            f"{sql} (SELECT max(seq) FROM calls WHERE thread_id = ? AND settled IS NOT NULL)", (thread,)
        )
    )


async def test_it_is_added_up_once(home: PageHome, reading: Reading) -> None:
    cache = CoverageCache()
    first, second = [await cache.look(home, "contracts") for _ in range(2)]
    assert first.found
    assert first.found is second.found
    assert (first.current, reading.times) == (True, 1)


async def test_it_is_added_up_again_when_the_run_has_read_more(home: PageHome, reading: Reading) -> None:
    cache = CoverageCache()
    before = await cache.look(home, "contracts")
    await settle_another(home.stores.database, "contracts")
    after = await cache.look(home, "contracts")
    assert (after.current, reading.times) == (True, 2)
    assert before.found is not after.found


async def test_while_it_is_added_up_the_coverage_from_before_is_shown(
    home: PageHome, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CoverageCache()
    before = await cache.look(home, "contracts")
    reading.let_go.clear()
    await settle_another(home.stores.database, "contracts")
    monkeypatch.setattr(Work, "patience", 0)
    meanwhile = [await cache.look(home, "contracts") for _ in range(3)]
    assert {(one.found, one.current) for one in meanwhile} == {(before.found, False)}
    reading.let_go.set()
    monkeypatch.setattr(Work, "patience", 60)
    assert (await cache.look(home, "contracts")).current
    assert reading.times == 2


async def test_a_page_does_not_wait_for_coverage_that_takes_long(
    home: PageHome, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CoverageCache()
    reading.let_go.clear()
    monkeypatch.setattr(Work, "patience", 0)
    assert await cache.look(home, "contracts") == coverage_cache.CoverageNow(None, current=False)
    reading.let_go.set()
    monkeypatch.setattr(Work, "patience", 60)
    assert (await cache.look(home, "contracts")).found is not None
    assert reading.times == 1


async def test_a_few_runs_are_kept_and_not_too_much_of_them(home: PageHome, reading: Reading) -> None:
    for cache in (CoverageCache(most_runs=1), CoverageCache(heaviest=1)):
        reading.times = 0
        for thread in ("contracts", "hostile", "contracts"):
            await cache.look(home, thread)
        assert reading.times == 3


async def test_an_input_that_is_damaged_is_a_sentence(home: PageHome, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(*_: object) -> None:
        raise StoredDataDamaged("The input is gone.")

    monkeypatch.setattr(coverage_cache, "input_read", damaged)
    found = await CoverageCache().look(home, "contracts")
    assert (found.found, found.problem) == (None, "The input is gone.")


async def test_a_run_without_an_input_has_none(home: PageHome) -> None:
    assert (await CoverageCache().look(home, "failed")).found is None
