"""The list of runs: what it says of each, how it is filtered and paged, and how it begins."""

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.graph.call_searching import CallSearch
from durable_rlm.state.db.connection import connect
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.home_access import DATABASE
from durable_rlm.state.leases import this_process
from durable_rlm.state.usage import Spending, UsageTotals

from .conftest import Page, Screen, page_of
from .many_runs import add_runs


def changed(home: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    with closing(connect(home / DATABASE)) as base:
        for sql, values in statements:
            base.execute(sql, values)


def rows(screen: Screen) -> dict[str, str]:
    """Return the rows of the table by the run that they lead to, as their words."""
    found = {
        row.xpath(".//a[@class='main']/@href")[0]: row for row in screen.find("//table[@class='runs']/tbody/tr[td/a]")
    }
    return {href.rpartition("/")[2]: " ".join(row.text_content().split()) for href, row in found.items()}


async def test_a_row_has_the_question_the_first_line_of_the_answer_status_sums_and_time(page: Page) -> None:
    row = rows(await page.get("/"))["tree"]
    assert row.startswith('Two halves? tree · ["[\\"no\\", \\"no\\"]", "[\\"no\\", \\"no\\"]"] 2 sub-RLMs answered 2 ')
    assert row.endswith("UTC")


async def test_sub_rlms_are_counted_at_their_run_and_listed_on_a_page_of_their_own(page: Page) -> None:
    screen = await page.get("/")
    below = await page.get(screen.links["2 sub-RLMs"])
    assert len(rows(below)) == 2 and not set(rows(below)) & set(rows(screen))
    assert below.links["tree"] == "/runs/tree"


async def test_a_fork_stands_below_its_origin_and_leads_to_what_differs(page: Page) -> None:
    screen = await page.get("/")
    names = [*rows(screen)]
    assert names[names.index("contracts") + 1] == "stricter"
    [fork] = screen.find("//tr[@class='fork']")
    assert fork.xpath(".//a[@class='flag']/@href") == ["/compare?a=contracts&b=stricter"]


async def test_runs_that_wait_for_a_person_come_first_and_lead_to_their_reviews(page: Page) -> None:
    screen = await page.get("/")
    assert screen.find("//h2[@id='needs-you']/span")[0].text == "2"
    assert screen.find("//section[@class='needs']//a/@href") == [
        "/runs/waits-for-calls/review",
        "/runs/waits-for-code/review",
    ]


def run_by_this_process(home: Path) -> None:
    """Have `tree` run by this process."""
    changed(
        home,
        ("UPDATE threads SET status = 'running' WHERE thread_id = 'tree'", ()),
        ("UPDATE executions SET ended = NULL, outcome = NULL WHERE thread_id = 'tree'", ()),
        (
            "INSERT OR REPLACE INTO leases (thread_id, token, owner, renewed) VALUES ('tree', 9, ?, 0)",
            (json.dumps(this_process()),),
        ),
    )


async def test_a_running_run_whose_calls_cannot_be_read_is_listed_among_the_others(
    own_home: Path, own_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_by_this_process(own_home)

    async def damaged(self: Spending, names: str | list[str]) -> dict[str, UsageTotals]:
        if "tree" in names:
            raise StoredDataDamaged("A page is damaged.")
        return {}

    for name in ("by", "of"):
        monkeypatch.setattr(Spending, name, damaged)
    screen = await own_page.get("/")
    assert screen.status == 200
    assert screen.find("//section[@class='running']//a/@href") == ["/runs/tree"]
    assert "damaged" in rows(screen)["tree"] and "failed" in rows(screen)["failed"]


async def test_a_running_run_says_how_far_it_is_and_what_it_may_take(own_home: Path, own_page: Page) -> None:
    run_by_this_process(own_home)
    changed(
        own_home,
        (
            "UPDATE calls SET status = 'asked', uncertain_calls = 1, uncertain_cost = 0.25 "
            "WHERE thread_id = 'tree' AND kind = 'root' AND turn = 2",
            (),
        ),
    )
    screen = await own_page.get("/")
    [running] = screen.find("//section[@class='running']//a")
    text = " ".join(running.text_content().split())
    assert "turn 2 of 30" in text and " of 2,000 model calls" in text and "$0.2500 held for 1 in flight" in text
    assert running.xpath(".//span[@data-since and @data-before]")
    assert "running" in rows(screen)["tree"]
    # A process that is not there any more runs nothing.
    changed(
        own_home,
        ("UPDATE leases SET owner = ? WHERE thread_id = 'tree'", (json.dumps({**this_process(), "ticks": 1}),)),
    )
    screen = await own_page.get("/")
    assert not screen.find("//section[@class='running']") and "stopped" in rows(screen)["tree"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=paused", {"waits-for-code", "waits-for-calls"}),
        ("status=budget", {"out-of-budget"}),
        ("status=busy", set()),
        ("q=HALVES", {"tree"}),
        ("q=waits-for", {"waits-for-code", "waits-for-calls"}),
        ("q=may+code", {"waits-for-code"}),
        ("q=100%25", set()),
        ("q=may&status=answered", {"contracts", "stricter"}),
        ("q=can+be+ended", {"contracts", "stricter"}),
        ("q=AGREEMENT&status=answered", {"contracts", "stricter"}),
        ("q=agreement&status=failed", set()),
        ("q=%25", {"hostile"}),
    ],
)
async def test_runs_are_found_by_status_and_by_words_of_question_name_and_answer(
    page: Page, query: str, names: set[str]
) -> None:
    assert set(rows(await page.get(f"/?{query}"))) == names


async def test_a_list_by_words_says_that_answers_are_still_being_read_and_is_asked_for_again(
    own_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(self: CallSearch, seconds: float | None = None) -> bool:
        return False

    monkeypatch.setattr(CallSearch, "fill", fill)
    screen = await own_page.get("/?q=agreement")
    assert "Answers are still being read" in screen.text and screen.headers["refresh"] == "1"
    monkeypatch.undo()
    screen = await own_page.get("/?q=agreement")
    assert "still being read" not in screen.text and "refresh" not in screen.headers


@pytest.fixture(scope="module")
def many(saved_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Path(shutil.copytree(saved_home, tmp_path_factory.mktemp("many") / "home"))
    add_runs(home, 130, sub_rlms=60)
    return home


@pytest.fixture
async def long_page(many: Path) -> AsyncGenerator[Page]:
    async for page in page_of(many):
        yield page


async def walk(page: Page, address: str, rel: str) -> list[list[str]]:
    """Return the names on each page from an address on."""
    found: list[list[str]] = []
    while True:
        screen = await page.get(address)
        found.append([*rows(screen)])
        further = screen.find(f"//a[@rel='{rel}']/@href")
        if not further:
            return found
        [address] = further


async def test_every_run_is_on_one_page_and_both_ways_lead_through_the_same_pages(long_page: Page) -> None:
    there = await walk(long_page, "/", "next")
    assert [len(names) for names in there] == [50, 50, 38]
    assert len({name for names in there for name in names}) == 138
    last = "/?after=" + (await long_page.get("/?status=")).find("//a[@rel='next']/@href")[0].partition("after=")[2]
    back = await walk(long_page, last, "prev")
    assert back == there[1::-1]


async def test_runs_of_the_same_moment_are_neither_lost_nor_shown_twice(many: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(many, tmp_path / "home"))
    changed(home, ("UPDATE threads SET updated = 5.0", ()))
    async for page in page_of(home):
        names = [name for names in await walk(page, "/?status=stopped", "next") for name in names]
        assert len(names) == len(set(names)) == 32
        assert len([name for names in await walk(page, "/", "next") for name in names]) == 138


async def test_sub_rlms_are_paged(long_page: Page) -> None:
    assert [len(names) for names in await walk(long_page, "/?under=copy-00129", "next")] == [50, 10]


async def test_a_page_of_many_runs_is_small(long_page: Page) -> None:
    assert len((await long_page.get("/")).html.encode()) < 100_000


@pytest.mark.parametrize(
    "query", ["after=x", "after=nan,a", "before=inf,b", "after=1e999,c", "status=%00", "q=%ff%00", "under=nobody"]
)
async def test_a_strange_address_is_answered_in_words(page: Page, query: str) -> None:
    assert (await page.get(f"/?{query}")).status in (200, 404)


async def test_hostile_texts_of_runs_stay_texts(page: Page) -> None:
    screen = await page.get("/")
    [row] = screen.find("//tr[.//a[@href='/runs/hostile']]")
    assert {one.tag for one in row.iter()} <= {"tr", "td", "a", "span", "time"}
    assert {name for one in row.iter() for name in one.attrib} <= {"class", "href", "title", "datetime"}
    assert "<script>alert(1)</script>" in row.text_content()
    assert "\u202e" not in screen.html and "\\u202e" in screen.text


async def test_a_run_whose_row_is_damaged_is_shown_as_damaged_among_the_others(own_home: Path, own_page: Page) -> None:
    changed(
        own_home, ("DROP TRIGGER threads_updated", ()), ("UPDATE threads SET turns = 'x' WHERE thread_id = 'tree'", ())
    )
    found = rows(await own_page.get("/"))
    assert "damaged" in found["tree"] and "answered" not in found["tree"] and "failed" in found["failed"]


async def test_a_home_without_runs_says_what_this_is_and_how_to_begin(tmp_path: Path) -> None:
    async for page in page_of(tmp_path / "nothing"):
        screen = await page.get("/")
        assert screen.status == 200 and "No run is saved in" in screen.text
        assert screen.find("//main//a/@href") == ["/new"]
        assert "rlm demo" in screen.text
        # It is followed, so that the first run appears.
        assert screen.find("//body[@data-events='/events'][@data-run=''][@data-mark='gone']")
    assert not (tmp_path / "nothing").exists()
