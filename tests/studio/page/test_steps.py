"""The steps of a run in the page: a list by pages, and the state after each of them."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_rlm.studio.page.app import create_app
from durable_rlm.studio.page.home import HomeOpener, PageHome
from durable_rlm.studio.page.screens import steps as screen
from tests.damage import change

from .conftest import Page, Screen

RUNS = ["contracts", "stricter", "tree", "hostile", "out-of-budget", "failed", "waits-for-code", "waits-for-calls"]


async def home_of(page: Page) -> PageHome:
    return await page.client._transport.app.state.opener.opened()  # type: ignore[attr-defined]


def numbers(listed: Screen) -> list[int]:
    return [int(row.get("id").removeprefix("step-")) for row in listed.find("//tr[@id]")]


async def test_every_step_is_listed_with_its_kind_its_turn_and_what_to_do_with_it(page: Page) -> None:
    saved = await (await home_of(page)).queries.steps("contracts")
    listed = await page.get("/runs/contracts/steps")
    assert numbers(listed) == [one["step"] for one in saved] and len(saved) > 10
    for one in saved:
        [row] = listed.find(f"//tr[@id='step-{one['step']}']")
        words, links = row.text_content(), row.xpath(".//a/@href")
        assert one["kind"] in words and one["summary"][:60] in words
        assert f"/runs/contracts/steps/{one['step']}" in links
        assert f"/runs/contracts/steps/{one['step']}/fork" in links
        assert (f"/runs/contracts/turns/{one['turn']}" in links) == (one["turn"] > 0)
        before = f"/compare?a=contracts%40{one['step'] - 1}&b=contracts%40{one['step']}"
        assert (before in links) == (one["step"] > 1)


async def test_pages_of_steps_have_each_step_once_and_never_all_rows(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "PER_PAGE", 5)
    found: list[int] = []
    address: str | None = "/runs/contracts/steps"
    while address:
        listed = await page.get(address)
        assert 1 <= len(numbers(listed)) <= 5
        found += numbers(listed)
        [*following] = listed.find("//a[@rel='next']/@href")
        address = following[0] if following else None
    saved = [one["step"] for one in await (await home_of(page)).queries.steps("contracts")]
    assert found == saved
    last = await page.get(f"/runs/contracts/steps?from={saved[-1]}")
    [back] = last.find("//a[@rel='prev']/@href")
    assert numbers(await page.get(back)) == saved[-6:-1]
    # The first step of a page is compared with the last one of the page before it.
    assert f"a=contracts%40{saved[-2]}&b=contracts%40{saved[-1]}" in last.html.replace("&amp;", "&")


@pytest.mark.parametrize("thread", RUNS)
async def test_each_step_of_each_run_shows_the_variables_that_rlm_vars_has(page: Page, thread: str) -> None:
    queries = (await home_of(page)).queries
    for one in await queries.steps(thread):
        shown = await page.get(f"/runs/{thread}/steps/{one['step']}")
        assert shown.status == 200 and "<script>alert" not in shown.html
        known = await queries.variables(thread, (await home_of(page)).checkpoints, one["step"])
        assert sorted(shown.find("//aside/dl/div/dt/code/text()")) == sorted(known)
        [compared] = shown.find("//form[@action='/compare']/input[@name='b']/@value")
        assert compared == f"{thread}@{one['step']}"


async def test_values_are_shown_by_their_display_forms(page: Page) -> None:
    saved = await (await home_of(page)).queries.steps("contracts")
    step = max(one["step"] for one in saved if (one["kind"], one["turn"]) == ("execute_code", 4))
    shown = await page.get(f"/runs/contracts/steps/{step}")
    forms = {one.xpath("dt/code")[0].text: one for one in shown.find("//aside/dl/div")}
    words = forms["rows"].text_content()
    assert "name" in words and "one.txt" in words and "[{'name'" not in words


async def test_the_code_about_to_run_and_what_comes_next_are_said(page: Page) -> None:
    saved = await (await home_of(page)).queries.steps("contracts")
    step = next(one["step"] for one in saved if (one["kind"], one["turn"]) == ("plan", 3))
    shown = await page.get(f"/runs/contracts/steps/{step}")
    assert (
        "Code about to run" in shown.text and "1 / 0" in shown.text and "After this step the code runs." in shown.text
    )
    under_way = next(one["step"] for one in saved if (one["kind"], one["turn"]) == ("execute_code", 2))
    shown = await page.get(f"/runs/contracts/steps/{under_way}")
    assert "Code under way" in shown.text and "it waits for 2 calls" in shown.text
    shown = await page.get(f"/runs/contracts/steps/{saved[-1]['step']}")
    assert "Nothing: the run had ended." in shown.text and "Ask a follow-up question from here" in shown.links


@pytest.mark.parametrize(("thread", "said"), [("waits-for-code", "run this code"), ("waits-for-calls", "42 sub-calls")])
async def test_the_last_step_of_a_run_that_waits_says_what_is_asked_and_leads_to_the_review(
    page: Page, thread: str, said: str
) -> None:
    last = (await (await home_of(page)).queries.steps(thread))[-1]["step"]
    shown = await page.get(f"/runs/{thread}/steps/{last}")
    assert "A person is asked" in shown.text and said in shown.text
    assert shown.links["Review and decide"] == f"/runs/{thread}/review"


async def test_steps_that_there_are_not_are_not_found_and_those_there_are_are_said(page: Page) -> None:
    last = (await (await home_of(page)).queries.steps("contracts"))[-1]["step"]
    for address in ("steps/999", "steps/0", f"steps/{10**30}", "steps?from=999"):
        missing = await page.get(f"/runs/contracts/{address}")
        assert missing.status == 404 and f"It has steps 1 to {last}." in missing.text, address
    assert (await page.get("/runs/nobody/steps")).status == 404
    assert (await page.get("/runs/contracts/steps/no")).status == 404
    odd = await page.get("/runs/contracts/steps?from=-3")
    assert odd.status == 200 and numbers(odd)[0] == 1


DAMAGE = {
    "its entry": "UPDATE steps SET summary = 'forged' WHERE thread_id = 'contracts' AND step = 5",
    "its checkpoint": "UPDATE checkpoints SET metadata = '{}' WHERE thread_id = 'contracts' AND checkpoint_id = "
    "(SELECT checkpoint_id FROM steps WHERE thread_id = 'contracts' AND step = 5)",
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_step_is_shown_as_damaged_and_the_others_are_readable(
    own_page: Page, own_home: Path, damage: str
) -> None:
    change(own_home, DAMAGE[damage])
    listed = await own_page.get("/runs/contracts/steps")
    assert listed.status == 200 and "forged" not in listed.html and len(numbers(listed)) > 10
    assert ("damaged" in listed.text) == (damage == "its entry")
    shown = await own_page.get("/runs/contracts/steps/5")
    assert shown.status == 200 and "has changed" in shown.text and shown.links["the one before"].endswith("/4")
    assert (await own_page.get("/runs/contracts/steps/4")).status == 200
    # Of a damaged checkpoint, the steps whose list of turns is rebuilt from it are damaged, too.
    assert (await own_page.get("/runs/contracts/steps/6")).status == 200


async def test_a_home_that_is_only_read_offers_no_fork(saved_home: Path) -> None:
    async for page in read_only_page(saved_home):
        for address in ("/runs/contracts/steps", "/runs/contracts/steps/4"):
            shown = await page.get(address)
            assert shown.status == 200 and "/fork" not in shown.html


async def read_only_page(home: Path) -> AsyncGenerator[Page]:
    app = create_app(HomeOpener(home, reads_copy=lambda: True))
    transport: Any = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8717", trust_env=False) as client,
    ):
        yield Page(client)


async def test_a_comparison_of_two_steps_opens(page: Page) -> None:
    listed = await page.get("/runs/contracts/steps")
    [address] = listed.find("//tr[@id='step-6']//a[starts-with(@href, '/compare')]/@href")
    assert (await page.get(address)).status == 200
    missing = await page.get("/compare?a=contracts%405&b=contracts%40999")
    assert missing.status == 404
