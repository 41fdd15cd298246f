"""Stopping, resuming and deleting from the page: by the program, and not once the run has changed."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.setting_specs import SETTINGS
from durable_rlm.studio.page.program import Outcome, Program

from .conftest import Page, Screen


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Record the commands that the page calls; each has begun its run at once."""
    calls: list[tuple[Any, ...]] = []

    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        calls.append((command, *words, *arguments))
        return Outcome(0, {"thread_id": arguments[0]})

    monkeypatch.setattr(Program, "call", call)
    return calls


def hidden(screen: Screen) -> dict[str, str]:
    """Return the hidden fields of a form."""
    return {one.get("name"): one.get("value") for one in screen.find("//main//input[@type='hidden']")}


async def test_a_run_is_deleted_once_that_is_agreed(own_page: Page, own_home: Path) -> None:
    asked = await own_page.get("/runs/tree/delete")
    assert "2 sub-RLMs" in asked.text
    done = await own_page.post("/runs/tree/delete", hidden(asked))
    assert (done.status, done.headers["location"]) == (303, "/")
    assert (await own_page.get("/runs/tree/delete")).status == 404
    assert "Two halves?" not in (await own_page.get("/")).text


async def test_a_run_that_is_not_running_is_not_stopped_and_the_page_says_so(own_page: Page) -> None:
    refused = await own_page.post("/runs/contracts/stop", {})
    assert (refused.status, "No process runs contracts; its status is answered." in refused.text) == (409, True)


async def test_a_run_is_resumed_by_the_program_with_the_limits_that_were_typed(
    page: Page, called: list[tuple[Any, ...]]
) -> None:
    asked = await page.get("/runs/out-of-budget/resume")
    done = await page.post("/runs/out-of-budget/resume", {**hidden(asked), "max_calls": " 40 ", "max_cost": ""})
    assert (done.status, done.headers["location"]) == (303, "/runs/out-of-budget")
    assert called == [("resume", "--detach", "--max-calls=40", "out-of-budget")]


@pytest.mark.parametrize("action", ["resume", "delete"])
async def test_a_form_of_before_a_change_is_refused_with_what_changed_and_keeps_what_was_typed(
    page: Page, called: list[tuple[Any, ...]], action: str
) -> None:
    stale = {"standing": "paused.3.2026-01-01T00:00:00+00:00", "max_turns": "77"}
    refused = await page.post(f"/runs/out-of-budget/{action}", stale)
    assert refused.status == 409
    assert "waiting for a reviewer when this was filled in, and now it is out of budget" in refused.text
    assert called == []
    assert action == "delete" or refused.find("//input[@name='max_turns']/@value") == ["77"]


async def test_a_form_that_was_never_shown_does_nothing(page: Page, called: list[tuple[Any, ...]]) -> None:
    assert (await page.post("/runs/contracts/delete", {})).status == 409
    assert called == []


async def test_the_words_of_a_command_are_shown_with_what_was_typed(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        return Outcome(2, {"error": {"message": "<b>12</b> is too few.", "hint": "Give more."}})

    monkeypatch.setattr(Program, "call", call)
    form = hidden(await page.get("/runs/out-of-budget/resume")) | {"max_calls": "12"}
    refused = await page.post("/runs/out-of-budget/resume", form)
    assert (refused.status, "<b>12</b> is too few. Give more." in refused.text) == (422, True)
    assert refused.find("//input[@name='max_calls']/@value") == ["12"]


async def test_limits_are_shown_as_they_are_typed_and_their_help_is_whole(page: Page) -> None:
    form = await page.get("/runs/out-of-budget/resume")
    assert form.find("//input[@name='max_calls']/@placeholder") == ["4"]
    assert SETTINGS["max_time"].help in form.text


async def test_the_form_that_resumes_a_run_which_waits_for_a_person_leads_to_its_review(page: Page) -> None:
    form = await page.get("/runs/waits-for-code/resume")
    assert "It waits for a decision" in form.text
