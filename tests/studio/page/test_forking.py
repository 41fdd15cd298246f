"""Going on from a step in the page: other code, variables, answers and questions, each by the command that does it."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.home_access import DATABASE
from durable_rlm.studio.page.program import Outcome, Program

from .conftest import Page
from .test_actions import hidden


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the commands, with what stands in the files that they name, without names that were made up."""
    calls: list[tuple[str, ...]] = []

    def whole(word: str) -> str:
        flag, _, path = word.rpartition("=")
        return f"{flag}={Path(path).read_text()}" if flag and Path(path).is_file() else word

    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        given = [word for word in words if not re.fullmatch("--thread=.+-[0-9a-f]{6}", word)]
        calls.append((command, *map(whole, given), *arguments))
        return Outcome(0, {"thread_id": "the fork"})

    monkeypatch.setattr(Program, "call", call)
    return calls


async def step_of(page: Page, kind: str, turn: int, thread: str = "contracts") -> int:
    """Return the last step of a kind in a turn."""
    home = await page.client._transport.app.state.opener.opened()  # type: ignore[attr-defined]
    steps = await home.queries.steps(thread)
    return max(step["step"] for step in steps if (step["kind"], step["turn"]) == (kind, turn))


async def test_other_code_runs_at_the_step_before_it(page: Page, forked: list[tuple[str, ...]]) -> None:
    step = await step_of(page, "plan", 3)
    form = await page.get(f"/runs/contracts/steps/{step}/fork")
    assert form.find("//textarea[@name='code']")[0].text.strip() == "1 / 0"
    sent = hidden(form) | {"code": "print('other')\r\nprint(2)", "name": "other"}
    done = await page.post(f"/runs/contracts/steps/{step}/fork", sent)
    assert (done.status, done.headers["location"]) == (303, "/runs/the%20fork")
    code = "--code=print('other')\nprint(2)"
    # The words that name files come last.
    assert forked == [("fork", f"--step={step}", "--detach", "--thread=other", code, "contracts")]


async def test_unchanged_code_is_not_said_to_be_changed(page: Page, forked: list[tuple[str, ...]]) -> None:
    step = await step_of(page, "plan", 3)
    form = hidden(await page.get(f"/runs/contracts/steps/{step}/fork")) | {"code": "1 / 0", "set-1": "n", "to-1": "[1]"}
    await page.post(f"/runs/contracts/steps/{step}/fork", form)
    assert forked == [("fork", f"--step={step}", "--detach", "--set=n=[1]", "contracts")]


async def test_a_call_of_the_cell_under_way_gets_another_answer(page: Page, forked: list[tuple[str, ...]]) -> None:
    step = await step_of(page, "sub_call", 2)
    form = await page.get(f"/runs/contracts/steps/{step}/fork?call=2:abc")
    assert form.find("//input[@name='call']/@value") == ["2:abc"]
    await page.post(f"/runs/contracts/steps/{step}/fork", hidden(form) | {"call": "2:abc", "answer": "no"})
    assert forked == [("fork", f"--step={step}", "--detach", "--answer=2:abc=no", "contracts")]


async def test_an_answered_run_is_asked_something_else(page: Page, forked: list[tuple[str, ...]]) -> None:
    form = await page.get("/runs/contracts/ask")
    refused = await page.post("/runs/contracts/ask", hidden(form))
    assert (refused.status, "only another question goes on" in refused.text) == (422, True)
    await page.post("/runs/contracts/ask", hidden(form) | {"question": "And with 90 days?"})
    [(_, step, *words)] = forked
    assert step.startswith("--step=")
    assert words == ["--detach", "--question=And with 90 days?", "contracts"]


async def test_a_pruned_run_is_asked_on_from_its_last_step(
    own_home: Path, own_page: Page, forked: list[tuple[str, ...]]
) -> None:
    with sqlite3.connect(own_home / DATABASE) as connection:
        connection.execute("DELETE FROM steps WHERE thread_id = 'contracts' AND step = 2")
        [[last]] = connection.execute("SELECT max(step) FROM steps WHERE thread_id = 'contracts'")
    form = await own_page.get("/runs/contracts/ask")
    await own_page.post("/runs/contracts/ask", hidden(form) | {"question": "Else?"})
    assert forked == [("fork", f"--step={last}", "--detach", "--question=Else?", "contracts")]


async def test_it_is_said_before_what_is_reused_and_what_may_be_paid(page: Page) -> None:
    early = await page.get(f"/runs/contracts/steps/{await step_of(page, 'plan', 1)}/fork")
    late = await page.get("/runs/contracts/ask")
    assert "recorded 6 answers" in early.text
    assert "2 of sub-calls" in early.text
    assert "Nothing was recorded after this step" in late.text
    assert "leave it 1,9" in early.text


async def test_a_follow_up_question_comes_first_and_offers_nothing_that_there_is_not(page: Page) -> None:
    form = await page.get("/runs/contracts/ask")
    first, *_ = form.find("//form[@method='post']//*[@name][not(@type='hidden')]")
    assert first.get("name") == "question"
    assert form.find("//input[@name='fresh']") == []
    assert form.find("//button[@class='approve']/text()") == ["Ask"]
    assert form.links["Back"] == "/runs/contracts"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"set-0": "x", "to-0": "not json"}, "The value of x is not JSON"),
        ({"set-0": "x", "to-0": "[" * 100_000}, "The value of x is not JSON"),
        ({"to-0": "1"}, "without the name of its variable"),
        ({"call": "2:abc"}, "An answer needs its call"),
        ({"question": "x" * 200_000}, "too long"),
        ({"checkpoint": "another", "question": "kept"}, "is not the one that this was filled in on"),
    ],
)
async def test_a_form_that_cannot_be_done_is_refused_and_what_was_typed_is_kept(
    page: Page, forked: list[tuple[str, ...]], typed: dict[str, str], said: str
) -> None:
    step = await step_of(page, "sub_call", 2)
    form = hidden(await page.get(f"/runs/contracts/steps/{step}/fork"))
    refused = await page.post(f"/runs/contracts/steps/{step}/fork", form | typed)
    assert (refused.status, said in refused.text, forked) == (422, True, [])
    shown = {
        one.get("name"): one.get("value") or (one.text or "").strip()
        for one in refused.find("//form[@method='post']//*")
    }
    assert all(shown[name] == value for name, value in typed.items() if name != "checkpoint")


async def test_a_step_that_there_is_not_is_said(page: Page) -> None:
    refused = await page.get("/runs/contracts/steps/99/fork")
    assert (refused.status, "It has steps 1 to" in refused.text) == (404, True)


async def test_nothing_of_a_hostile_run_becomes_markup(page: Page) -> None:
    form = await page.get(f"/runs/hostile/steps/{await step_of(page, 'plan', 2, 'hostile')}/fork")
    assert form.status == 200
    assert {one.tag for one in form.find("//main//*")} <= {
        *("section", "h1", "h2", "h3", "p", "span", "b", "nav", "a", "form", "input", "label", "textarea"),
        *("fieldset", "legend", "datalist", "option", "button"),
    }
