"""The row of a turn says what its steps and the journal say, whatever happened to the run."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.turn_row import TurnRow
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, change
from tests.graph.fork.homes import CELLS as FORKED
from tests.scripts import repl, write_script
from tests.turn_rows import contradicting_rows, made_rows, saved_rows

CELLS = [
    "seen = [llm_query(q) for q in 'ab']",
    "raise ValueError('no')",
    "raise ValueError('no')",
    "below = rlm_query('child', context='c') if not context else None\nFINAL(seen)",
]
CHILD = "FINAL(llm_query(context))"


@pytest.fixture
def model(tmp_path: Path) -> str:
    replies = [f"I look at **all** of it. Then I go on.\n\n{repl(cell)}" for cell in CELLS]
    replies[0] = repl(f"if context:\n    {CHILD}\nelse:\n    {CELLS[0]}")
    return write_script(tmp_path / "m.py", replies)


async def rows_of(runner: Runner, thread: str) -> list[TurnRow]:
    rows = await runner.stores.turn_rows.page(thread)
    with closing(sqlite3.connect(runner.stores.database.path)) as connection:
        assert contradicting_rows(connection) == []
    return rows


async def test_a_row_has_the_times_sums_flags_and_the_first_sentence_of_its_turn(runner: Runner, model: str) -> None:
    run = await runner.run("What?", model=model, thread="t", max_depth=2)
    rows = await rows_of(runner, "t")
    assert [row.summary for row in rows] == ["Let me see.", *["I look at all of it."] * 3]
    assert [sorted(row.flags) for row in rows] == [[], ["error"], ["error", "same-error"], ["answer"]]
    assert [(row.calls, row.failed, row.status) for row in rows] == [
        *((2, 0, "ok"), (0, 0, "error"), (0, 0, "error"), (1, 0, "ok"))
    ]
    assert sum(row.input_tokens for row in rows) == run.usage["input_tokens"], "those of the sub-RLM, too"
    for row in rows:
        times = (row.asked, row.planned, row.began, row.ended)
        assert all(times) and list(times) == sorted(times, key=lambda one: one or 0.0)
    with closing(sqlite3.connect(runner.stores.database.path)) as connection:
        assert made_rows(connection, "t") == rows


async def test_pages_have_the_turns_asked_for(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="t", max_depth=2)
    turn_rows = runner.stores.turn_rows
    assert [row.turn for row in await turn_rows.page("t", 2, 3)] == [2, 3]
    assert [row.turn for row in await turn_rows.page("t", 3)] == [3, 4]
    assert await turn_rows.page("t", 5) == [] and await turn_rows.one("t", 5) is None
    assert await turn_rows.count("t") == 4


async def test_a_fork_shows_its_history_as_recorded_and_paid_nothing_for_it(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="t", max_depth=2)
    plans = [step["step"] for step in await runner.queries.steps("t") if step["kind"] == "plan"]
    await runner.fork("t", plans[1], into="f")
    first, second = await rows_of(runner, "f")
    assert (first.calls, first.status, first.cost, first.input_tokens) == (2, "ok", 0.0, 0)
    assert (second.calls, second.status, second.flags) == (0, None, frozenset())
    run = await runner.resume("f")
    rows = await rows_of(runner, "f")
    assert run.status == "answered" and [row.status for row in rows] == ["ok", "error", "error", "ok"]
    assert rows[0] == first and sum(row.input_tokens for row in rows) == run.usage["input_tokens"] == 0
    assert [row.reused for row in rows] == [0, 0, 1, 2]


async def test_a_fork_with_other_variables_marks_the_turn_after_which_they_were_set(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in FORKED])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", "the input", model=model, thread="t")
        plans = [step["step"] for step in await runner.queries.steps("t") if step["kind"] == "plan"]
        await runner.fork("t", plans[2] - 1, into="f", set={"extra": 1})
        assert ["edited" in row.flags for row in await rows_of(runner, "f")] == [False, True]
        assert not any("edited" in row.flags for row in await rows_of(runner, "t"))


async def test_another_branch_of_a_thread_replaces_the_rows_of_the_turns_after_it(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="t", max_depth=2)
    steps = await runner.queries.steps("t")
    second = next(step for step in steps if step["kind"] == "plan" and step["turn"] == 2)
    place: Any = {"configurable": {"thread_id": "t", "checkpoint_id": second["checkpoint_id"]}}
    await runner._graph.aupdate_state(place, {"note": "again"}, as_node="plan")
    rows = await rows_of(runner, "t")
    assert [row.status for row in rows] == ["ok", None]
    assert (await runner.resume("t")).status == "answered"
    assert [row.status for row in await rows_of(runner, "t")] == ["ok", "error", "error", "ok"]


async def test_steps_that_are_taken_back_take_the_rows_of_their_turns_with_them(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("a = llm_query('a')"), repl("FINAL(a)")])
    asked: Any = {"question": "What?", "settings": {"model": model}, "max_turns": 1}
    await runner.graph.ainvoke(asked, {"configurable": {"thread_id": "t"}, "metadata": {"run_id": "one"}})
    before = await rows_of(runner, "t")
    more: Any = {"max_turns": 9}
    await runner.graph.ainvoke(more, {"configurable": {"thread_id": "t"}, "metadata": {"run_id": "two"}})
    assert len(await rows_of(runner, "t")) == 2
    await runner.saver.adelete_for_runs(["two"])
    assert await rows_of(runner, "t") == before


async def test_a_run_without_rows_has_those_that_it_would_have_been_saved_with(tmp_path: Path, model: str) -> None:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", model=model, thread="t", max_turns=2)
        saved = await rows_of(runner, "t")
    with closing(sqlite3.connect(tmp_path / "home" / DATABASE)) as connection:
        connection.execute("DELETE FROM turns")
        connection.commit()
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        assert await runner.stores.turn_rows.page("t") == saved
        await runner.resume("t", max_turns=9)
        rows = await rows_of(runner, "t")
        assert (rows[0], len(rows)) == (saved[0], 4)
    with closing(sqlite3.connect(tmp_path / "home" / DATABASE)) as connection:
        assert len(saved_rows(connection, "t")) == 4, "from then on they are saved"


async def test_a_damaged_row_is_said_to_be_and_hides_no_other(tmp_path: Path, model: str) -> None:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", model=model, thread="t", max_turns=2)
    change(tmp_path / "home", "UPDATE turns SET calls = 9 WHERE thread_id = 't' AND turn = 1")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        rows = await runner.stores.turn_rows.page("t")
        assert [row.damaged for row in rows] == [True, False]
        await runner.resume("t", max_turns=9)
        assert not any(row.damaged for row in await rows_of(runner, "t")), "a later step mends it"
