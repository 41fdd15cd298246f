"""Forms in a browser, with and without scripts: what is sent twice is done once, and nothing typed is lost."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

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
