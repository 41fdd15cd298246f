"""Searches in the REPL: what is sent, what a hit shows, and what the host accepts of a search."""

import json
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.cell import RunningCell
from durable_rlm.kernel.inside.search import Hit, Hits
from durable_rlm.kernel.posted_calls import parse_calls
from durable_rlm.kernel.search import SearchQuery
from durable_rlm.kernel.session import PostedCall
from durable_rlm.kernel.untrusted_json import BadMessage
from tests.kernel.documents import document, draft_of

FILLER = "filler " * 40


def hit_of(folder: Path, text: str, words: list[str], **places: Any) -> Hit:
    """Return a hit whose passage is a whole document."""
    draft = draft_of(text, name="a.txt")
    draft.places.update(places)
    one = document(folder, draft)
    _, start, end = one.stored()
    return Hit(one, (1, start, end, 0, 1, 1.25), words)


def test_a_snippet_is_one_line_around_the_word(tmp_path: Path) -> None:
    hit = hit_of(tmp_path, f"{FILLER}\nthe Payment\n clause\n{FILLER}", ["payment"])
    assert hit.snippet.startswith("…") and hit.snippet.endswith("…")
    assert "the Payment clause filler" in hit.snippet and len(hit.snippet) < 170
    assert hit.line == 2 and str(hit).startswith("a.txt line 2: …")


def test_a_passage_without_the_word_as_it_is_written_is_shown_from_its_beginning(tmp_path: Path) -> None:
    hit = hit_of(tmp_path, "first\nsecond", ["third"])
    assert (hit.line, hit.snippet) == (1, "first second")


def test_accents_and_other_scripts_are_found_in_snippets(tmp_path: Path) -> None:
    assert "CAFÉ" in hit_of(tmp_path, f"{FILLER}CAFÉ", ["cafe"]).snippet
    assert "发票" in hit_of(tmp_path, f"{FILLER}收到发票后", ["发票"]).snippet


def test_hits_are_printed_one_a_line_and_not_too_many(tmp_path: Path) -> None:
    hit = hit_of(tmp_path, "some text", ["text"])
    assert repr(Hits([hit])) == "<Hit 1.2 a.txt line 1: some text>" and str(Hits()) == "[]"
    lines = str(Hits([hit] * 1000)).splitlines()
    assert len(lines) == 51 and lines[-1] == "… and 950 more"


def search(**more: Any) -> str:
    """Return the message of a search."""
    return json.dumps([{"id": 1, "kind": "search", "prompt": "two words", "arguments": {"k": 5}, **more}])


def test_a_search_is_parsed() -> None:
    [call] = parse_calls(search())
    assert call.search == SearchQuery("two words", 5)
    [call] = parse_calls(search(arguments={"k": 5, "ranges": [[0, 7], [9, 10]]}))
    assert call.search == SearchQuery("two words", 5, ((0, 7), (9, 10)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"arguments": None},
        {"arguments": {}},
        {"arguments": {"k": 0}},
        {"arguments": {"k": 1001}},
        {"arguments": {"k": 5.0}},
        {"arguments": {"k": 5, "more": 1}},
        {"arguments": {"k": 5, "ranges": [[0]]}},
        {"arguments": {"k": 5, "ranges": [[-1, 2]]}},
        {"arguments": {"k": 5, "ranges": [[0, 1]] * 10_001}},
        {"prompt": "w " * 65},
        {"prompt": "w" * 101},
        {"prompt": " " * 10_000},
    ],
)
def test_a_search_beyond_its_bounds_is_a_bad_message(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        parse_calls(search(**wrong))


async def test_searches_that_wait_count_for_the_window_and_are_not_acknowledged() -> None:
    began: list[int] = []

    async def answer(call: PostedCall, taken: float) -> None:
        began.append(call.id)

    cell = RunningCell(300.0, lambda: None, lambda: None, answer)
    cell.start()
    query = SearchQuery("x", 1)
    cell.post([PostedCall(number, "search", "x", search=query, weight=10) for number in (1, 2)])
    cell.post([PostedCall(3, "llm", "q", weight=5)])
    assert (cell.held, cell.taken, cell.waiting) == (25, 0, 1)
    call = await cell.next_call()
    assert call is not None and call.id == 3
    while cell.held:
        await cell._search()
    assert began == [1, 2] and cell.taken == 3
