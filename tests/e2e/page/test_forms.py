"""Forms in a browser, with and without scripts: what is sent twice is done once, and nothing typed is lost."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from tests.e2e.program import rlm
from tests.scripts import repl, write_script

from .conftest import View

Views = Callable[[Path], Awaitable[View]]


def runs(home: Path) -> list[dict[str, Any]]:
    return json.loads(rlm(home.parent, "list", "--json", "--home", str(home)).stdout)


async def ask(page: Page, url: str, question: str, model: str) -> None:
    """Fill in the form of a new run."""
    await page.goto(url + "/new")
    await page.get_by_label("Question", exact=True).fill(question)
    await page.get_by_label("Root model", exact=True).fill(model)


async def test_a_double_click_and_the_back_button_begin_one_run(tmp_path: Path, view: Views) -> None:
    home = tmp_path / "home"
    there = await view(home)
    page = await there.open()
    await ask(page, there.server.url, "What is it?", write_script(tmp_path / "m.py", [repl("FINAL('it is')")]))
    await page.get_by_role("button", name="Ask").dblclick()
    await page.wait_for_url("**/runs/what-*")
    await expect(page.locator(".status").first).to_have_text("answered")
    await page.go_back()
    await expect(page.get_by_label("Question", exact=True)).to_have_value("What is it?")
    await expect(page.get_by_label("Root model", exact=True)).to_have_value(re.compile("scripted:"))
    await page.get_by_role("button", name="Ask").click()
    await page.wait_for_url("**/runs/what-*")
    assert len(runs(home)) == 1
    assert there.said == []


async def test_a_decision_of_one_tab_is_not_overruled_by_another(own_home: Path, view: Views) -> None:
    there = await view(own_home)
    page, other = await there.open("/runs/waits-for-code/review"), await there.open("/runs/waits-for-code/review")
    await other.get_by_label("Your words").fill("No.")
    await page.get_by_text("Go on with something else instead").click()
    await page.locator("textarea[name=edited]").fill("FINAL('edited')")
    await page.get_by_role("button", name="Go on with this").click()
    await page.wait_for_url("**/runs/waits-for-code")
    await expect(page.locator("#answer .prose")).to_have_text("edited", timeout=30_000)
    await other.get_by_role("button", name="Reject").click()
    await expect(other.get_by_role("alert")).to_contain_text("Nothing was decided")
    assert [run["status"] for run in runs(own_home) if run["thread_id"] == "waits-for-code"] == ["answered"]


async def test_another_request_does_not_come_under_the_hand_of_a_reviewer(own_home: Path, view: Views) -> None:
    there = await view(own_home)
    page, other = await there.open("/runs/waits-for-code/review"), await there.open("/runs/waits-for-code/review")
    await other.get_by_label("Your words").fill("Something else.")
    await other.get_by_role("button", name="Reject").click()
    await page.bring_to_front()
    await expect(page.locator("#connection")).to_contain_text("does not wait any more")
    # The next cell waits now; what is under the hand is still what was read.
    await other.goto(f"{there.server.url}/runs/waits-for-code/review")
    await expect(other.locator("ol.code")).to_contain_text("FINAL", timeout=30_000)
    await expect(page.locator("ol.code")).to_contain_text("llm_query_batched")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was decided")


async def test_everything_can_be_done_without_scripts(own_home: Path, view: Views, browser: Browser) -> None:
    there = await view(own_home)
    state = await there.context.storage_state()
    context = await browser.new_context(java_script_enabled=False, storage_state=state)
    page = await context.new_page()
    model = write_script(own_home.parent / "m.py", [repl("FINAL('without')")])
    await ask(page, there.server.url, "Without scripts?", model)
    await page.get_by_role("button", name="Ask").click()
    await page.wait_for_url("**/runs/without-scripts-*")
    for _ in range(100):
        if await page.get_by_text("answered").count():
            break
        await page.reload()
    await expect(page.locator("#answer .prose")).to_have_text("without")
    for address in (
        "/",
        "/runs/contracts",
        "/runs/contracts/turns/2",
        "/runs/contracts/calls",
        "/runs/contracts/steps",
    ):
        await page.goto(there.server.url + address)
        await expect(page.locator("h1")).to_be_visible()
    await page.goto(there.server.url + "/runs/tree")
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_role("button", name="Delete it").click()
    await page.wait_for_url(there.server.url + "/")
    assert "tree" not in {run["thread_id"] for run in runs(own_home)}
    await context.close()
