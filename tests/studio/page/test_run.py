"""The summary of a run: its answer, what speaks for and against it, its time, turns and sub-RLMs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm.graph import run_times
from durable_rlm.graph.saved_answers import ShownAnswer
from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE
from durable_rlm.studio.page.answer_view import Cites, answer_view
from durable_rlm.studio.page.background import Work
from durable_rlm.studio.page.plain import file_to_keep

from .conftest import Page, Screen
from .saved_runs import HOSTILE

ALLOWED = {
    "a",
    "b",
    "body",
    "button",
    "code",
    "dd",
    "del",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "em",
    "form",
    "g",
} | {
    *("h1", "h2", "h3", "head", "header", "html", "input", "ins", "kbd", "li", "line", "link", "main", "meta", "nav"),
    *("ol", "p", "pre", "q", "rect", "script", "section", "span", "summary", "svg", "table", "tbody", "td", "text"),
    *("th", "thead", "time", "title", "tr", "ul", "aside", "label", "select", "option", "textarea"),
}


def nothing_broke_out(screen: Screen) -> None:
    """Check that a page has no element and no attribute that runs anything."""
    for element in screen.document.iter():
        if isinstance(element.tag, str):
            assert element.tag in ALLOWED, element.tag
            assert not [name for name in element.attrib if name.startswith("on") or name == "style"]
            assert not (element.get("href") or "").startswith("javascript")
    assert [script.get("src") for script in screen.find("//script")] == screen.find("//script/@src")
    assert "alert(1)" in screen.text


async def test_a_document_that_nobody_looked_at_is_said_first(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long numpy takes to import.
    monkeypatch.setattr(Work, "soon", Work.at_last)
    screen = await page.get("/runs/contracts")
    [notice] = screen.find("//p[@class='notice']")
    assert "No model has seen 1 of 4 documents: never.txt" in " ".join(notice.text_content().split())
    assert screen.links["Show them"] == "/runs/contracts/input?only=unseen"


async def test_an_answer_leads_to_the_passages_that_it_cites(page: Page) -> None:
    screen = await page.get("/runs/contracts")
    assert screen.find("//div[contains(@class,'prose')]//strong/text()") == ["one.txt"]
    assert "1 of 1 citation found in the input" in screen.text
    assert screen.find("//a[@class='cite']/@href") == ["/runs/contracts/input?document=one.txt&citation=1"]


async def test_the_whole_answer_has_an_address_and_is_never_read_as_a_page(page: Page) -> None:
    screen = await page.get("/runs/hostile/answer")
    assert (screen.html, screen.headers["content-type"]) == (HOSTILE, "text/plain; charset=utf-8")
    assert screen.headers["x-content-type-options"] == "nosniff"


def test_a_tree_of_large_texts_has_a_bound() -> None:
    cites = Cites([], lambda *_, **__: "#", "run")
    for value in (["\u202e" * 30_000] * 100, [{str(key): "\u202e" * 400 for key in range(24)}] * 200):
        found = answer_view(ShownAnswer(value), cites)
        html = found.html or "".join(cell for row in found.rows for cell in row)
        assert 10_000_000 < len(html) < 30_000_000
        assert "more characters" in html


async def test_failed_calls_and_forks_stand_beside_the_answer(page: Page) -> None:
    screen = await page.get("/runs/contracts")
    assert "1 of 3 sub-calls failed" in screen.text
    assert "/runs/contracts/calls?status=failed" in screen.links.values()
    assert screen.links["stricter"] == "/compare?a=contracts&b=stricter"


async def test_turns_are_rows_with_what_was_special_about_them(page: Page) -> None:
    screen = await page.get("/runs/contracts")
    rows = [" ".join(row.text_content().split()) for row in screen.find("//a[@class='row turn']")]
    assert len(rows) == 5
    assert rows[1].startswith("2 Each contract is judged by a call of its own.")
    assert "1 failed 3 calls" in rows[1]
    assert "error" in rows[2]
    assert "answer" in rows[4]


async def test_a_fork_says_what_a_person_set(page: Page) -> None:
    screen = await page.get("/runs/stricter")
    assert "A person edited turn 4" in screen.text
    assert screen.links["contracts"] == "/runs/contracts"


async def test_sub_rlms_are_in_the_picture_and_in_a_list(page: Page) -> None:
    screen = await page.get("/runs/tree")
    children = screen.find("//section[@class='children']//a/@href")
    assert len(children) == 2
    assert set(screen.find("//svg[@class='strip']//a/@href")) >= set(children)
    assert "2 sub-RLMs" in screen.find("//svg[@class='strip']/@aria-label")[0]
    child = await page.get(children[0])
    assert child.links["tree"] == "/runs/tree"


async def test_the_picture_of_some_turns_has_their_sub_rlms_however_many_were_before(
    own_page: Page, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one that was made first has ended long before the turn.
    first = "thread_id = (SELECT thread_id FROM threads JOIN children USING (thread_id) ORDER BY created LIMIT 1)"
    with closing(connect(own_home / DATABASE)) as connection:
        connection.execute(f"UPDATE threads SET created = 1.0, updated = 2.0 WHERE {first}")
    monkeypatch.setattr(run_times, "MOST_CHILDREN", 1)
    screen = await own_page.get("/runs/tree?from=1&to=2")
    drawn = screen.find("//svg[@class='strip']//a[contains(@aria-label, 'Sub-RLM')]/@href")
    assert len(drawn) == 1


@pytest.mark.parametrize(
    ("name", "said"), [("waits-for-code", "Turn 1 wants to run this code"), ("waits-for-calls", "42 sub-calls")]
)
async def test_a_run_that_waits_says_for_what(page: Page, name: str, said: str) -> None:
    screen = await page.get(f"/runs/{name}")
    [request] = screen.find("//a[@class='needs row']")
    assert (said in request.text_content(), request.get("href")) == (True, f"/runs/{name}/review")


async def test_a_run_that_failed_says_why_and_is_resumed_from_here(page: Page) -> None:
    screen = await page.get("/runs/failed")
    assert "correct the script" in screen.find("//p[@class='trouble']")[0].text_content()
    assert screen.links["Resume"] == "/runs/failed/resume"
    assert (await page.get("/runs/out-of-budget")).links["Resume"] == "/runs/out-of-budget/resume"


async def test_hostile_strings_stay_text_on_a_summary(page: Page) -> None:
    nothing_broke_out(await page.get("/runs/hostile"))


@pytest.mark.parametrize("address", ["/runs/nobody", "/runs/contracts?from=99", "/runs/failed/answer"])
async def test_an_address_of_nothing_is_answered_in_words(page: Page, address: str) -> None:
    screen = await page.get(address)
    assert screen.status == 404
    assert "There is no" in screen.text or "has no answer" in screen.text


async def test_damage_hides_nothing_else(own_page: Page, own_home: Path) -> None:
    with sqlite3.connect(own_home / DATABASE) as connection:
        last = "(SELECT checkpoint_id FROM steps WHERE thread_id = 'contracts' ORDER BY step DESC LIMIT 1)"
        connection.execute(f"UPDATE checkpoints SET seal = x'00' WHERE checkpoint_id = {last}")
        connection.execute("UPDATE turns SET seal = x'00' WHERE thread_id = 'contracts' AND turn = 2")
    screen = await own_page.get("/runs/contracts")
    assert screen.status == 200
    assert "the last step has changed on disk" in screen.text
    assert "what is saved of this turn has changed on disk" in screen.text
    assert "Each contract" not in screen.text
    assert "What is saved of turn 2 has changed on disk" in screen.text


async def test_nothing_is_said_of_all_calls_where_the_row_of_a_turn_is_damaged(own_page: Page, own_home: Path) -> None:
    assert "No sub-call failed" in (await own_page.get("/runs/tree")).text
    with sqlite3.connect(own_home / DATABASE) as connection:
        connection.execute("UPDATE turns SET seal = x'00' WHERE thread_id = 'tree' AND turn = 2")
    screen = await own_page.get("/runs/tree")
    assert "No sub-call failed" not in screen.text
    assert "What is saved of turn 2 has changed on disk" in screen.text


async def test_the_summary_says_when_by_which_models_and_the_most_that_lost_answers_can_have_taken(
    own_page: Page, own_home: Path
) -> None:
    start = {"settings": {"model": "scripted:root.py", "sub_model": "scripted:sub.py"}}
    with closing(connect(own_home / DATABASE)) as base:
        base.execute(
            "UPDATE threads SET model = 'scripted:root.py', start = ? WHERE thread_id = 'tree'", (json.dumps(start),)
        )
        base.execute(
            "UPDATE calls SET uncertain_calls = 2, uncertain_output = 8000, uncertain_tokens = 8000, "
            "uncertain_cost = 0.24 WHERE thread_id = 'tree' AND kind = 'root' AND turn = 2"
        )
    screen = await own_page.get("/runs/tree")
    [about] = screen.find("//p[contains(@class,'about')]")
    said = " ".join(about.text_content().split())
    assert said.startswith("thread tree begun 20")
    assert "scripted:root.py, sub-calls by scripted:sub.py up to 6.0 k tokens ($0.1800) more of 2 lost calls" in said
    assert "10 model calls" in screen.text


async def test_the_picture_names_the_colour_of_code_that_failed(page: Page) -> None:
    assert "code that failed" in (await page.get("/runs/contracts")).text
    assert "code that failed" not in (await page.get("/runs/tree")).text


async def test_a_long_question_is_shown_whole_on_demand(own_page: Page, own_home: Path) -> None:
    long = "very long " * 60 + "question"
    with closing(connect(own_home / DATABASE)) as base:
        base.execute("UPDATE threads SET question = ? WHERE thread_id = 'tree'", (long,))
    screen = await own_page.get("/runs/tree")
    assert screen.find("//h1/@class") == ["long"]
    assert screen.find("//details[@class='question']/pre/text()") == [long]
    assert (await own_page.get("/runs/contracts")).find("//details[@class='question']") == []


def test_hidden_characters_do_not_move_the_end_of_the_name_of_a_file() -> None:
    kept = file_to_keep("out/report\u202etxt.exe", iter(()))
    assert kept.headers["content-disposition"] == "attachment; filename*=UTF-8''report_txt.exe"
