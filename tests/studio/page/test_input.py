"""The screen of a run's input: how much of each document models read, and those that none read first."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from durable_rlm.studio.page.coverage_cache import CoverageCache, CoverageNow
from durable_rlm.studio.page.numbers import percent
from durable_rlm.studio.page.screens import input as screen
from tests.studio.conftest import Rlm

from .conftest import Page, Screen, page_of


@pytest.fixture
async def page(read_home: Path) -> AsyncGenerator[Page]:
    async for page in page_of(read_home):
        yield page


def names(rows: list[Any]) -> list[str]:
    return [Path(row.xpath(".//code")[0].text_content()).name for row in rows]


async def test_documents_that_no_model_has_read_come_first(page: Page) -> None:
    shown = await page.get("/runs/read/input")
    first, *_ = shown.find("//main//h2")
    assert " ".join(first.text_content().split()) == "No model has read 3 of 6 documents"
    assert names(shown.find("//section[contains(@class, 'unseen')]//li"))[1:] == ["lines.txt", "long.txt"]
    assert shown.text.index("No model has read") < shown.text.index("Models read")


def test_the_page_says_what_the_command_says(read_home: Path, rlm: Rlm) -> None:
    async def asked() -> list[Screen]:
        return [await page.get("/runs/read/input") async for page in page_of(read_home)]

    said = json.loads(rlm("show", "read", "--coverage", "--json", "--home", str(read_home)).out)
    [shown] = asyncio.run(asked())
    whole, part, never = (said["documents"][name] for name in ("whole", "part", "never"))
    assert f"{whole} whole, {part} in part, {never} never" in shown.text
    assert f"Models read {percent(said['coverage'])} of 6 documents" in shown.text
    shares = [one.text for one in shown.find("//*[@id='documents']//li//span[@class='r c']")]
    assert shares == [percent(one["coverage"]) for one in said["read"]]


async def test_the_root_models_own_reading_has_its_own_words_and_colour(page: Page) -> None:
    rows = (await page.get("/runs/read/input")).find("//*[@id='documents']//li")
    words = [row.xpath(".//span[contains(@class, ' w')]")[0].text for row in rows]
    assert words == [
        *("read 2 or 3 times", "read once", "read by the root model only"),
        *("never read", "never read", "never read"),
    ]
    assert rows[2].xpath(".//*[local-name()='rect']/@class") == ["cr", "cr"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("only=unseen&sort=size", ["long.txt", "lines.txt"]),
        ("sort=name", ["alpha.txt", "beta.txt", "delta.txt", "lines.txt", "long.txt"]),
        ("sort=most-read", ["alpha.txt", "beta.txt", "delta.txt", "lines.txt", "long.txt"]),
        ("sort=read", ["lines.txt", "long.txt", "delta.txt", "beta.txt", "alpha.txt"]),
        ("sort=nonsense&only=nonsense&after=x", ["alpha.txt", "beta.txt", "delta.txt", "lines.txt", "long.txt"]),
        ("only=losses", []),
    ],
)
async def test_documents_are_chosen_and_sorted(page: Page, query: str, expected: list[str]) -> None:
    shown = await page.get(f"/runs/read/input?{query}")
    found = names(shown.find("//*[@id='documents']//li"))
    assert [name for name in found if "<" not in name] == expected


async def test_documents_come_in_pages_by_their_numbers(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "PAGE", 2)
    shown = await page.get("/runs/read/input?sort=name")
    seen = names(shown.find("//*[@id='documents']//li"))
    while following := shown.find("//*[@id='documents']//a[@rel='next']/@href"):
        shown = await page.get(following[0])
        seen += names(shown.find("//*[@id='documents']//li"))
    assert len(seen) == len(set(seen)) == 6
    [back] = shown.find("//*[@id='documents']//a[@rel='prev']/@href")
    assert names((await page.get(back)).find("//*[@id='documents']//li")) == seen[2:4]


async def test_files_that_gave_no_document_are_named_with_the_reason(page: Page) -> None:
    assert "1 file gave no document" in (await page.get("/runs/read/input")).text
    shown = await page.get("/runs/read/input?only=skipped")
    [row] = shown.find("//*[@id='documents']//li")
    assert "picture.png" in row.text_content()
    assert len(row.xpath("./span[2]")[0].text_content()) > 3


async def test_a_run_without_an_input_says_so(page: Page) -> None:
    assert "only its question" in (await page.get("/runs/bare/input")).text


async def test_while_it_is_added_up_documents_are_listed_and_the_browser_asks_again(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(*_: Any) -> CoverageNow:
        return CoverageNow(None, current=False)

    monkeypatch.setattr(CoverageCache, "look", look)
    shown = await page.get("/runs/read/input")
    assert "Adding up what" in shown.text
    assert len(shown.find("//*[@id='documents']//li")) == 6
    assert shown.headers["refresh"] == "1"
    assert "Not known yet" in (await page.get("/runs/read/input?only=unseen")).text


async def test_coverage_that_cannot_be_read_is_a_sentence_and_the_rest_is_there(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(*_: Any) -> CoverageNow:
        return CoverageNow(None, current=True, problem="The input is gone.")

    monkeypatch.setattr(CoverageCache, "look", look)
    shown = await page.get("/runs/read/input")
    assert "What models read is not known: The input is gone." in shown.text
    assert len(shown.find("//*[@id='documents']//li")) == 6


async def test_hostile_names_are_words_and_their_addresses_open(page: Page, read_home: Path) -> None:
    shown = await page.get("/runs/read/input")
    assert not shown.find("//main//b[@onclick] | //script[not(@src)] | //main//img | //*[@style]")
    [address] = {one for one in shown.find("//a[contains(@class, 'doc')]/@href") if "onclick" in unquote(one)}
    assert (await page.get(address)).status == 200


async def test_a_sub_rlm_with_a_text_of_its_own_has_read_of_the_input_at_the_top(page: Page, read_home: Path) -> None:
    with closing(sqlite3.connect(read_home / "checkpoints.sqlite")) as database:
        [[child]] = database.execute("SELECT thread_id FROM children").fetchall()
    shown = await page.get(f"/runs/{child}/input")
    assert "given a text of its own" in shown.text
    assert names(shown.find("//*[@id='documents']//li")) == ["alpha.txt", "beta.txt"]
    assert shown.find("//*[@id='documents']//a/@href")[0].startswith("/runs/top/input?document=")
    own = await page.get(shown.links["open it"])
    assert "A text that the code has made." in own.text
    assert "models read" not in own.text
