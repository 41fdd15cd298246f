"""Every screen for everybody: what axe-core finds in both colour schemes, and what does not fit into narrow windows."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

from .conftest import View
from .screens import reached, route_of

Views = Callable[[Path], Awaitable[View]]
NARROW, TWICE_AS_LARGE, PAPER = 360, 640, 794
"""Pixels: a small telephone, a window of 1,280 pixels at 200 %, and a sheet of A4."""
CONTRAST = ["color-contrast", "link-in-text-block"]
"""The rules whose outcome depends on colours."""
ESCAPES = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !one.closest(".scroll, .skip, pre, .tabs, .bar nav");
}).slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
"""Elements that stand out on the right of the window."""
PRINTED = """() => [...document.querySelectorAll("body *")].filter((one) => {
  if (!one.checkVisibility()) return false;
  const { position, overflowY, maxHeight } = getComputedStyle(one);
  const asks = ".bar, .skip, .tabs, .filter, button, .button, nav.pages:not(.between), nav.todo";
  return one.matches(asks) || /sticky|fixed/.test(position) || /auto|scroll/.test(overflowY) && maxHeight !== "none";
}).map((one) => one.outerHTML.slice(0, 120))"""
"""Parts that are of no use on paper, and parts that are cut off there."""

SQUEEZED = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const words = [...one.childNodes].filter((part) => part.nodeType === 3).map((part) => part.data.trim()).join("");
  const { width, height } = one.getBoundingClientRect();
  return words.length > 20 && one.checkVisibility() && width < 60 && height > 3 * width;
}).slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
"""Texts in a column of a few letters."""
LONG_NAME = "contracts/facilities/of-the-northern-region/001-everline.txt"


FIRST = (
    *("/", "/?q=nothing", "/compare", "/compare?a=contracts&b=stricter", "/runs/nowhere", "/runs/contracts/stop"),
    *("/runs/contracts", "/runs/contracts/turns/2", "/runs/contracts/turns/3", "/runs/out-of-budget/resume"),
    *("/runs/hostile", "/runs/hostile/turns/1", "/runs/waits-for-code/review", "/runs/waits-for-calls/review"),
    *("/runs/waits-for-calls", "/runs/tree", "/runs/failed", "/runs/contracts/input?document=one.txt"),
    *("/runs/contracts/steps", "/runs/contracts/steps/3", "/runs/contracts/steps/6/fork"),
)


async def screens(there: View) -> list[str]:
    """Return the addresses of `FIRST`, and of a screen of every other kind."""
    return await reached(there, *FIRST, kind=route_of)


async def violations(page: Page, only: list[str] | None = None) -> list[str]:
    """Return what axe-core finds on a page, in words; `only` some of its rules."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    options |= {"runOnly": {"type": "rule", "values": only}} if only else {}
    found = await Axe().run(page, options=options)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:160]}"
        for one in found.response["violations"]
        for node in one["nodes"][:3]
    ]


async def test_axe_finds_nothing_in_light(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    found: dict[str, list[str]] = {}
    for address in await screens(there):
        await page.goto(there.server.url + address)
        found[address] = await violations(page)
    assert len(found) > 25
    assert {address: said for address, said in found.items() if said} == {}


async def test_axe_finds_nothing_in_dark(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    await page.emulate_media(color_scheme="dark")
    found: dict[str, list[str]] = {}
    for address in await screens(there):
        await page.goto(there.server.url + address)
        found[address] = await violations(page, CONTRAST)
    assert {address: said for address, said in found.items() if said} == {}


async def test_axe_would_find_something(saved_home: Path, view: Views) -> None:
    page = await (await view(saved_home)).open("/compare")
    await page.evaluate("document.querySelector('main input').removeAttribute('name')")
    await page.evaluate("document.querySelector('main label').replaceWith(document.querySelector('main input'))")
    await page.evaluate("document.querySelector('h1').style.color = '#bbb'")
    await page.evaluate(
        "for (const one of document.styleSheets[0].cssRules) if (one.selectorText === '.n') one.style.color = 'silver'"
    )
    assert {one.partition(":")[0] for one in await violations(page)} == {"label", "color-contrast"}


async def test_no_screen_is_wider_than_its_window(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await there.open()
    found: dict[tuple[str, int], Any] = {}
    for address in await screens(there):
        for width in (TWICE_AS_LARGE, NARROW):
            await page.set_viewport_size({"width": width, "height": 800})
            if width == TWICE_AS_LARGE:
                await page.goto(there.server.url + address)
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                found[address, width] = await page.evaluate(ESCAPES)
    assert found == {}


async def test_a_printed_screen_has_no_bar_and_no_forms_and_shows_what_is_folded_by_height(
    saved_home: Path, view: Views
) -> None:
    there = await view(saved_home)
    page = await there.open()
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": PAPER, "height": 1100})
    found: dict[str, list[str]] = {}
    for address in await screens(there):
        await page.goto(there.server.url + address)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert await page.locator("h1").is_visible()
        found[address] = [*await page.evaluate(PRINTED), *([f"{wide} pixels wide"] if wide > PAPER else [])]
    assert {address: said for address, said in found.items() if said} == {}


@pytest.fixture(scope="session")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose run `long` has a variable and a document with a long name, and calls."""
    folder = tmp_path_factory.mktemp("long")
    document = folder / LONG_NAME
    document.parent.mkdir(parents=True)
    document.write_text("The term is two years.\n")
    cells = [
        f"clauses = {{{LONG_NAME!r}: 'It may be ended without notice. ' * 30}}\nprint(len(clauses))",
        "answers = llm_query_batched([f'May it be ended? {text}' for text in clauses.values()])",
        "FINAL('done')",
    ]
    model = write_script(
        folder / "m.py", [repl(cell) for cell in cells], "return 'It may be ended without notice. ' * 9"
    )

    async def fill() -> None:
        async with Runner.open(folder / "home", kernels=MemoryKernels()) as runner:
            with contextlib.chdir(folder):
                await runner.run("What?", [Path(LONG_NAME)], model=model, thread="long")

    asyncio.run(fill())
    return folder / "home"


@pytest.mark.parametrize(("media", "width"), [("screen", NARROW), ("print", PAPER - 76)])
async def test_no_text_is_squeezed_into_a_column_of_letters(
    long_names: Path, view: Views, media: Literal["screen", "print"], width: int
) -> None:
    there = await view(long_names)
    page = await there.open()
    await page.emulate_media(media=media)
    await page.set_viewport_size({"width": width, "height": 800})
    found: dict[str, list[str]] = {}
    for address in await reached(there, "/", "/compare?a=long@3&b=long@8", kind=route_of):
        await page.goto(there.server.url + address)
        found[address] = await page.evaluate(SQUEEZED)
    assert {address: said for address, said in found.items() if said} == {}
