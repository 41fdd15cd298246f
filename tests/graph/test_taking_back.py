"""Steps that a caller of the checkpointer takes back, and what stays (LangGraph's optional interface)."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import RunBusy, ThreadExists, UnknownThread, UsageError
from tests.graph.test_langgraph_adapter import in_mid_cell
from tests.scripts import Asked, repl, write_script

REPLIES = [repl("first = llm_query('a')"), repl("second = llm_query(first + 'b')"), repl("FINAL(second)")]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", REPLIES)


def question(model: str, **more: Any) -> Any:
    return {"question": "What?", "settings": {"model": model}, **more}


def config(run_id: str, thread: str = "t") -> Any:
    return {"configurable": {"thread_id": thread}, "metadata": {"run_id": run_id}}


async def test_a_thread_goes_with_the_only_run_that_made_it(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), config("one"))
    await runner.saver.adelete_for_runs(["another"])
    assert (await runner.read("t")).answer == "AB"
    await runner.saver.adelete_for_runs(["one"])
    with pytest.raises(UnknownThread):
        await runner.read("t")
    assert await runner.graph.ainvoke(question(model) | {"question": "Why?"}, config("two"))


async def test_the_steps_of_one_run_are_taken_back_and_its_answers_stay_recorded(
    runner: Runner, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", REPLIES)
    asked = Asked(model)
    await runner.graph.ainvoke(question(model, max_turns=1), config("one"))
    before = [step["checkpoint_id"] for step in await runner.queries.steps("t")]
    assert (await runner.read("t")).status == "budget"
    await runner.graph.ainvoke({"max_turns": 9}, config("two"))
    assert (await runner.read("t")).status == "answered"
    await runner.saver.adelete_for_runs(["two"])
    assert [step["checkpoint_id"] for step in await runner.queries.steps("t")] == before
    assert (await runner.read("t")).status == "stopped"
    requests = len(asked)
    assert (await runner.graph.ainvoke({"max_turns": 9}, config("three")))["answer_value"] == "AB"
    assert len(asked) == requests, "nothing is paid for again"
    assert (await runner.verify("t")).problems == []


async def test_forks_keep_the_steps_that_were_copied(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), config("one"))
    fork = await runner.fork("t", 5, into="fork")
    await runner.saver.adelete_for_runs(["one"])
    await runner.saver.adelete_for_runs(["one"])
    assert (await runner.resume(fork.thread_id)).answer == "AB"


async def test_a_run_under_way_is_not_taken_back_under_its_process(runner: Runner, tmp_path: Path) -> None:
    async with in_mid_cell(runner, tmp_path):
        await runner.stores.database.commit(
            lambda connection: connection.execute(
                "UPDATE checkpoints SET metadata = json_set(CAST(metadata AS TEXT), '$.run_id', 'one')"
            )
        )
        with pytest.raises(RunBusy):
            await runner.saver.adelete_for_runs(["one"])
        with pytest.raises(RunBusy):
            await runner.saver.aprune(["t"])
    assert (await runner.read("t")).status == "stopped"


async def test_unreadable_metadata_of_one_step_does_not_keep_others_from_being_taken_back(
    runner: Runner, model: str
) -> None:
    await runner.graph.ainvoke(question(model), config("one", "other"))
    await runner.graph.ainvoke(question(model), config("one"))
    damage = "UPDATE checkpoints SET metadata = x'ff' WHERE thread_id = 'other'"
    await runner.stores.database.commit(lambda connection: connection.execute(damage))
    await runner.saver.adelete_for_runs(["one"])
    assert [row["thread_id"] for row in await runner.queries.runs()] == ["other"]


@pytest.mark.parametrize("turns", [1, 9], ids=["out of budget", "answered"])
async def test_pruning_keeps_what_the_last_state_is_made_of(runner: Runner, model: str, turns: int) -> None:
    await runner.graph.ainvoke(question(model, max_turns=turns), config("one"))
    branch = [one async for one in runner.graph.aget_state_history(config(""))][3]
    await runner.graph.ainvoke(None, branch.config)
    kept = await runner.graph.aget_state(config(""))
    steps = len(await runner.queries.steps("t"))
    await runner.saver.aprune(["t"])
    assert len(await runner.queries.steps("t")) < steps
    assert (await runner.graph.aget_state(config(""))).values == kept.values
    assert (await runner.verify("t")).problems == []
    assert (await runner.graph.ainvoke({"max_turns": 9}, config("two")))["answer_value"] == "AB"


async def test_pruning_can_delete_runs_and_knows_no_other_way(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), config("one"))
    with pytest.raises(UsageError, match="no strategy everything"):
        await runner.saver.aprune(["t"], strategy="everything")
    await runner.saver.aprune(["t", "unknown"], strategy="delete")
    assert await runner.queries.runs() == []


async def test_a_run_is_forked_and_not_copied_by_its_steps_alone(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), config("one"))
    with pytest.raises(UsageError, match="not copied by its steps alone"):
        await runner.saver.acopy_thread("t", "copy")


async def test_steps_are_not_copied_over_others(runner: Runner, model: str) -> None:
    await runner.graph.ainvoke(question(model), config("one"))
    with pytest.raises(ThreadExists):
        await runner.saver.acopy_thread("unknown", "t")
