"""Decisions in the page: what waits is shown whole, and a decision is about what was shown and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.studio.page import reviews
from durable_rlm.studio.page.program import Outcome, Program
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

from .conftest import Page, Screen, page_of


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the commands, with what stands in the files that they name."""
    calls: list[tuple[str, ...]] = []

    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        named = [f"--edit={Path(word[7:]).read_text()}" if word.startswith("--edit=") else word for word in words]
        calls.append((command, *named, *arguments))
        return Outcome(0, {"thread_id": arguments[0]})

    monkeypatch.setattr(Program, "call", call)
    return calls


def bound(screen: Screen) -> dict[str, str]:
    """Return the hidden fields of the form: the request, and the hash of what is shown."""
    return {one.get("name"): one.get("value") for one in screen.find("//main//input[@type='hidden']")}


async def test_waiting_code_is_shown_whole_and_can_be_edited(page: Page, decided: list[tuple[str, ...]]) -> None:
    screen = await page.get("/runs/waits-for-code/review")
    code = "llm_query_batched([f'read {n}' for n in range(42)])"
    assert [line.text_content() for line in screen.find("//ol[@class='code']/li")] == [code]
    assert screen.find("//textarea[@name='edited']")[0].text.strip() == code
    form = bound(screen)
    edited = form | {"decision": "edit", "edited": "print(1)\r\nprint(2)"}
    done = await page.post("/runs/waits-for-code/review", edited)
    assert (done.status, done.headers["location"]) == (303, "/runs/waits-for-code")
    flags = (f"--interrupt={form['interrupt']}", f"--shown={form['shown']}", "--detach")
    assert decided == [("review", "--edit=print(1)\nprint(2)", *flags, "waits-for-code")]


async def test_all_waiting_prompts_are_there_by_pages(page: Page) -> None:
    screens = [await page.get(f"/runs/waits-for-calls/review?page={number}") for number in (1, 2, 3)]
    prompts = [prompt.text for screen in screens for prompt in screen.find("//ol[@class='waiting']//pre")]
    assert prompts == [f"read {n}" for n in range(42)]
    assert "42 calls" in screens[0].text
    assert screens[0].find("//a[@rel='next']/@href") == ["/runs/waits-for-calls/review?page=2"]


async def test_a_decision_takes_its_words_along(page: Page, decided: list[tuple[str, ...]]) -> None:
    form = bound(await page.get("/runs/waits-for-calls/review"))
    for decision in ("reject", "respond"):
        await page.post("/runs/waits-for-calls/review", form | {"decision": decision, "words": "--approve\r\nno"})
    assert [call[1] for call in decided] == ["--reject=--approve\nno", "--respond=--approve\nno"]


@pytest.mark.parametrize("stale", [{"shown": "0" * 64}, {"interrupt": "another"}, {"shown": "", "interrupt": ""}])
async def test_a_decision_about_something_else_is_refused_and_its_words_are_kept(
    page: Page, decided: list[tuple[str, ...]], stale: dict[str, str]
) -> None:
    form = bound(await page.get("/runs/waits-for-calls/review")) | {"decision": "reject", "words": "kept"}
    refused = await page.post("/runs/waits-for-calls/review", form | stale)
    assert (refused.status, decided) == (409, [])
    assert "does not wait any more" in refused.text
    assert "interrupt" in stale or refused.find("//textarea[@name='words']")[0].text.strip() == "kept"


@pytest.mark.parametrize(
    ("typed", "said"),
    [({"decision": "reject"}, "needs words"), ({"decision": "burn"}, "no decision of that name"), ({}, "no decision")],
)
async def test_an_unusable_decision_is_refused(
    page: Page, decided: list[tuple[str, ...]], typed: dict[str, str], said: str
) -> None:
    form = bound(await page.get("/runs/waits-for-calls/review"))
    refused = await page.post("/runs/waits-for-calls/review", form | typed)
    assert (refused.status, said in refused.text, decided) == (422, True, [])


async def test_the_request_that_waits_is_the_one_that_the_command_decides(own_page: Page) -> None:
    """The command takes the hash that the page has made of what it shows, and refuses another one."""
    form = bound(await own_page.get("/runs/waits-for-code/review"))
    wrong = await own_page.post("/runs/waits-for-code/review", form | {"decision": "reject", "words": "x" * 200_000})
    assert (wrong.status, "too long" in wrong.text) == (422, True)
    program = Program(own_page.client._transport.app.state.opener.home)  # type: ignore[attr-defined]
    flags = [f"--interrupt={form['interrupt']}", "--approve", "--detach"]
    refused = await program.call("review", *flags, f"--shown={'0' * 64}", arguments=["waits-for-code"])
    assert refused.error is not None
    assert "has changed since it was shown" in refused.error[0]


async def test_a_run_that_does_not_wait_says_so(page: Page) -> None:
    assert "Nothing waits for a decision here." in (await page.get("/runs/contracts/review")).text


async def test_waiting_prompts_that_cannot_be_read_are_named_and_the_rest_is_shown(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(*_: Any, **__: Any) -> Any:
        raise StoredDataDamaged("The list of the waiting calls cannot be read.")

    monkeypatch.setattr(reviews, "waiting_prompts", damaged)
    screen = await page.get("/runs/waits-for-calls/review")
    assert "cannot be shown: The list of the waiting calls cannot be read." in screen.text
    assert screen.find("//form//button[@value='reject']")


async def test_hidden_characters_of_other_pages_are_counted(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = await page.get("/runs/waits-for-calls/review")
    assert "invisible" not in screen.text
    # Any character of those prompts does: each of them has one space.
    monkeypatch.setattr(reviews, "HOSTILE", re.compile(" "))
    screens = [await page.get(f"/runs/waits-for-calls/review?page={number}") for number in (1, 3)]
    said = "invisible or direction-changing characters in prompts, or parts of them, that are not on this page"
    assert f"22 {said}" in screens[0].text
    assert f"40 {said}" in screens[1].text


async def test_the_buttons_of_a_spent_budget_say_what_they_do(tmp_path: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [repl("llm_query_batched([f'{n}' for n in range(9)])"), repl("FINAL('done')")],
        "return 'yes'",
    )
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("May it?", model=model, thread="spent", approve=["budget"], max_calls=4)
    async for page in page_of(tmp_path / "home"):
        screen = await page.get("/runs/spent/review")
        buttons = {one.get("value"): one.text for one in screen.find("//button[@name='decision']")}
        assert buttons["approve"] == "Answer now, with what it has"
        assert buttons["reject"] == "Stop it"
        assert screen.find("//details[@open]/summary/text()") == ["Raise the limit, and go on"]


async def test_a_part_of_code_that_is_not_shown_is_warned_of(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "MOST_CODE", 20)
    screen = await page.get("/runs/waits-for-code/review")
    assert "Only the first 20 of 51 characters are shown" in screen.text
    assert "… 31 more characters" in screen.text


async def test_an_answer_is_there_as_it_was_written_too(
    own_home: Path, tmp_path: Path, own_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Yes.\n\n```hidden words\ncode\n```\n and no"
    model = write_script(tmp_path / "final.py", [repl(f"FINAL({said!r})")])
    async with Runner.open(own_home, kernels=MemoryKernels()) as runner:
        await runner.run("Which?", model=model, thread="final", approve=["final"])
    screen = await own_page.get("/runs/final/review")
    [written] = screen.find("//form//details[summary='As it was written']/pre")
    assert (written.text_content(), "Warning" in screen.text) == (said, False)
    monkeypatch.setattr(reviews, "MOST_CODE", 20)
    assert f"Only the first 20 of {len(said)} characters are shown" in (await own_page.get("/runs/final/review")).text
