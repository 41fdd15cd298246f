"""The page in a browser while runs go on: what is new is there by itself, and the reader is not disturbed."""

import json
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.async_api import Browser, Page, Route, expect

from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE
from durable_rlm.state.leases import this_process

from .conftest import View, started

Views = Callable[[Path], Awaitable[View]]


def saved(home: Path, sql: str, *values: Any) -> None:
    """Save something as another process does."""
    with closing(connect(home / DATABASE)) as base:
        base.execute(sql, values)


@pytest.fixture(scope="module")
def live_home(saved_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the saved home that the tests of this module change one after another."""
    return Path(shutil.copytree(saved_home, tmp_path_factory.mktemp("live") / "home"))


def answered(home: Path, name: str, turns: int) -> None:
    saved(home, "UPDATE threads SET turns = ?, updated = ? WHERE thread_id = ?", turns, time.time(), name)


def turns(page: Page, name: str) -> Any:
    return page.locator(f"tr:has(a.main[href='/runs/{name}']) td:nth-child(3)")


async def test_a_save_of_another_process_is_shown_by_itself(live_home: Path, view: Views) -> None:
    there = await view(live_home)
    page = await there.open()
    answered(live_home, "failed", 77)
    await expect(turns(page, "failed")).to_have_text("77")
    await expect(page.locator("table.runs a.main").first).to_have_text("Why?")
    assert there.said == []


async def test_eight_tabs_are_live_over_one_connection(live_home: Path, view: Views) -> None:
    there = await view(live_home)
    pages = [await there.open() for _ in range(8)]
    answered(live_home, "failed", 78)
    for page in pages:
        await page.bring_to_front()
        await expect(turns(page, "failed")).to_have_text("78")
    port = int(there.server.url.rpartition(":")[2])
    connections = psutil.Process(there.server.process.pid).net_connections("tcp")
    assert len([one for one in connections if one.status == "ESTABLISHED" and one.laddr.port == port]) <= 6
    assert there.said == []


async def test_focus_and_scrolling_stay_while_rows_come_before_them(live_home: Path, view: Views) -> None:
    answered(live_home, "out-of-budget", 90)
    page = await (await view(live_home)).open()
    row = page.locator("a.main[href='/runs/out-of-budget']")
    await row.focus()
    # First another row comes before it, then it comes before that itself.
    for number, name in ((91, "failed"), (92, "out-of-budget")):
        answered(live_home, name, number)
        await expect(turns(page, name)).to_have_text(str(number))
        await expect(page.locator("table.runs a.main").first).to_have_attribute("href", f"/runs/{name}")
        await expect(row).to_be_focused()


async def test_a_selection_stays_until_it_is_let_go(live_home: Path, view: Views) -> None:
    page = await (await view(live_home)).open()
    await page.locator("a.main[href='/runs/failed']").select_text()
    answered(live_home, "failed", 5)
    await expect(page.locator("html")).to_have_attribute("data-fresh", re.compile("."))
    await expect(turns(page, "failed")).not_to_have_text("5")
    await page.evaluate("getSelection().removeAllRanges()")
    await expect(turns(page, "failed")).to_have_text("5")


async def test_a_hidden_tab_is_fetched_again_when_it_is_looked_at(live_home: Path, view: Views) -> None:
    page = await (await view(live_home)).open()
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});\
            document.dispatchEvent(new Event('visibilitychange', {bubbles: true})) }"
    await page.evaluate(hide, True)
    shown = await (await view(live_home)).open()
    answered(live_home, "failed", 7)
    await expect(turns(shown, "failed")).to_have_text("7")
    await expect(turns(page, "failed")).not_to_have_text("7")
    await page.evaluate(hide, False)
    await expect(turns(page, "failed")).to_have_text("7")


async def test_a_killed_run_is_stopped_on_the_page_although_nothing_is_saved(live_home: Path, view: Views) -> None:
    holder = psutil.Popen(["sleep", "1000"])
    try:
        started = psutil.Process(holder.pid)
        ticks = int(Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[19])
        owner = {**this_process(), "pid": holder.pid, "started": started.create_time(), "ticks": ticks}
        saved(live_home, "UPDATE threads SET status = 'running' WHERE thread_id = 'failed'")
        saved(
            live_home,
            "INSERT OR REPLACE INTO leases (thread_id, token, owner, renewed) VALUES ('failed', 9, ?, ?)",
            *(json.dumps(owner), time.time()),
        )
        page = await (await view(live_home)).open()
        await expect(page.locator("section.running a.row")).to_have_count(1)
    finally:
        holder.kill()
        holder.wait()
    await expect(page.locator("section.running")).to_have_count(0)
    await expect(page.locator("tr:has(a.main[href='/runs/failed']) .status")).to_have_text("stopped")


async def test_a_server_that_does_not_answer_is_asked_again_now_and_then(live_home: Path, view: Views) -> None:
    page = await (await view(live_home)).open()

    async def lost(route: Route) -> None:
        await (route.abort() if route.request.resource_type == "fetch" else route.continue_())

    await page.route("**/*", lost)
    async with page.expect_event("requestfailed"):
        answered(live_home, "failed", 81)
    began = time.monotonic()
    async with page.expect_event("requestfailed"):
        await expect(page.locator("#connection")).to_contain_text("does not answer")
    assert time.monotonic() - began > 1.5
    await page.unroute("**/*")
    await expect(turns(page, "failed")).to_have_text("81")


async def test_the_first_run_of_a_home_appears(saved_home: Path, tmp_path: Path, view: Views) -> None:
    home = tmp_path / "later"
    page = await (await view(home)).open()
    await expect(page.locator("h1")).to_have_text("Ask a question over more than a model can read")
    # A copy is made beside it, so that it appears whole.
    shutil.copytree(saved_home, tmp_path / "copy")
    (tmp_path / "copy").rename(home)
    await expect(page.locator("a.main[href='/runs/tree']")).to_have_count(1)


async def test_a_restarted_server_is_found_again_and_catches_up(own_home: Path, browser: Browser) -> None:
    token = "0123456789abcdef0123456789abcdef"
    context = await browser.new_context()
    page = await context.new_page()
    with started(own_home, RLM_SERVER_TOKEN=token) as server:
        await page.goto(f"{server.url}/?token={token}")
        await expect(turns(page, "failed")).to_have_text("0")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 130
        await expect(page.locator("#connection")).to_contain_text("does not answer")
    answered(own_home, "failed", 9)
    with started(own_home, port=int(server.url.rpartition(":")[2]), RLM_SERVER_TOKEN=token):
        await expect(turns(page, "failed")).to_have_text("9", timeout=20_000)
        await expect(page.locator("#connection")).to_be_hidden()
    await context.close()


async def test_times_are_those_of_the_viewer_and_what_runs_is_counted_on(live_home: Path, view: Views) -> None:
    page = await (await view(live_home)).open()
    time_of = page.locator("tr:has(a.main[href='/runs/tree']) time")
    assert "ago" in (await time_of.text_content() or "")
    assert await time_of.get_attribute("title")
