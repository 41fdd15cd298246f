"""Forks: their state and spending, refused forks, and parents that are only read."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph import fork
from durable_rlm.state.errors import StoredDataDamaged, StoreError, ThreadExists, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import change
from tests.graph.fork.homes import ANSWER, rows, step
from tests.scripts import Asked, repl, write_script

# -- state and spending


async def test_a_fork_at_any_step_gives_the_same_answer_and_pays_for_nothing(runner: Runner, asked: Asked) -> None:
    parent = await runner.read("parent")
    for number in range(1, parent.steps + 1):
        fork = await runner.fork("parent", number, into=f"at {number}")
        assert fork.steps == number
        run = await runner.resume(fork.thread_id)
        assert (run.status, run.answer, run.turns) == ("answered", ANSWER, 3)
        assert run.usage["model_calls"] == 0 and run.usage["cost_usd"] == 0.0
    assert asked.prompts == [] and asked.roots == []


async def test_calls_that_a_fork_reuses_are_counted_and_listed_as_its_own(runner: Runner, asked: Asked) -> None:
    await runner.fork("parent", await step(runner, "plan", 1), into="fork")
    run = await runner.resume("fork")
    assert run.usage["reused_calls"] == 6, "two root turns and four sub-calls"
    assert await runner.read("fork") == run, "the usage is saved"
    calls = [call.to_json() for call in await runner.queries.calls("fork")]
    assert sorted((call["prompt"], call["answer"], call["reused"], call["tokens"]) for call in calls) == [
        *(("A3", "A3", True, 0), ("B3", "B3", True, 0), ("a", "A", True, 0), ("b", "B", True, 0))
    ]


async def test_a_fork_does_not_change_any_row_of_its_parent(runner: Runner, tmp_path: Path) -> None:
    before = rows(tmp_path / "home", "parent")
    changed: list[tuple[int, dict[str, Any]]] = [
        *((4, {"code": "seen = ['z']\nlimit = 1"}), (7, {"set": {"limit": 9}}), (14, {"question": "Why?"})),
    ]
    for number, changes in changed:
        fork = await runner.fork("parent", number, **changes)
        assert (await runner.resume(fork.thread_id)).status == "answered"
    assert rows(tmp_path / "home", "parent") == before


async def test_a_fork_of_a_fork_reuses_the_answers_of_both(runner: Runner, asked: Asked) -> None:
    await runner.fork("parent", await step(runner, "execute_code", 1, "characters"), into="one", set={"limit": 9})
    assert (await runner.resume("one")).answer == ["A9", "B9", 9]
    paid = len(asked.prompts) + len(asked.roots)
    await runner.fork("one", 1, into="two")
    assert (await runner.resume("two")).answer == ANSWER
    await runner.fork("one", await step(runner, "edit", 1, thread="one"), into="three")
    assert (await runner.resume("three")).answer == ["A9", "B9", 9]
    assert len(asked.prompts) + len(asked.roots) == paid, "everything is recorded, by one run or the other"
    assert {run["thread_id"]: run["parent"] for run in await runner.queries.runs()} == {
        **{"parent": None, "one": "parent", "two": "one", "three": "one"}
    }


async def test_a_run_can_be_forked_while_it_runs(tmp_path: Path, model: str) -> None:
    forks: list[asyncio.Task[Any]] = []
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:

        def on_event(event: Mapping[str, Any]) -> None:
            if event["event"] == "code":
                # These steps are saved by then, whichever node is running.
                number = (3, 7, 11)[len(forks)]
                forks.append(asyncio.ensure_future(runner.fork("parent", number, into=f"fork at {number}")))

        run = await runner.run("What?", "the input", model=model, thread="parent", on_event=on_event)
        assert run.answer == ANSWER and len(forks) == 3
        for fork in await asyncio.gather(*forks):
            asked = Asked(model)
            assert (await runner.resume(fork.thread_id)).answer == ANSWER
            assert asked.prompts == asked.roots == [], "answers that the parent got meanwhile are reused too"


async def test_a_fork_is_saved_completely_or_not_at_all(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    standing = await step(runner, "execute_code", 2, "waits")
    key = (await runner.queries.calls("parent"))[-1].row.key
    with monkeypatch.context() as patched:
        # The last statement of the transaction.
        patched.setattr(fork, "give_answer", fails)
        with pytest.raises(StoreError):
            await runner.fork("parent", standing, into="fork", set={"limit": 4}, answers={key: "other"})
    assert all(found == [] for found in rows(tmp_path / "home", "fork").values())
    assert [run["thread_id"] for run in await runner.queries.runs()] == ["parent"]
    assert (await runner.fork("parent", standing, into="fork")).thread_id == "fork", "the name is free"


# -- fresh forks


async def test_a_fresh_fork_reuses_nothing_that_was_recorded_after_its_step(runner: Runner, asked: Asked) -> None:
    await runner.fork("parent", await step(runner, "execute_code", 1, "characters"), into="fresh", fresh=True)
    run = await runner.resume("fresh")
    assert run.answer == ANSWER and run.usage["reused_calls"] == 0
    assert asked.prompts == ["A3", "B3"] and len(asked.roots) == 2


async def test_a_fresh_fork_in_mid_cell_keeps_the_answers_before_its_step(runner: Runner, asked: Asked) -> None:
    await runner.fork("parent", await step(runner, "sub_call", 2), into="fresh", fresh=True)
    run = await runner.resume("fresh")
    assert (run.answer, run.usage["reused_calls"], len(asked.roots)) == (ANSWER, 2, 1) and asked.prompts == []


async def test_a_fresh_fork_of_a_fork_reuses_no_later_answer_of_either(runner: Runner, asked: Asked) -> None:
    await runner.fork("parent", await step(runner, "plan", 1), into="one")
    assert (await runner.resume("one")).usage["model_calls"] == 0
    await runner.fork("one", await step(runner, "execute_code", 1, "characters", thread="one"), into="two", fresh=True)
    run = await runner.resume("two")
    assert run.answer == ANSWER
    assert asked.prompts == ["A3", "B3"] and len(asked.roots) == 2, "the parent's later answers are after the step too"


# -- limits


async def test_a_fork_of_a_run_out_of_budget_resumes_with_raised_limits(runner: Runner, model: str) -> None:
    spent = await runner.run("What?", "the input", model=model, thread="short", max_turns=2)
    assert spent.status == "budget"
    same = await runner.fork("short", spent.steps, into="same")
    assert same.status == "budget" and (await runner.resume("same")).status == "budget"
    await runner.fork("short", spent.steps, into="raised", max_turns=9)
    run = await runner.resume("raised")
    assert (run.status, run.answer) == ("answered", ANSWER)
    assert (await runner.queries.about("raised"))["limits"]["max_turns"] == 9
    assert (await runner.queries.about("short"))["limits"]["max_turns"] == 2


# -- refusals


@pytest.mark.parametrize(
    ("kind", "turn", "changes", "message"),
    [
        ("execute_code", 1, {"code": "x = 1"}, "under way"),
        ("sub_call", 1, {"code": "x = 1"}, "under way"),
        ("prepare", 0, {"code": "x = 1"}, "No code is about to run"),
        ("finalize", 3, {"code": "x = 1"}, "No code is about to run"),
        ("plan", 1, {"code": "x = = 1"}, "line 1"),
        ("plan", 1, {"code": "  \n"}, "empty"),
        ("start", 0, {"set": {"x": 1}}, "no REPL yet"),
        ("plan", 1, {"set": {"llm_query": 1}}, "REPL's own"),
        ("plan", 1, {"set": {"x": float("nan")}}, "not JSON"),
        ("plan", 1, {"set": {"x": {1, 2}}}, "not JSON"),
        ("plan", 1, {"question": " "}, "question is empty"),
        ("plan", 1, {"answers": {"1:": "x"}}, "No cell is under way"),
        ("execute_code", 1, {"answers": {"1:": "x"}}, "2 calls"),
        ("execute_code", 1, {"answers": {"": "x"}}, "no call"),
        ("execute_code", 1, {"answers": {"2:": "x"}}, "no call 2:"),
        ("plan", 1, {"max_turns": 0}, "--max-turns"),
        ("plan", 1, {"mode": "direct"}, "cannot change mode"),
    ],
)
async def test_an_invalid_change_is_refused_and_no_fork_is_saved(
    runner: Runner, tmp_path: Path, kind: str, turn: int, changes: dict[str, Any], message: str
) -> None:
    number = await step(runner, kind, turn)
    with pytest.raises(UsageError, match=message):
        await runner.fork("parent", number, into="fork", **changes)
    assert all(found == [] for found in rows(tmp_path / "home", "fork").values())


async def test_an_unknown_step_and_a_name_in_use_are_refused(runner: Runner, model: str) -> None:
    steps = (await runner.read("parent")).steps
    for number in (0, -1, steps + 1):
        with pytest.raises(UsageError, match=f"no step {number}"):
            await runner.fork("parent", number)
    config: Any = {"configurable": {"thread_id": "plain"}}
    await runner.graph.ainvoke({"question": "Q?", "settings": {"model": model}}, config, durability="sync")
    for taken in ("parent", "plain"):
        with pytest.raises(ThreadExists, match=taken):
            await runner.fork("parent", 4, into=taken)


async def test_code_of_a_reply_without_code_cannot_be_replaced(tmp_path: Path, runner: Runner) -> None:
    model = write_script(tmp_path / "nudged.py", ["prose", repl("FINAL(1)")])
    await runner.run("Q?", model=model, thread="nudged")
    with pytest.raises(UsageError, match="No code is about to run"):
        await runner.fork("nudged", await step(runner, "plan", 1, thread="nudged"), code="x = 1")


# -- forks of damaged or deleted runs


async def test_verify_finds_no_problem_in_a_changed_fork(runner: Runner) -> None:
    keys = {call.prompt: call.row.key for call in await runner.queries.calls("parent")}
    standing = await step(runner, "execute_code", 2, "waits")
    await runner.fork("parent", standing, into="one", set={"limit": 4}, question="Why?", answers={keys["A3"]: "mine"})
    await runner.fork("parent", await step(runner, "plan", 1), into="two", code="seen = ['z']\nlimit = 1", fresh=True)
    for name in ("one", "two"):
        assert (await runner.resume(name)).status == "answered"
        assert (await runner.verify(name)).problems == []


async def test_a_fork_keeps_the_answers_that_it_reuses_when_its_parent_is_deleted(runner: Runner, asked: Asked) -> None:
    ended = await step(runner, "execute_code", 1, "characters")
    await runner.fork("parent", ended, into="fork")
    await runner.fork("parent", ended, into="set", set={"limit": 3})
    await runner.delete("parent")
    for name in ("fork", "set"):
        assert (await runner.resume(name)).answer == ANSWER
    assert asked.prompts == [] and len(asked.roots) == 2, "only for `set`, whose notes differ"
    assert [run["parent"] for run in await runner.queries.runs()] == [None, None]


async def test_a_damaged_recorded_answer_is_never_reused_and_can_be_replaced(tmp_path: Path, model: str) -> None:
    home = tmp_path / "home"
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.run("What?", "the input", model=model, thread="parent")
        standing = await step(runner, "execute_code", 1, "waits")
        [key] = [call.row.key for call in await runner.queries.calls("parent") if call.prompt == "a"]
    change(home, "UPDATE texts SET body = 'X' WHERE CAST(body AS TEXT) = 'A'")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.fork("parent", standing, into="fork")
        run = await runner.resume("fork")
        assert run.status == "failed" and run.error and run.error["type"] == "StoredDataDamaged"
        await runner.fork("parent", standing, into="mended", answers={key: "mended "})
        assert (await runner.resume("mended")).answer == ["MENDED 3", "B3", 3]


async def test_a_fork_of_damaged_steps_is_reported_as_damaged_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # After enough turns, the list of turns has been saved whole since the damaged step, so later states can be loaded.
    model = write_script(tmp_path / "m.py", [*[repl("x = 1")] * 40, repl("FINAL(x)")])
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", model=model, thread="parent", max_turns=100)
        damaged = (await runner.queries.steps("parent"))[4]
    change(home, "UPDATE checkpoints SET metadata = x'7b7d' WHERE checkpoint_id = ?", damaged["checkpoint_id"])
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        with pytest.raises(StoredDataDamaged):
            await runner.fork("parent", damaged["step"], into="of the damaged step")
        await runner.fork("parent", run.steps - 1, into="fork")
        assert (await runner.resume("fork")).answer == 1
        for name in ("parent", "fork"):
            [problem] = (await runner.verify(name)).problems
            assert problem.kind == "checkpoint" and f"step {damaged['step']}" in str(problem)
        with pytest.raises(StoredDataDamaged):
            await runner.fork("fork", damaged["step"])
