"""One run from its question to a comparison of two of its ends, in a browser, with real kernels and a model server."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.program import CLEAN, RLM, rlm
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer

from .conftest import View

Views = Callable[[Path], Awaitable[View]]
SEEN = """() => new MutationObserver(() => {
  if (document.querySelector("#head .status").textContent === "needs you") window.seen ??= Date.now();
}).observe(document.getElementById("head"), { subtree: true, childList: true, characterData: true })"""
"""Notes when the page has said that the run needs a person."""
PATIENCE = 30_000
"""Milliseconds that a process of the program may take to do something on a busy machine."""
ASKING = "items = ['a', 'b']\nanswers = llm_query_batched([f'read {one}' for one in items])\nprint(answers)"
CELLS = (
    repl(ASKING),
    repl("FINAL(', '.join(map(str, answers)))"),
)


class Models:
    """A server of models that answers the two cells in order; its sub-calls to read `c` wait to be released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def root(self, messages: list[dict[str, str]]) -> str:
        return CELLS[sum(message["role"] == "assistant" for message in messages)]

    async def sub(self, prompt: str) -> str:
        if prompt == "read c":
            self.loop = asyncio.get_running_loop()
            await self.released.wait()
        return f"{prompt[-1]}!"

    def release(self) -> None:
        assert self.loop
        self.loop.call_soon_threadsafe(self.released.set)


def about(home: Path, *words: str) -> Any:
    return json.loads(rlm(home.parent, *words, "--json", "--home", str(home)).stdout)


def holder(home: Path, thread: str) -> int:
    with closing(sqlite3.connect(home / "checkpoints.sqlite")) as base:
        [[owner]] = base.execute("SELECT owner FROM leases WHERE thread_id = ?", (thread,))
    return int(json.loads(owner)["pid"])


async def stands(page: Page, status: str) -> None:
    await expect(page.locator("#head .status")).to_have_text(status, timeout=PATIENCE)


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click(timeout=PATIENCE)


async def test_a_run_is_watched_decided_killed_resumed_forked_and_compared(
    tmp_path: Path, view: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    home, models = tmp_path / "home", Models()
    there = await view(home)
    # It is open before there is a home.
    page = await there.open()
    with ScriptedServer(root=models.root, sub=models.sub) as server:
        words = ["run", "What do they say?", "--model", "openai:root", "--sub-model", "openai:sub"]
        words += ["--base-url", server.base_url, "--approve", "code", "--thread", "first", "--home", str(home)]
        started = await asyncio.to_thread(
            subprocess.run, [str(RLM), *words], cwd=tmp_path, env=CLEAN | {"OPENAI_API_KEY": "sk-none"}, check=False
        )
        assert started.returncode == 3
        await edited_killed_and_resumed(page, home, models)
        assert server.asked == {"read a": 1, "read b": 1, "read c": 2}
        await forked(page)
    verdict = "The first turn is the same; after that a person has set variables otherwise."
    await expect(page.locator("p.verdict")).to_have_text(verdict)
    await says_what_the_program_says(page, home, there.server.url)
    assert there.said == []


async def edited_killed_and_resumed(page: Page, home: Path, models: Models) -> None:
    await page.locator("section.needs a.row").click(timeout=PATIENCE)
    await expect(page.locator("ol.code")).to_contain_text("read {one}")
    await page.get_by_text("Go on with something else instead").click()
    await page.locator("textarea[name=edited]").fill(ASKING.replace("'b'", "'b', 'c'"))
    await press(page, "Go on with this")
    await expect(page.locator(".doing")).to_contain_text("2 of 3 calls answered", timeout=PATIENCE)
    await page.reload()
    await stands(page, "running")

    os.kill(holder(home, "first"), signal.SIGKILL)
    await stands(page, "stopped")
    await page.get_by_role("link", name="Resume").click()
    await press(page, "Resume")
    await expect(page.locator(".doing")).to_contain_text("2 of 3 calls answered", timeout=PATIENCE)
    await page.evaluate(SEEN)
    models.release()
    await stands(page, "needs you")
    saved = datetime.fromisoformat(about(home, "show", "first")["updated"]).timestamp()
    assert await page.evaluate("seen") / 1000 - saved < 5, "an event was late on the page"
    await approved(page)
    await expect(page.locator("#answer .prose")).to_have_text("a!, b!, c!")


async def forked(page: Page) -> None:
    await page.get_by_role("link", name="Steps").click()
    after_the_cell = page.locator("tr", has_text="execute_code").filter(has_text="turn 1").last
    await after_the_cell.get_by_text("go on from here").click()
    await page.get_by_label("Name of variable 1").fill("answers")
    await page.get_by_label("Value of variable 1, as JSON").fill('["z?"]')
    await page.get_by_label("Name of the fork").fill("second")
    await press(page, "Go on")
    await stands(page, "needs you")
    await approved(page)
    await expect(page.locator("#answer .prose")).to_have_text("z?")
    await page.get_by_role("link", name="compare").click()


async def approved(page: Page) -> None:
    await page.locator("a.needs.row").first.click()
    await press(page, "Approve")
    await stands(page, "answered")


async def says_what_the_program_says(page: Page, home: Path, url: str) -> None:
    runs = {run["thread_id"]: run for run in about(home, "list")}
    last = {name: len(about(home, "steps", name)) for name in ("first", "second")}
    difference = about(home, "diff", "first", str(last["first"]), f"second@{last['second']}")
    rows = await page.locator("table.sides tr").all_inner_texts()
    words = [row.split() for row in rows]
    assert ["Model", "calls", str(runs["first"]["model_calls"]), str(runs["second"]["model_calls"])] in words
    assert [one["name"] for one in difference["edits"]] == ["answers"]
    assert difference["answer"] == {"from": "a!, b!, c!", "to": "z?"}
    for name, run in runs.items():
        shown = about(home, "show", name)
        await page.goto(f"{url}/runs/{name}")
        facts = (await page.locator("#head .facts").first.inner_text()).split()
        assert [run["status"], str(run["turns"]), str(run["model_calls"])] == [facts[0], facts[1], facts[3]]
        assert (run["turns"], shown["answer"]) == (
            len(shown["turns"]),
            await page.locator("#answer .prose").inner_text(),
        )
