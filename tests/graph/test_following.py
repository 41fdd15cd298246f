"""Following a run: each look has what was saved since the look before, whichever process runs the run."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from durable_rlm import Runner
from durable_rlm.graph.following import CellCounts, Following, Look
from durable_rlm.state.errors import UnknownThread
from tests import rendezvous
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import change
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import repl, write_script

CELLS = ["x = 1\nprint('one')", "print(llm_query('two'))", "raise ValueError('three')", "FINAL(x)"]
_GATED = (
    "from tests import rendezvous; rendezvous.pass_(f'sent {prompt}'); "
    "prompt == 'first' or rendezvous.wait_at('seen'); return prompt.upper()"
)
"""A sub-model that answers `first` at once, and everything else once the test has seen that it was sent."""


@pytest.fixture
async def other(tmp_path: Path) -> AsyncGenerator[Runner]:
    """The same home, open a second time."""
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as other:
        yield other


@pytest.fixture(autouse=True)
def no_places() -> None:
    rendezvous.forget()


async def look_at(following: Following) -> Look:
    look = await following.look()
    assert look is not None
    return look


def model(tmp_path: Path, cells: list[str], sub: str = "return prompt.upper()") -> str:
    return write_script(tmp_path / "m.py", [repl(cell) for cell in cells], sub=sub)


def numbers(look: Look) -> list[int]:
    return [turn["turn"] for turn in look.turns]


async def test_each_look_has_the_turns_saved_since_the_one_before(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS), max_turns=1)
    following = await other.queries.following("t", other.graph)
    first = await look_at(following)
    assert (numbers(first), first.status, first.earlier) == ([1], "budget", 0)
    assert await following.look() is None
    await runner.resume("t", max_turns=3)
    second = await look_at(following)
    assert (numbers(second), second.turn, second.max_turns, second.ended) == ([2, 3], 3, 3, True)
    shown = await runner.queries.show("t", runner.graph)
    assert second.turns == [{key: turn[key] for key in turn if key != "variables"} for turn in shown["turns"][1:]]
    assert second.usage is not None and second.usage["model_calls"] == shown["usage"]["model_calls"]
    await runner.resume("t", max_turns=9)
    third = await look_at(following)
    assert (numbers(third), third.status) == ([4], "answered")
    assert await following.look() is None


async def test_the_first_look_can_be_limited_to_the_latest_turns(runner: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS))
    following = await runner.queries.following("t", runner.graph, most=2)
    look = await look_at(following)
    assert (numbers(look), look.earlier) == ([3, 4], 2)


async def test_a_run_in_mid_cell_is_seen_with_its_sub_calls(runner: Runner, other: Runner, tmp_path: Path) -> None:
    cell = "r = llm_query_batched(['first', 'a', 'b'])\nFINAL(r)"
    gated = model(tmp_path, [cell], _GATED)
    started = asyncio.create_task(runner.run("Q?", thread="t", model=gated, concurrency=1))
    await asyncio.to_thread(rendezvous.wait_at, "sent a")
    following = await other.queries.following("t", other.graph)
    look = await look_at(following)
    assert (look.status, look.doing, look.turn, look.turns[0]["status"]) == ("busy", "calling", 1, None)
    assert look.cell == CellCounts(posted=3, answered=1, in_flight=1)
    # What is in flight is not spent yet.
    assert look.usage is not None and look.usage.get("uncertain_calls") == 0
    rendezvous.pass_("seen")
    await started
    end = await look_at(following)
    assert (end.status, numbers(end), end.turns[0]["status"]) == ("answered", [1], "ok")


async def test_sub_rlms_of_the_cell_are_counted_by_depth_and_status(
    runner: Runner, other: Runner, tmp_path: Path
) -> None:
    answered = asyncio.Event()

    def on_event(event: Any) -> None:
        if event["event"] == "child" and event["status"] == "answered":
            answered.set()

    cells = {
        "Q?": ["FINAL(rlm_query_batched(['quick: a', 'slow: b']))"],
        "quick:": ["FINAL(1)"],
        "slow:": ["FINAL(llm_query('late'))"],
    }
    tree = tree_script(tmp_path / "m.py", cells, _GATED)
    task = asyncio.create_task(runner.run("Q?", thread="t", model=tree, max_depth=2, on_event=on_event))
    await answered.wait()
    await asyncio.to_thread(rendezvous.wait_at, "sent late")
    look = await look_at(await other.queries.following("t", other.graph))
    assert look.cell.children == {1: {"answered": 1, "running": 1}}
    assert look.cell.latest is not None and look.cell.latest[1] == 1 and look.cell.latest[3] == "slow: b"
    rendezvous.pass_("seen")
    assert (await task).status == "answered"


async def test_following_ends_when_the_run_waits(runner: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS), approve=["code"])
    following = await runner.queries.following("t", runner.graph)
    looks = [look async for look in following.follow()]
    assert [(look.status, numbers(look)) for look in looks] == [("paused", [1])]


async def test_variables_that_a_user_sets_are_seen_at_their_turn(runner: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS))
    last = next(step["step"] for step in await runner.queries.steps("t") if step["kind"] == "execute_code")
    await runner.fork("t", last, into="f", set={"x": 5})
    look = await look_at(await runner.queries.following("f", runner.graph))
    assert numbers(look) == [1] and "A person set variables after this turn: x = 5" in look.turns[0]["notes"]
    await runner.resume("f")


async def test_another_branch_of_the_run_is_read_anew(runner: Runner, other: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS), max_turns=3)
    following = await other.queries.following("t", other.graph)
    assert numbers(await look_at(following)) == [1, 2, 3]
    steps = await runner.queries.steps("t")
    first = next(step for step in steps if step["kind"] == "execute_code")
    place: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_id": first["checkpoint_id"]}}
    await runner.graph.aupdate_state(place, {"question": "Another one?"}, as_node="execute_code")
    assert numbers(await look_at(following)) == []
    await runner.resume("t")
    assert numbers(await look_at(following)) == [2, 3]


async def test_a_damaged_step_is_named_and_the_others_are_shown(runner: Runner, tmp_path: Path) -> None:
    home = tmp_path / "home"
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS))
    steps = await runner.queries.steps("t")
    hurt = next(step for step in steps if step["kind"] == "plan" and step["turn"] == 2)
    before = next(step for step in steps if step["step"] == hurt["step"] - 1)
    change(
        home,
        "UPDATE writes SET value = zeroblob(length(value)) WHERE channel = 'turns' AND checkpoint_id = ?",
        before["checkpoint_id"],
    )
    look = await look_at(await runner.queries.following("t", runner.graph))
    assert (look.damaged, look.status) == ([hurt["step"]], "answered")
    assert numbers(look) == [1, 2, 3, 4] and look.turns[1]["code"] == []
    change(home, "UPDATE steps SET summary = 'x' WHERE thread_id = 't' AND step = ?", hurt["step"] + 1)
    change(home, "UPDATE threads SET question = 'x' WHERE thread_id = 't'")
    look = await look_at(await runner.queries.following("t", runner.graph))
    assert look.damaged == [hurt["step"], hurt["step"] + 1]
    assert (look.status, numbers(look)) == ("damaged", [1, 2, 3, 4])


async def test_a_run_that_is_deleted_meanwhile_is_unknown(runner: Runner, other: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS))
    following = await other.queries.following("t", other.graph)
    await look_at(following)
    await runner.delete("t")
    with pytest.raises(UnknownThread):
        await following.look()
    with pytest.raises(UnknownThread):
        await other.queries.following("t", other.graph)


async def test_looks_are_plain_json(runner: Runner, tmp_path: Path) -> None:
    await runner.run("Q?", thread="t", model=model(tmp_path, CELLS))
    look = await look_at(await runner.queries.following("t", runner.graph))
    assert json.loads(json.dumps(look.turns)) == look.turns
