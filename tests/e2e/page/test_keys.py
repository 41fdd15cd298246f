"""The page by keyboard alone."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page, expect

from .conftest import View

Views = Callable[[Path], Awaitable[View]]


def path_of(page: Page) -> str:
    return page.url.partition("/")[2].partition("/")[2].partition("/")[2]


async def test_rows_are_reached_opened_and_left_by_keys(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    waiting, first = page.locator("section.needs a.row"), page.locator("table.runs a.main").first
    await page.keyboard.press("j")
    await expect(waiting.nth(0)).to_be_focused()
    for _ in range(2):
        await page.keyboard.press("j")
    await expect(first).to_be_focused()
    await page.keyboard.press("k")
    await expect(waiting.nth(1)).to_be_focused()
    await page.goto(there.server.url + "/?q=halves")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs/tree")


async def test_escape_leads_up_and_g_r_to_the_runs(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    [below] = [await there.open("/?under=tree")]
    await below.keyboard.press("Escape")
    await below.wait_for_url("**/runs/tree")
    page = await there.open("/?under=tree")
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await page.wait_for_url(there.server.url + "/")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(there.server.url + "/")


async def test_slash_searches_and_letters_typed_there_are_letters(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    await page.keyboard.press("/")
    search = page.locator("input[type=search]")
    await expect(search).to_be_focused()
    await page.keyboard.type("?jkgr halves")
    await expect(search).to_have_value("?jkgr halves")
    await page.keyboard.press("Escape")
    await expect(search).not_to_be_focused()
    await expect(page).to_have_url(there.server.url + "/")
    await search.fill("halves")
    await search.press("Enter")
    await page.wait_for_url("**/?q=halves")
    await expect(page.locator("a.main")).to_have_count(1)


async def test_a_question_mark_shows_the_keys_and_escape_closes_them(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open("/?under=tree")
    await page.keyboard.press("?")
    await expect(page.locator("dialog#help")).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog#help")).to_be_hidden()
    assert page.url.endswith("/?under=tree")
    assert there.said == []
