"""Changes in a fork: variables, code, the question, answers."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.fork_edits import OWN_NAMES, variable_name
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.kernel.session import KernelSpec
from durable_rlm.nodes.prompts import REBOUND_NAMES
from durable_rlm.state.call_records import REVIEWER
from durable_rlm.state.errors import UsageError
from tests.graph.fork.homes import ANSWER, CELLS, step
from tests.scripts import Asked, repl, write_script

# -- changing variables


async def test_a_variable_set_after_a_cell_is_used_by_the_next_cells(runner: Runner, asked: Asked) -> None:
    ended = await step(runner, "execute_code", 1, "characters")
    fork = await runner.fork("parent", ended, into="fork", set={"limit": 9, "note": {"deep": [1, None]}})
    assert fork.steps == ended + 1 and (await runner.queries.steps("fork"))[-1]["summary"] == "set limit, note"
    variables = await runner.queries.variables("fork", runner.graph)
    assert variables["limit"] == {"type": "int", "size": None, "preview": "9", "restorable": True, "why_not": None}
    run = await runner.resume("fork")
    assert run.answer == ["A9", "B9", 9] and asked.prompts == ["A9", "B9"]
    assert (await runner.queries.variables("fork", runner.graph))["note"]["preview"] == "{'deep': [1, None]}"


async def test_the_notes_for_the_model_name_set_variables_and_show_only_their_new_values(
    runner: Runner, asked: Asked
) -> None:
    await runner.fork("parent", await step(runner, "execute_code", 1, "characters"), into="fork", set={"limit": 9})
    await runner.resume("fork")
    first, *_ = asked.roots
    assert "A person set variables after this turn: limit = 9" in first
    assert "- limit: int = 9" in first and "- limit: int = 3" not in first


async def test_a_variable_set_before_a_planned_cell_does_not_change_its_code(
    runner: Runner, reviewed: str, asked: Asked
) -> None:
    for thread, kind in (("parent", "plan"), (reviewed, "plan"), (reviewed, "review")):
        planned = await step(runner, kind, 2, thread=thread)
        fork = await runner.fork(thread, planned, set={"limit": 7, "seen": ["x"]})
        assert (await runner.resume(fork.thread_id)).answer == ["X7", 7]
    assert asked.prompts == ["x7"] * 3 and len(asked.roots) == 3, "turn 3 only: turn 2 is unchanged"


async def test_a_variable_set_before_the_first_turn_is_in_the_repl_and_in_the_notes(
    runner: Runner, asked: Asked
) -> None:
    await runner.fork("parent", await step(runner, "prepare", 0), into="fork", set={"extra": "text", "limit": 1})
    assert (await runner.resume("fork")).answer == ANSWER, "the first cell sets limit itself"
    assert "A person set variables before the first turn: extra = 'text', limit = 1" in asked.roots[0]
    assert (await runner.queries.variables("fork", runner.graph))["extra"]["preview"] == "'text'"


async def test_a_variable_set_in_mid_cell_reruns_the_cell_with_recorded_answers_for_equal_calls(
    runner: Runner, asked: Asked
) -> None:
    standing = await step(runner, "execute_code", 2, "waits")
    before = await runner.queries.variables("parent", runner.graph, standing)
    assert "picked" not in before, "in mid-cell, variables are those before the cell"
    await runner.fork("parent", standing, into="fork", set={"seen": ["A", "new"]})
    run = await runner.resume("fork")
    assert run.answer == ["A3", "NEW3", 3] and asked.prompts == ["new3"]


async def test_variables_can_be_set_again_in_a_fork_of_a_fork(runner: Runner) -> None:
    ended = await step(runner, "execute_code", 1, "characters")
    await runner.fork("parent", ended, into="one", set={"limit": 8, "other": 1})
    await runner.fork("one", ended + 1, into="two", set={"limit": 6})
    shown = await runner.queries.variables("two", runner.graph)
    assert (shown["limit"]["preview"], shown["other"]["preview"]) == ("6", "1")
    assert (await runner.resume("two")).answer == ["A6", "B6", 6]


async def test_a_variable_that_cannot_be_saved_is_rebuilt_beside_one_that_is_set(
    tmp_path: Path, runner: Runner
) -> None:
    cells = ["lines = (n * 2 for n in range(9))\nlimit = 1", "FINAL([limit, next(lines), next(lines)])"]
    model = write_script(tmp_path / "lost.py", [repl(cell) for cell in cells])
    await runner.run("Q?", model=model, thread="lost")
    await runner.fork("lost", await step(runner, "execute_code", 1, thread="lost"), into="fork", set={"limit": 5})
    run = await runner.resume("fork")
    assert run.answer == [5, 0, 2] and run.restore and run.restore["rebuilt"] == ["lines"]


@pytest.mark.parametrize("name", ["", "a b", "a.b", "class", "1x", "_hidden", "__name__", "x;import os", "None"])
def test_an_invalid_variable_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        variable_name(name)


def test_a_variable_name_is_normalized_as_python_does() -> None:
    assert (
        variable_name("ﬁle") == "file" and variable_name("größe") == "größe" and variable_name("context") == "context"
    )


def test_names_that_the_repl_reserves_are_refused() -> None:
    namespace: dict[str, Any] = {}
    KernelRepl(namespace, lambda: None, KernelSpec("thread").setup(), own_process=False)
    assert {name for name in namespace if not name.startswith("_")} - {"context", *REBOUND_NAMES} <= OWN_NAMES
    for name in OWN_NAMES:
        with pytest.raises(UsageError, match=name):
            variable_name(name)


# -- changing code


@pytest.mark.parametrize(
    ("thread", "kind", "next_node"),
    [("parent", "plan", "execute_code"), ("reviewed", "plan", "review"), ("reviewed", "review", "review")],
)
async def test_replaced_code_runs_and_is_the_code_that_the_model_is_sent(
    runner: Runner, reviewed: str, asked: Asked, thread: str, kind: str, next_node: str
) -> None:
    code = "picked = ['mine']  # ```\nprint('it ran')\n"
    fork = await runner.fork(thread, await step(runner, kind, 2, thread=thread), into="fork", code=code)
    state = await runner.graph.aget_state({"configurable": {"thread_id": "fork"}})
    assert state.next == (next_node,), "other code is reviewed again"
    shown = await runner.queries.show("fork", runner.graph, fork.steps)
    assert shown["turns"][-1]["code"] == [code] == shown["cell"]
    assert shown["turns"][-1]["notes"] == ["A person replaced the code of this turn before it ran."]
    run = await runner.resume("fork")
    assert run.answer == ["mine", 3] and asked.prompts == []
    [sent] = asked.roots
    assert code.strip() in sent and CELLS[1] not in sent and "it ran" in sent and "A person replaced the code" in sent


# -- changing the question


async def test_a_changed_question_applies_from_its_step_and_earlier_turns_stay(runner: Runner, asked: Asked) -> None:
    ended = await step(runner, "execute_code", 1, "characters")
    fork = await runner.fork("parent", ended, into="fork", question=" Which one? ")
    assert (fork.usage["model_calls"], asked.prompts) == (0, [])
    run = await runner.resume("fork")
    assert run.answer == ANSWER and asked.prompts == [], "the same code asks the same"
    assert len(asked.roots) == 2
    for sent in asked.roots:
        assert "# Question\nWhich one?" in sent and "# Question\nWhat?" not in sent
        assert "A person changed the question after this turn. Until then it was: What?" in sent
    assert {r["thread_id"]: r["question"] for r in await runner.queries.runs()} == {
        "fork": "Which one?",
        "parent": "What?",
    }
    assert (await runner.queries.show("fork", runner.graph, ended))["question"] == "What?"


async def test_a_question_changed_before_the_first_turn_is_the_only_one(runner: Runner, asked: Asked) -> None:
    for number in (1, 2, 3):
        await runner.fork("parent", number, into=f"at {number}", question="Which one?")
        assert (await runner.resume(f"at {number}")).answer == ANSWER
        assert (await runner.queries.show(f"at {number}", runner.graph))["question"] == "Which one?"
    assert all("# Question\nWhich one?" in sent and "What?" not in sent for sent in asked.roots)
    assert len(asked.roots) == 9, "forks do not share answers with each other"


async def test_a_fork_of_an_answered_run_answers_another_question_in_its_repl(runner: Runner, asked: Asked) -> None:
    parent = await runner.read("parent")
    for number in (parent.steps - 1, parent.steps):
        await runner.fork("parent", number, into=f"at {number}", question="And now?")
        run = await runner.resume(f"at {number}")
        assert (run.status, run.answer, run.turns) == ("answered", ["once more", ["A3", "B3"], 3], 4)
    assert asked.prompts == [] and len(asked.roots) == 2


async def test_a_changed_question_after_the_last_turn_needs_a_raised_limit(runner: Runner, model: str) -> None:
    run = await runner.run("What?", "the input", model=model, thread="used up", max_turns=3)
    with pytest.raises(UsageError, match="All 3 turns"):
        await runner.fork("used up", run.steps, question="And now?")
    await runner.fork("used up", run.steps, into="raised", question="And now?", max_turns=5)
    assert (await runner.resume("raised")).answer == ["once more", ["A3", "B3"], 3]


# -- changing answers


async def test_the_code_gets_a_changed_answer_and_the_recorded_others(runner: Runner, asked: Asked) -> None:
    keys = {call.prompt: call.row.key for call in await runner.queries.calls("parent")}
    for kind in ("execute_code", "sub_call"):
        await runner.fork("parent", await step(runner, kind, 2), into=kind, answers={keys["A3"][:14]: "changed"})
        assert (await runner.resume(kind)).answer == ["changed", "B3", 3]
    assert asked.prompts == []
    assert all("picked: list, size 2 = ['changed', 'B3']" in sent for sent in asked.roots)
    assert len(asked.roots) == 2, "the cell printed nothing, but its changed variables are sent"
    calls = {call.prompt: call.to_json() for call in await runner.queries.calls("execute_code")}
    assert (calls["A3"]["model"], calls["A3"]["answer"], calls["A3"]["tokens"]) == (REVIEWER, "changed", 0)
    assert calls["B3"]["model"] != REVIEWER and calls["B3"]["answer"] == "B3"


async def test_forks_of_a_fork_keep_its_changed_answers_even_fresh_ones(runner: Runner) -> None:
    keys = {call.prompt: call.row.key for call in await runner.queries.calls("parent")}
    standing = await step(runner, "execute_code", 2, "waits")
    await runner.fork("parent", standing, into="one", answers={keys["A3"]: "one"})
    for fresh in (False, True):
        await runner.fork("one", standing + 1, into=f"two {fresh}", fresh=fresh)
        assert (await runner.resume(f"two {fresh}")).answer == ["one", "B3", 3]
    await runner.fork("one", standing + 1, into="three", answers={keys["A3"]: "three", keys["B3"]: ""})
    assert (await runner.resume("three")).answer == ["three", "", 3]


async def test_a_failed_call_can_be_given_an_answer_and_one_with_a_schema_takes_only_json(
    tmp_path: Path, runner: Runner
) -> None:
    code = "n = llm_query('n', schema={'type': 'integer'})\nt = llm_query_batched(['broken'])\nFINAL([n, str(t[0])])"
    sub = "if prompt == 'broken': raise ValueError('no')\n        return '7'"
    model = write_script(tmp_path / "typed.py", [repl(code)], sub=sub)
    await runner.run("Q?", model=model, thread="typed")
    keys = {call.prompt: call.row.key for call in await runner.queries.calls("typed")}
    standing = await step(runner, "sub_call", 1, thread="typed")
    with pytest.raises(UsageError, match="must be JSON"):
        await runner.fork("typed", standing, answers={keys["n"]: "seven"})
    with pytest.raises(UsageError, match="must be a text"):
        await runner.fork("typed", standing, answers={keys["broken"]: 5})
    await runner.fork("typed", standing, into="fork", answers={keys["n"]: 8, keys["broken"]: "mended"})
    run = await runner.resume("fork")
    assert (run.answer, run.usage["model_calls"]) == ([8, "mended"], 0)
