"""Hostile texts in every field of a run, in a browser: nothing runs, nothing breaks out, nothing is reported."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page

from . import hostile_home
from .conftest import View
from .screens import asked_of, fetched, reached

Views = Callable[[Path], Awaitable[View]]
LARGEST = 500_000
WATCH = "addEventListener('securitypolicyviolation', (one) => console.error(`refused: ${one.violatedDirective}`))"
STRANGE = """() => {
  const named = "script:not([src^='/static/']), style, img, iframe, object, embed, base, template, " +
    "link:not([href^='/static/']), meta[http-equiv], [style]";
  const leads = (one) => new URL(one.getAttribute("href") ?? one.getAttribute("action") ?? "", location.href);
  // Links of Markdown lead elsewhere once they are clicked, and say nothing of this page there.
  const known = ".prose a[rel='noreferrer noopener'][href^='http']";
  return [...document.querySelectorAll("*")].filter((one) => one.matches(named)
    || [...one.attributes].some(({ name }) => /^(on|xlink|srcdoc|formaction)/.test(name))
    || one.matches("a[href], form") && leads(one).origin !== origin && !one.matches(known)
  ).map((one) => one.outerHTML.slice(0, 200));
}"""
"""Elements and attributes that no template makes."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_home.make_home(tmp_path_factory.mktemp("hostile"))


async def watched(there: View) -> Page:
    """Return a tab that notes what runs in it, and what its policy has refused."""
    await there.context.add_init_script(WATCH)
    page = await there.open()
    page.on("dialog", lambda dialog: there.said.append(f"dialog: {dialog.message}"))
    page.on("request", lambda one: None if one.url.startswith(there.server.url) else there.said.append(one.url))
    return page


async def complaints(there: View, page: Page, address: str) -> list[Any]:
    """Return what is wrong with a screen."""
    said = len(there.said)
    response = await page.goto(there.server.url + address)
    assert response is not None
    size = len(await response.body())
    found = [*await page.evaluate(STRANGE), *there.said[said:]]
    found += [f"status {response.status}"] if response.status != 200 else []
    found += [f"{size:,} bytes"] if size > LARGEST else []
    return [(address[:120], one) for one in found]


async def test_every_screen_of_hostile_runs_is_whole_and_quiet(hostile: Path, view: Views) -> None:
    there = await view(hostile)
    page = await watched(there)
    first = [f"/runs/{name}" for name in ("evil", "evil/turns/2", "evil/turns/4", quote(hostile_home.NAME, safe=""))]
    waiting = [f"/runs/{name}/review" for name in ("code", "calls", "final")]
    addresses = await reached(there, "/", *first, *waiting, "/compare?a=evil&b=code", kind=asked_of)
    assert len(addresses) > 25
    assert [one for address in addresses for one in await complaints(there, page, address)] == []


async def test_texts_by_themselves_are_sent_as_plain_text(hostile: Path, view: Views) -> None:
    there = await view(hostile)
    for path in ("answer", "turns/1/output", "turns/1/reply", "turns/1/told/1"):
        response = await fetched(there, f"/runs/evil/{path}")
        assert (response.status, response.headers["content-type"]) == (200, "text/plain; charset=utf-8"), path
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_rows_that_something_else_has_written_over_are_no_markup_either(
    hostile: Path, tmp_path: Path, view: Views
) -> None:
    home = hostile_home.copy_spoilt(hostile, tmp_path / "home")
    there = await view(home)
    page = await watched(there)
    addresses = ["/", "/runs/evil", "/runs/evil/turns/1", "/runs/evil/calls", "/runs/evil/input", "/runs/code/review"]
    found = [one for address in addresses for one in await complaints(there, page, address)]
    assert [
        one for one in found if not str(one[1]).startswith(("status", "Failed to load resource: the server responded"))
    ] == []


async def test_a_script_that_runs_or_is_refused_would_be_noticed(saved_home: Path, view: Views) -> None:
    there = await view(saved_home)
    page = await watched(there)
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:1/x'}))"
    )
    await page.wait_for_function("true")
    assert len(await page.evaluate(STRANGE)) == 1
    assert "refused: img-src" in there.said
