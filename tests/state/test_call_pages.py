"""Pages of a run's calls: in any order, in both directions, filtered, and past damage."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.call_counts import calls_counted
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_pages import ORDERS, Asking, CallFilter, CallPages, Order
from durable_rlm.state.call_records import CUT, Entry, Outcome
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.lineage import Child, enter_child
from durable_rlm.state.reservations import Reservation
from tests.damage import change, leaves, spoil_page

CALLS = 23


@pytest.fixture
async def pages(database: Database) -> CallPages:
    """Return the pages of the run `t`: a root request, and 23 sub-calls of 3 turns of which each third failed."""
    journal = await Journal(database, clock=iter(range(1000, 2000)).__next__).of("t")
    root = Entry("1:root:x", "root", 1, 0, "big", "hash", Reservation(1, 1, 0.0))
    await journal.open(root)
    await journal.settle(root, Outcome(answer="h", input_tokens=7, output_tokens=7, cost=0.5))
    for number in range(CALLS):
        turn, model = 1 + number % 3, "big" if number % 5 == 0 else "small"
        entry = Entry(
            f"{turn}:{number}:1",
            "llm",
            turn,
            0,
            model,
            "hash",
            Reservation(10, 5, 0.5),
            line=number % 2 + 1,
            queued=990,
        )
        await journal.open(entry)
        took: dict[str, Any] = {
            "input_tokens": number % 4,
            "output_tokens": 1,
            "cost": number % 7 / 4,
            "seconds": number % 3 + 0.5,
        }
        if number % 3 == 2:
            await journal.settle(entry, Outcome(error_kind="timeout", error="slow", **took))
        elif number < CALLS - 1:
            await journal.settle(entry, Outcome(answer="h", error_kind=CUT if number == 3 else None, **took))
    return CallPages(database)


async def walked(pages: CallPages, asking: Asking, *, back: bool = False) -> list[str]:
    """Return the keys of all pages, one after the other, or from the last one back to the first."""
    keys: list[str] = []
    page = await pages.page("t", replace(asking, last=back))
    while True:
        found = [row.key for row in page.rows]
        assert 0 < len(found) <= asking.most
        keys = found + keys if back else keys + found
        place = page.before if back else page.after
        if place is None:
            return keys
        page = await pages.page("t", replace(asking, before=place) if back else replace(asking, after=place))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("most", [1, 4, 23, 50])
async def test_pages_of_any_size_have_every_call_once_in_either_direction(
    pages: CallPages, order: Order, most: int
) -> None:
    whole = [row.key for row in (await pages.page("t", Asking(order=order, most=1000))).rows]
    assert len(whole) == CALLS
    assert await walked(pages, Asking(order=order, most=most)) == whole
    assert await walked(pages, Asking(order=order, most=most), back=True) == whole


@pytest.mark.parametrize(
    ("order", "largest"),
    [("tokens", attrgetter("tokens")), ("cost", attrgetter("cost")), ("time", attrgetter("seconds"))],
)
async def test_the_largest_come_first_and_equal_ones_as_they_were_made(
    pages: CallPages, order: Order, largest: "attrgetter[float]"
) -> None:
    rows = (await pages.page("t", Asking(order=order, most=1000))).rows
    assert rows == sorted(rows, key=lambda row: (-largest(row), row.seq))


async def test_calls_are_chosen_by_turn_line_model_and_outcome(pages: CallPages) -> None:
    for chosen, count in (
        (CallFilter(turn=2), 8),
        (CallFilter(turn=2, line=1), 4),
        (CallFilter(model="big"), 5),
        (CallFilter(state="failed"), 7),
        (CallFilter(state="cut"), 1),
        (CallFilter(state="asked"), 1),
        (CallFilter(kind="root"), 1),
        (CallFilter(kind="rlm"), 0),
        (CallFilter(turn=9), 0),
    ):
        page = await pages.page("t", Asking(chosen, most=100))
        assert len(page.rows) == count == await pages.count("t", chosen), chosen
    assert (await pages.page("other", Asking())).rows == []


async def test_the_counts_are_those_of_the_filters(pages: CallPages, database: Database) -> None:
    counts = await calls_counted(database, "t")
    assert (counts.calls, counts.root, counts.models) == (CALLS, 1, {"big": 5, "small": 18})
    assert counts.states == {"asked": 1, "answered": 15, "failed": 7, "cut": 1, "reused": 0}


async def test_a_call_costs_what_its_sub_rlm_took(pages: CallPages, database: Database) -> None:
    entry = Entry("2:child:1", "rlm", 2, 0, "m", "hash", line=4)
    child = Child("child", "t", entry.key, 1)
    await (await Journal(database).of("t")).open_child(entry, "child", lambda c: enter_child(c, child))
    below = await Journal(database).of("child")
    await below.open(entry)
    await below.settle(entry, Outcome(answer="h", input_tokens=500, output_tokens=5, cost=9.0))
    orders: tuple[Order, ...] = ("cost", "tokens")
    for order in orders:
        page = await pages.page("t", Asking(order=order, most=3))
        assert page.rows[0].key == entry.key
        assert page.below["child"] == (500, 5, 9.0)


async def test_a_damaged_row_is_shown_as_damaged_in_its_place(pages: CallPages, tmp_path: Path) -> None:
    change(tmp_path, "UPDATE calls SET answer = 'other' WHERE key = '1:3:1'")
    page = await pages.page("t", Asking(most=100))
    assert [row.key for row in page.rows if row.damage] == ["1:3:1"]
    assert len(page.rows) == CALLS


async def test_pages_go_past_a_part_of_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "checkpoints.sqlite") as database:
        journal = await Journal(database).of("t")
        for number in range(200):
            await journal.decide(
                Entry(f"1:{number:04}:1", "llm", 1, 0, "m", "hash" * 40, line=1), Outcome(error=f"{number}" * 20)
            )
    spoil_page(tmp_path, leaves(tmp_path, "calls")[3])
    async with Database.open(tmp_path / "checkpoints.sqlite") as database:
        pages = CallPages(database)
        whole = (await pages.page("t", Asking(most=1000))).rows
        assert [row.key for row in whole] == [f"1:{number:04}:1" for number in range(200)]
        assert 0 < sum(row.damage is not None for row in whole) < 50
        assert await walked(pages, Asking(most=7)) == [row.key for row in whole]
        assert await walked(pages, Asking(most=7), back=True) == [row.key for row in whole]
        assert len(await walked(pages, Asking(most=7, order="cost"))) == 200
