"""Forms that begin a run, sent more than once: what was begun is shown, and nothing is begun again."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.studio.page.program import Outcome, Program
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

from .conftest import Page, Screen, page_of
from .test_actions import hidden


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def page(home: Path) -> AsyncGenerator[Page]:
    async for page in page_of(home):
        yield page


@pytest.fixture
def begun(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the program answer each run in this process, and record the names of those that it was asked to begin."""
    names: list[str] = []
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])

    async def call(self: Program, command: str, *words: str, arguments: Any = ()) -> Outcome:
        name = next(word.partition("=")[2] for word in words if word.startswith("--thread="))
        names.append(name)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            if command == "run":
                await runner.run(arguments[0], model=model, thread=name)
            else:
                await runner.fork(arguments[0], int(words[0].partition("=")[2]), question="Else?", into=name)
        return Outcome(0, {"thread_id": name})

    monkeypatch.setattr(Program, "call", call)
    return names


def to(screen: Screen) -> str:
    assert screen.status == 303, screen.text
    return screen.headers["location"].removeprefix("/runs/")


async def test_a_form_that_is_sent_again_leads_to_the_run_that_it_has_begun(page: Page, begun: list[str]) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?"}
    first, second = to(await page.post("/new", form)), to(await page.post("/new", form))
    assert (first, [first]) == (second, begun)
    assert first.startswith("why-")


async def test_a_form_that_is_sent_twice_at_once_begins_one_run(page: Page, begun: list[str]) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?"}
    sent = await asyncio.gather(*(page.post("/new", form) for _ in range(3)))
    assert {to(one) for one in sent} == set(begun)
    assert len(begun) == 1


async def test_files_of_a_form_that_is_sent_twice_are_not_kept(page: Page, begun: list[str]) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?"}
    sent = [page.client.post("/new", data=form, files={"files": ("a.txt", b"text")}) for _ in range(3)]
    assert {one.status_code for one in await asyncio.gather(*sent)} == {303}
    assert len(begun) == 1
    assert page.client._transport.app.state.uploads._folders == {}  # type: ignore[attr-defined]


async def test_a_form_with_other_words_and_a_new_form_with_the_same_begin_runs_of_their_own(
    page: Page, begun: list[str]
) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?"}
    await page.post("/new", form)
    await page.post("/new", form | {"max_turns": "3"})
    await page.post("/new", hidden(await page.get("/new")) | {"question": "Why?"})
    assert len(set(begun)) == 3


async def test_the_name_that_was_typed_is_taken_by_the_first_sending_alone(page: Page, begun: list[str]) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?", "name": "mine"}
    assert [to(await page.post("/new", form)) for _ in range(2)] == ["mine", "mine"]
    assert begun == ["mine"]
    later = {"form": "99999999999-00", "question": "Why?", "name": "mine"}
    await page.post("/new", later)
    assert begun == ["mine", "mine"], "the program says what it thinks of a name that is taken"


async def test_a_restarted_server_knows_what_a_form_has_begun(page: Page, home: Path, begun: list[str]) -> None:
    form = hidden(await page.get("/new")) | {"question": "Why?"}
    first = to(await page.post("/new", form))
    async for restarted in page_of(home):
        assert to(await restarted.post("/new", form)) == first
    assert begun == [first]


async def test_a_fork_is_made_once(page: Page, begun: list[str]) -> None:
    run = to(await page.post("/new", hidden(await page.get("/new")) | {"question": "Why?"}))
    form = hidden(await page.get(f"/runs/{run}/ask")) | {"question": "Else?"}
    forks = [to(await page.post(f"/runs/{run}/ask", form)) for _ in range(2)]
    assert begun == [run, forks[0]]
    assert forks[0] == forks[1]


async def test_files_that_a_restart_has_taken_are_missed_and_not_left_out(page: Page, begun: list[str]) -> None:
    looked = await page.post("/new", hidden(await page.get("/new")), files={"files": ("a.txt", b"text")})
    form = hidden(looked) | {"question": "Why?"}
    assert form["upload"]
    page.client._transport.app.state.uploads.forget_all()  # type: ignore[attr-defined]
    refused = await page.post("/new", form)
    assert (refused.status, "not here any more" in refused.text, begun) == (422, True, [])
    assert hidden(refused)["upload"] == ""
