"""A document on the page: its lines with what models read of them, citations, requests, and a search in it."""

import asyncio
import json
import re
import shutil
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from durable_rlm.nodes.input.document_lines import CountedLines
from durable_rlm.studio.page import document_view, open_documents
from durable_rlm.studio.page.background import Work
from durable_rlm.studio.page.open_documents import PackCheck
from tests.studio.conftest import Rlm

from .conftest import Page, Screen, page_of
from .read_runs import EVIL, LONG, TEXTS, TRUE, name_of
from .saved_runs import HOSTILE


@pytest.fixture
async def page(read_home: Path) -> AsyncGenerator[Page]:
    async for page in page_of(read_home):
        yield page


class Document:
    """One document of the run `read`."""

    def __init__(self, page: Page, home: Path, name: str) -> None:
        self._page, self.name = page, name_of(home, name)

    async def get(self, query: str = "", **more: str) -> Screen:
        words = "".join(f"&{key}={quote(value, safe='')}" for key, value in more.items())
        return await self._page.get(f"/runs/read/input?document={quote(self.name, safe='')}{query}{words}")


@pytest.fixture
def alpha(page: Page, read_home: Path) -> Document:
    return Document(page, read_home, "alpha.txt")


@pytest.fixture
def beta(page: Page, read_home: Path) -> Document:
    return Document(page, read_home, "beta.txt")


@pytest.fixture
def lines(page: Page, read_home: Path) -> Document:
    return Document(page, read_home, "lines.txt")


@pytest.fixture
def long(page: Page, read_home: Path) -> Document:
    return Document(page, read_home, "long.txt")


def texts(shown: Screen) -> dict[int, str]:
    """Return the lines that are shown, by their numbers."""
    found = shown.find("//ol[@class='text']/li[@value]")
    return {int(one.get("value")): one.find("code").text_content() for one in found}


def levels(shown: Screen) -> dict[int, str]:
    return {int(one.get("value")): one.get("class").split()[0] for one in shown.find("//ol[@class='text']/li[@value]")}


async def test_lines_have_their_numbers_and_their_text(alpha: Document) -> None:
    assert texts(await alpha.get()) == dict(enumerate(TEXTS["alpha.txt"].splitlines(), 1))


async def test_beside_each_line_stands_how_often_models_read_it(beta: Document, read_home: Path) -> None:
    shown = await beta.get()
    found = levels(shown)
    assert {number for number, level in found.items() if level == "c1"} == set(range(5, 16))
    assert {number for number, level in found.items() if level == "cr"} >= {1, 2, 21, 25}
    assert {found[number] for number in (17, 20, 27, 30)} == {"c0"}
    [words] = shown.find("//li[@id='l7']/span[@class='hidden']")
    assert "read once" in words.text


def test_the_lines_that_are_coloured_are_those_of_the_command(read_home: Path, rlm: Rlm) -> None:
    async def asked() -> list[Screen]:
        return [await Document(page, read_home, "beta.txt").get() async for page in page_of(read_home)]

    said = json.loads(rlm("show", "read", "--coverage", "--json", "--home", str(read_home)).out)
    [ranges] = [one["lines"] for one in said["read"] if one["name"].endswith("beta.txt")]
    read = {number for first, last in ranges for number in range(first, last + 1)}
    found = levels(asyncio.run(asked())[0])
    assert {number for number, level in found.items() if level != "c0"} == read


def test_lines_are_those_that_the_command_prints(read_home: Path, rlm: Rlm) -> None:
    async def asked() -> list[Screen]:
        return [await Document(page, read_home, "lines.txt").get("&lines=500-502") async for page in page_of(read_home)]

    said = rlm("show", "read", "--document", "lines.txt", "--lines", "500-502", "--home", str(read_home)).out
    chosen = asyncio.run(asked())[0].find("//ol[@class='text']/li[contains(@class, 'here')]/code")
    assert [f"{500 + at}  {one.text_content()}" for at, one in enumerate(chosen)] == said.splitlines()


async def test_requests_that_held_a_line_are_linked(page: Page, alpha: Document, beta: Document) -> None:
    readers = (await alpha.get()).find("//li[@class='reader']")
    assert [" ".join(one.text_content().split()) for one in readers] == [
        "root model, turn 1lines 1 to 4",
        *["sub-call, turn 1lines 1 to 30"] * 2,
    ]
    addresses = [one.find("a").get("href") for one in readers]
    assert addresses[0] == "/runs/read/turns/1"
    assert all(re.fullmatch(r"/runs/read/calls/1%3A[0-9a-f]{40}%3A1", one) for one in addresses[1:])
    [printed] = [one for one in (await beta.get()).find("//li[@class='reader']") if "turn 2" in one.text_content()]
    assert "lines 21 to 25" in printed.text_content()


async def test_a_request_that_held_none_of_these_lines_is_not_named(lines: Document) -> None:
    assert "No model was shown any of these lines" in (await lines.get()).text


# -- citations


async def test_a_citation_is_marked_where_it_stands(alpha: Document) -> None:
    [mark] = (await alpha.get()).find("//li[@id='l10']//a[contains(@class, 'cited')]")
    assert (mark.text_content(), mark.get("href")) == (TRUE, "/runs/read/input?citation=1")


async def test_a_citation_opens_with_what_the_answer_says_beside_it(page: Page) -> None:
    shown = await page.get("/runs/read/input?citation=1")
    [card] = shown.find("//section[contains(@class, 'cited-card')]")
    said = " ".join(card.text_content().split())
    assert "these words stand in the document" in said
    assert "The answer says Alpha says so. The document says" in said.replace("saysAlpha", "says Alpha")
    assert TRUE in said
    assert next(iter(texts(shown))) == 2
    assert shown.find("//a[contains(@class, 'this')]")
    assert shown.links["[2] →"] == "/runs/read/input?citation=2"


async def test_words_that_were_not_found_are_said_not_to_be_there(page: Page) -> None:
    shown = await page.get("/runs/read/input?citation=2")
    assert "not found" in shown.text
    assert "stand in the document" not in shown.text
    assert not shown.find("//section[contains(@class, 'cited-card')]//b")
    assert len(texts(shown)) == 30


async def test_a_citation_of_a_document_that_there_is_not_is_shown_alone(page: Page) -> None:
    shown = await page.get("/runs/read/input?citation=3")
    assert (shown.status, "nowhere.txt" in shown.text, texts(shown)) == (200, True, {})


@pytest.mark.parametrize("number", ["0", "4", "x", "-1", "1" * 40, ""])
async def test_a_citation_that_there_is_not_is_a_404_that_says_which_there_are(page: Page, number: str) -> None:
    shown = await page.get(f"/runs/read/input?citation={number}")
    assert (shown.status, "It cites 1 to 3." in shown.text) == (404, True)


# -- pages, and long lines


async def test_long_documents_come_in_pages_of_lines(lines: Document, page: Page) -> None:
    seen: list[int] = []
    shown = await lines.get()
    while True:
        seen += texts(shown)
        following = shown.find("//a[@rel='next']/@href")
        if not following:
            break
        shown = await page.get(following[0])
    assert seen == list(range(1, 1_001))
    [back] = {*shown.find("//a[@rel='prev']/@href")}
    assert next(iter(texts(await page.get(back)))) == 401


async def test_lines_that_an_address_names_are_shown_with_some_before_them(lines: Document) -> None:
    shown = await lines.get("&lines=500-502")
    assert next(iter(texts(shown))) == 492
    assert [one.get("value") for one in shown.find("//li[contains(@class, 'here')]")] == ["500", "501", "502"]


@pytest.mark.parametrize("said", ["0", "1001", "1001-", "7-3", "x", "-", "1-2-3", "9" * 40, "-5"])
async def test_lines_that_there_are_not_are_a_404(lines: Document, said: str) -> None:
    assert (await lines.get(lines=said)).status == 404


async def test_a_page_of_a_document_without_pages_is_a_404(lines: Document) -> None:
    shown = await lines.get("&page=1")
    assert (shown.status, "It has no pages." in shown.text) == (404, True)


async def test_a_long_line_is_cut_and_its_rest_is_read_piece_by_piece(long: Document, page: Page) -> None:
    shown = await long.get()
    beginning, cut, more = texts(shown)[2].partition(" …")
    assert (len(beginning), cut, "more characters" in more) == (document_view.MOST_OF_A_LINE, " …", True)
    assert texts(shown)[3] == "last"
    assert len(shown.html) < 30_000
    [address] = shown.find("//a[@class='cut']/@href")
    pieces: list[str] = []
    while address:
        shown = await page.get(address)
        pieces += [one.text_content() for one in shown.find("//pre[@class='text']")]
        address = next(iter(shown.find("//a[@rel='next']/@href")), "")
    assert beginning + "".join(pieces) == f"{LONG}\nlast\n"
    assert len(pieces) > 5


async def test_a_piece_behind_the_end_is_a_404(long: Document) -> None:
    assert (await long.get("&at=999999999")).status == 404


async def test_a_page_of_hostile_characters_stays_small(
    lines: Document, page: Page, read_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_view, "_MOST_HTML", 2_000)
    shown = await lines.get()
    last = max(texts(shown))
    assert last < 200
    assert next(iter(texts(await page.get(shown.find("//a[@rel='next']/@href")[0])))) <= last + 1


async def test_while_lines_are_counted_the_page_is_there_and_the_browser_asks_again(
    lines: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = threading.Event()
    count = CountedLines.count

    def waiting(self: CountedLines, go_on: Callable[[], None]) -> None:
        counted.wait(60)
        count(self, go_on)

    monkeypatch.setattr(CountedLines, "count", waiting)
    monkeypatch.setattr(Work, "patience", 0)
    for query in ("", "&lines=999", "&citation=1", "&at=3", "&q=words"):
        shown = await lines.get(query)
        assert (shown.status, shown.headers["refresh"]) == (200, "1")
        assert "counting its lines" in shown.text
    counted.set()
    monkeypatch.setattr(Work, "patience", 60)
    assert texts(await lines.get("&lines=999"))[999].startswith("line 999")


async def test_a_file_that_cannot_be_read_is_a_sentence(lines: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OSError("it is gone")

    monkeypatch.setattr(CountedLines, "count", gone)
    shown = await lines.get()
    assert (shown.status, "stored input cannot be read: it is gone" in shown.text) == (503, True)


# -- search


async def test_words_are_found_on_all_pages_with_their_lines(lines: Document) -> None:
    shown = await lines.get(q="  LINE   999 OF the Größer ")
    assert shown.find("//a[contains(@class, 'hit')]/span[1]/text()") == ["999"]
    assert "1 place" in shown.text
    [mark] = (await lines.get("&lines=999", q="line 999")).find("//mark[@class='found']")
    assert mark.text_content() == "line 999"


async def test_many_hits_come_in_pages_and_there_is_a_bound(lines: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_documents, "MOST_FOUND", 90)
    shown = await lines.get(q="größer")
    assert "90 places, and more" in shown.text
    numbers = shown.find("//a[contains(@class, 'hit')]/span[1]/text()")
    assert numbers == [str(number) for number in range(1, 41)]
    shown = await lines.get("&hit=80", q="größer")
    assert len(shown.find("//a[contains(@class, 'hit')]")) == 10


@pytest.mark.parametrize("words", [".*", "(a+)+$", "\\", "[", "\x00", "%", "<b>", "nowhere to be found"])
async def test_words_are_words_and_no_pattern(lines: Document, words: str) -> None:
    shown = await lines.get(q=words)
    assert (shown.status, "0 places" in shown.text) == (200, True)


async def test_words_of_white_space_search_for_nothing(lines: Document) -> None:
    assert not (await lines.get(q=" \t ")).find("//section[contains(@class, 'hits')]")


# -- whatever is in it


async def test_a_hostile_document_is_words(page: Page, read_home: Path) -> None:
    listed = (await page.get("/runs/read/input")).find("//*[@id='documents']//a[contains(@class, 'doc')]")
    [address] = [one.get("href") for one in listed if "onclick" in one.text_content()]
    for query in ("", "&q=alert(1)", "&at=3", "&lines=1"):
        shown = await page.get(address + query)
        assert shown.status == 200
        assert not shown.find("//main//b[@onclick] | //script[not(@src)] | //main//img | //*[@style] | //*[@onerror]")
    assert "\\u0000" in texts(await page.get(address))[1]
    text = await page.get(address.replace("/input?", "/input/text?"))
    assert text.html == TEXTS[EVIL]


async def test_the_whole_text_is_plain_text(page: Page, alpha: Document) -> None:
    shown = await page.get(f"/runs/read/input/text?document={quote(alpha.name, safe='')}")
    assert shown.html == TEXTS["alpha.txt"]
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert int(shown.headers["content-length"]) == len(TEXTS["alpha.txt"])


@pytest.mark.parametrize("name", ["alpha.txt", "/nowhere", "", "\x00", "\ud800", HOSTILE, "x" * 10_000])
@pytest.mark.parametrize("screen", ["input", "input/text"])
async def test_an_unknown_document_is_a_404(page: Page, name: str, screen: str) -> None:
    shown = await page.get(f"/runs/read/{screen}?document={quote(name, safe='', errors='surrogatepass')}")
    assert shown.status == 404
    assert ("Did you mean" in shown.text) or ("The input has 6 documents." in shown.text)
    assert not shown.find("//main//img")


async def test_an_address_of_a_text_without_a_name_is_a_404(page: Page) -> None:
    assert (await page.get("/runs/read/input/text")).status == 404


async def test_a_document_of_a_run_without_an_input_is_a_404(page: Page) -> None:
    assert "only its question" in (await page.get("/runs/bare/input?document=x")).text


async def test_a_text_that_has_changed_on_disk_is_said_to_have(
    read_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(shutil.copytree(read_home, tmp_path / "home"))
    pack = max((one for one in (home / "blobs").glob("??/*")), key=lambda one: one.stat().st_size)
    pack.write_bytes(pack.read_bytes().replace(b"line 999", b"line XXX"))
    async for page in page_of(home):
        document = Document(page, read_home, "lines.txt")
        # The check goes on beside the requests; the page does not wait for it.
        monkeypatch.setattr(PackCheck, "now", PackCheck.at_last)
        shown = await document.get("&lines=999")
        assert "What is shown may not be what models were sent" in shown.text
        assert texts(shown)[999].startswith("line XXX")
