"""One budget for all questions of a batch: never above a limit, and continued by a higher one."""

from pathlib import Path

import pytest

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph.batch.conftest import Model, ask, questions, statuses

_TWO_TURNS = """
    async def root(messages):
        asked = question_in(messages)
        note(asked)
        if "[Turn 1]" not in str(messages):
            return "```repl\\nprint(len(str(context)))\\nx = llm_query(" + repr("about " + asked) + ")\\n```"
        again = "    FINAL(llm_query(" + repr("again " + asked) + "))"
        return "```repl\\ntry:\\n    FINAL(x)\\nexcept NameError:\\n" + again + "\\n```"
    """
"""Each question takes three requests."""


@pytest.mark.parametrize(("limit", "at_once"), [(20, 1), (20, 4), (20, 32), (7, 32), (1, 32)])
async def test_calls_of_all_questions_together_stay_within_the_limit(
    runner: Runner, model: Model, limit: int, at_once: int
) -> None:
    model.write(_TWO_TURNS)
    runs = await ask(runner, questions(12), model=model.name, max_calls=limit, concurrency=at_once)
    spent = sum(run.usage["model_calls"] for run in runs.values())
    assert len(runs) == 12 and set(statuses(runs).values()) <= {"answered", "budget"}
    assert spent == len(model.asked) <= limit
    # What is left over was kept back for last turns that were not needed, or is too little for another question.
    assert spent >= limit - 2


async def test_a_question_that_is_not_begun_costs_nothing_and_says_what_to_raise(runner: Runner, model: Model) -> None:
    runs = await ask(runner, questions(6), model=model.name, max_calls=5, concurrency=1)
    unpaid = [run for run in runs.values() if run.usage["model_calls"] == 0]
    assert unpaid and {run.status for run in unpaid} == {"budget"}
    assert all(run.error and run.error["type"] == "BudgetSpent" for run in unpaid)
    assert all("--max-calls" in (run.error or {})["message"] for run in unpaid)


async def test_the_same_call_with_a_higher_limit_answers_the_rest_and_pays_nothing_twice(
    runner: Runner, model: Model
) -> None:
    model.write(_TWO_TURNS)
    first = await ask(runner, questions(10), model=model.name, max_calls=14, concurrency=3)
    assert "budget" in statuses(first).values()
    paid = len(model.asked)
    again = await ask(runner, questions(10), model=model.name, max_calls=14, concurrency=3)
    assert len(model.asked) == paid and statuses(again) == statuses(first)
    last = await ask(runner, questions(10), model=model.name, max_calls=100)
    assert set(statuses(last).values()) == {"answered"}
    assert len(model.asked) == sum(run.usage["model_calls"] for run in last.values())
    answered = {name for name, run in first.items() if run.status == "answered"}
    assert all(last[name].usage == first[name].usage for name in answered)


async def test_tokens_of_all_questions_together_stay_within_the_limit(runner: Runner, model: Model) -> None:
    one = await runner.run("Word0?", "the input", thread="alone", model=model.name)
    each = one.usage["input_tokens"] + one.usage["output_tokens"]
    runs = await ask(runner, questions(20), model=model.name, max_tokens=each * 6, concurrency=8)
    spent = sum(run.usage["input_tokens"] + run.usage["output_tokens"] for run in runs.values())
    assert each * 2 < spent <= each * 6
    assert {"answered", "budget"} == set(statuses(runs).values())


async def test_limits_that_are_not_set_are_those_of_each_run(runner: Runner, model: Model) -> None:
    """The default of 2,000 calls is one for each question."""
    model.write("""
        async def reply(asked):
            return "```repl\\nprint(len(str(context)))\\nFINAL(len(llm_query_batched(['x'] * 1100)))\\n```"

        async def sub(prompt):
            return "yes"
        """)
    runs = await ask(runner, questions(2), model=model.name)
    assert {run.answer for run in runs.values()} == {1100}


async def test_turns_are_limited_for_each_question(runner: Runner, model: Model) -> None:
    model.write(_TWO_TURNS)
    runs = await ask(runner, questions(4), model=model.name, max_turns=2)
    assert set(statuses(runs).values()) == {"answered"}
    assert {run.turns for run in runs.values()} == {2}


async def test_time_is_that_of_the_whole_call_and_a_call_with_more_continues(runner: Runner, model: Model) -> None:
    model.write("""
        async def sub(prompt):
            note(prompt)
            await asyncio.sleep(3600)
        """)
    runs = await ask(runner, questions(6), model=model.name, max_time=1.0, concurrency=2)
    assert set(statuses(runs).values()) == {"budget"}
    assert sum(run.turns > 0 or run.steps > 0 for run in runs.values()) == 2
    model.write("")
    again = await ask(runner, questions(6), model=model.name, max_time=600)
    assert set(statuses(again).values()) == {"answered"}


async def test_spending_of_an_earlier_process_counts(model: Model, tmp_path: Path) -> None:
    runs: dict[str, Run] = {}
    for _ in range(3):
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            runs = await ask(runner, questions(12), model=model.name, max_calls=9, concurrency=2)
    assert len(model.asked) <= 9 and "budget" in statuses(runs).values()


async def test_the_model_is_sent_what_the_questions_have_left_together(runner: Runner, model: Model) -> None:
    model.write("""
        async def root(messages):
            asked = question_in(messages)
            note([asked, messages[-1]["content"]])
            if "[Turn 1]" not in str(messages):
                return "```repl\\nprint(len(str(context)))\\n```"
            return "```repl\\nFINAL('done')\\n```"
        """)
    await ask(runner, questions(4), model=model.name, max_calls=30, concurrency=1)
    second_turns = [text for _, text in model.asked[1::2]]
    assert [left in text for left, text in zip(("29", "27", "25", "23"), second_turns, strict=True)] == [True] * 4
