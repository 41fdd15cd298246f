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


FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  if (one === document.body) return null;
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const [x, y] = [box.left + Math.min(box.width, 20) / 2, box.top + Math.min(box.height, 20) / 2];
  const top = document.elementFromPoint(x, y);
  const shown = top && (one.contains(top) || top.contains(one));
  return outlined && shown ? "" : `${outlined} ${[box.left, box.top, box.bottom]} ${one.outerHTML.slice(0, 150)}`;
}"""
"""None when nothing has the focus; else the element that has it, when nobody can see that."""


async def tabbed_to(page: Page, words: str) -> None:
    """Press the tabulator until a link, a button or a field with these words has the focus."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == words:
            return
    raise AssertionError(f"the tabulator does not lead to {words}")


async def test_every_screen_is_reached_from_the_runs_by_keys_alone(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open("/?q=contracts+ended")
    press = page.keyboard.press

    async def arrived(pattern: str) -> None:
        await page.wait_for_url(f"**{pattern}", wait_until="domcontentloaded")
        await page.wait_for_function("document.readyState === 'complete'")

    async def opened(rows: int, pattern: str) -> None:
        for _ in range(rows):
            await press("j")
        await press("Enter")
        await arrived(pattern)

    await opened(1, "/runs/*")
    await page.goto(there.server.url + "/runs/contracts")
    await opened(2, "/runs/contracts/turns/2")
    await press("n")
    await arrived("/turns/3")
    await press("p")
    await arrived("/turns/2")
    await press("Escape")
    await arrived("/runs/contracts")
    for tab, pattern in (("Calls", "/calls/*"), ("Input", "/input?document=*"), ("Steps", "/steps/*")):
        await tabbed_to(page, tab)
        await press("Enter")
        await arrived(f"/{tab.lower()}")
        await opened(1, pattern)
        await press("Escape")
        await arrived(f"/{tab.lower()}*")
        await press("Escape")
        await arrived("/runs/contracts")
    for words, pattern in (("Ask a follow-up question", "/ask"), ("Delete", "/delete")):
        await tabbed_to(page, words)
        await press("Enter")
        await arrived(pattern)
        await press("Escape")
        await arrived("/runs/contracts")
    await press("g")
    await press("r")
    await arrived("/")
    await opened(2, "/runs/waits-for-*/review")
    await press("g")
    await press("r")
    await arrived("/")
    await tabbed_to(page, "New run")
    await press("Enter")
    await arrived("/new")
    assert there.said == []


async def test_whatever_has_the_focus_is_seen_to_have_it(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    unseen: list[tuple[str, str]] = []
    for address in (
        *("/", "/runs/contracts", "/runs/contracts/turns/2", "/runs/contracts/calls", "/runs/contracts/input"),
        *("/runs/contracts/input?document=one.txt", "/runs/contracts/steps", "/runs/waits-for-calls/review", "/new"),
        *("/runs/contracts/steps/6/fork", "/compare?a=contracts&b=stricter"),
    ):
        await page.goto(there.server.url + address)
        for _ in range(60):
            await page.keyboard.press("Tab")
            said = await page.evaluate(FOCUSED)
            if said is None:
                break
            if said:
                unseen.append((address, said))
    assert unseen == []
