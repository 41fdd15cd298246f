"""Sub-RLMs: runs of their own, which can be opened like any other and spend the budget of the run that called them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.state.db.lineage import child_thread
from tests.graph.sub_rlms.conftest import tree_script

COUNTING = ["n = len(context.split())", "FINAL(f'{n} words: ' + llm_query(context))"]


async def test_a_sub_rlm_answers_with_turns_and_variables_of_its_own(runner: Runner, tmp_path: Path) -> None:
    top = ["n = 1\na = rlm_query('child: count', context=context[4:])\nFINAL((a, n))"]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": COUNTING})
    events: list[Mapping[str, Any]] = []
    run = await runner.run("top", "xxx one two", model=model, max_depth=2, on_event=events.append)
    assert (run.status, run.answer) == ("answered", ["2 words: ONE TWO", 1])
    assert [event["event"] for event in events].count("one_call") == 1, "about the run's input, not its sub-RLM's"
    [call] = [call.to_json() for call in await runner.queries.calls(run.thread_id)]
    child = await runner.read(call["child_thread"])
    assert (child.answer, child.turns) == ("2 words: ONE TWO", 2)
    assert child.thread_id == child_thread(run.thread_id, call["key"])
    assert (call["kind"], call["prompt"], call["answer"]) == ("rlm", "child: count", "2 words: ONE TWO")
    assert (run.usage["model_calls"], child.usage["model_calls"]) == (4, 3)


async def test_many_sub_rlms_answer_in_order_each_on_its_own_data(runner: Runner, tmp_path: Path) -> None:
    top = ["parts = context.split()\nFINAL(rlm_query_batched([f'child: {p}' for p in parts], context=parts))"]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["FINAL(context * 2)"]})
    words = [f"w{n}" for n in range(60)]
    run = await runner.run("top", " ".join(words), model=model, max_depth=2, kernels=7)
    assert run.answer == [word * 2 for word in words]
    assert run.usage["model_calls"] == 61


async def test_runs_three_deep_do_not_wait_for_each_others_kernels(runner: Runner, tmp_path: Path) -> None:
    branch = "FINAL('+'.join(rlm_query_batched([f'{} {{i}}' for i in range(6)])))"
    cells = {
        "top": [branch.format("middle")],
        "middle": [branch.format("leaf")],
        "leaf": ["FINAL(rlm_query('plain'))"],
    }
    model = tree_script(tmp_path / "m.py", cells)
    run = await asyncio.wait_for(runner.run("top", model=model, max_depth=3, kernels=3), 60)
    assert run.answer == "+".join(["PLAIN"] * 36)
    assert run.usage["model_calls"] == 1 + 6 + 36 + 36
    deepest = [row for row in await runner.queries.runs() if row["question"].startswith("leaf")]
    assert len(deepest) == 36


async def test_at_the_greatest_depth_rlm_query_is_a_plain_model_call(runner: Runner, tmp_path: Path) -> None:
    model = tree_script(tmp_path / "m.py", {"top": ["FINAL(rlm_query('q', context='data'))"]})
    run = await runner.run("top", model=model, max_depth=1)
    assert run.answer == "Q\n\nDATA"
    [call] = await runner.queries.calls(run.thread_id)
    assert call.row.child_thread is None


async def test_a_question_with_a_schema_gets_a_value_that_matches_it(runner: Runner, tmp_path: Path) -> None:
    schema = "{'type': 'object', 'properties': {'n': {'type': 'integer'}}, 'required': ['n']}"
    top = [f"v = rlm_query('child:', schema={schema})\nFINAL([type(v).__name__, v['n']])"]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["FINAL({'n': 'three'})", "FINAL({'n': 3})"]})
    run = await runner.run("top", model=model, max_depth=2)
    assert run.answer == ["dict", 3] and run.usage["model_calls"] == 3


async def test_a_question_without_a_schema_gets_a_text_for_any_type_of_answer(runner: Runner, tmp_path: Path) -> None:
    model = tree_script(tmp_path / "m.py", {"top": ["FINAL(repr(rlm_query('child:')))"], "child:": ["FINAL({'n': 3})"]})
    run = await runner.run("top", model=model, max_depth=2)
    assert run.answer == repr('{"n": 3}')


async def test_a_failed_sub_rlm_does_not_affect_the_others(runner: Runner, tmp_path: Path) -> None:
    top = ["r = rlm_query_batched(['good', 'bad', 'good'])\nFINAL([str(x) if x else x.error for x in r])"]
    model = tree_script(tmp_path / "m.py", {"top": top, "good": ["FINAL('fine')"], "bad": ["raise ValueError('x')"]})
    run = await runner.run("top", model=model, max_depth=2, max_turns=3)
    assert run.answer[0] == run.answer[2] == "fine"
    assert "its 3 turns gave no answer" in run.answer[1] and "rlm show" in run.answer[1]
    assert run.status == "answered"


async def test_equal_questions_start_separate_runs_and_cached_ones_share_one(runner: Runner, tmp_path: Path) -> None:
    top = [
        "a = rlm_query_batched(['child:'] * 3)\nb = rlm_query_batched(['child:'] * 3, cache=True)\nFINAL(len(a + b))"
    ]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["FINAL(1)"]})
    run = await runner.run("top", model=model, max_depth=2)
    assert run.answer == 6
    assert len(await runner.queries.runs()) == 1 + 3 + 1


async def test_events_report_every_sub_rlm(runner: Runner, tmp_path: Path) -> None:
    cells = {"top": ["FINAL(rlm_query('middle'))"], "middle": ["FINAL(rlm_query('leaf'))"], "leaf": ["FINAL(1)"]}
    events: list[Mapping[str, Any]] = []
    model = tree_script(tmp_path / "m.py", cells)
    await runner.run("top", model=model, max_depth=3, on_event=events.append)
    reported = [(event["depth"], event["question"], event["status"]) for event in events if event["event"] == "child"]
    assert sorted(set(reported)) == [
        *((1, "middle", "answered"), (1, "middle", "running")),
        *((2, "leaf", "answered"), (2, "leaf", "running")),
    ]


async def test_an_invalid_schema_is_refused_before_a_run_is_started(runner: Runner, tmp_path: Path) -> None:
    top = ["try:\n    rlm_query('child:', schema={'type': 'nonsense'})\nexcept SubCallError as e:\n    FINAL(str(e))"]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["FINAL(3)"]})
    run = await runner.run("top", model=model, max_depth=2)
    assert "not a usable JSON Schema" in run.answer and run.usage["model_calls"] == 1
    assert len(await runner.queries.runs()) == 1


async def test_code_that_loops_over_sub_calls_starts_no_run_once_the_budget_is_spent(
    runner: Runner, tmp_path: Path
) -> None:
    top = [
        "refused = 0\nfor i in range(200):\n    try:\n        rlm_query(f'child: {i}')\n"
        "    except BudgetExceeded:\n        refused += 1\nprint(refused)",
        "FINAL(refused)",
    ]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["FINAL(1)"]})
    run = await runner.run("top", model=model, max_depth=2, max_calls=5)
    assert (run.status, run.answer) == ("answered", 197)
    assert len(await runner.queries.runs()) == 4


async def test_another_run_with_the_name_of_a_child_is_not_mistaken_for_it(runner: Runner, tmp_path: Path) -> None:
    cells = {"top": ["FINAL(rlm_query('child:'))"], "child:": ["FINAL('right')"], "other": ["FINAL('wrong')"]}
    model = tree_script(tmp_path / "m.py", cells)
    first = await runner.run("top", model=model, max_depth=2, thread="first")
    [call] = [call.row for call in await runner.queries.calls(first.thread_id)]
    await runner.run("other", model=model, thread=child_thread("second", call.key))
    second = await runner.run("top", model=model, max_depth=2, thread="second")
    assert second.status == "failed" and second.error is not None
    assert second.error["type"] == "StoredDataDamaged" and second.answer is None
