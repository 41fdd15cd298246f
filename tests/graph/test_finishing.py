"""Finishes that can be trusted: what is no answer is refused, what may be none is held back for one turn."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from tests.scripts import repl, write_script

INVENTED = """I count.
```repl
n = len(context.splitlines())
print(n)
```

Output:
```
42
```

So there are 42.
```repl
FINAL(42)
```
"""
COUNTED = repl("FINAL(len(context.splitlines()))")


async def finish(runner: Runner, tmp_path: Path, *replies: str, **settings: Any) -> Run:
    model = write_script(tmp_path / "m.py", list(replies))
    return await runner.run("How many?", "one\ntwo\nthree\n", model=model, thread="t", **settings)


async def notes_of(runner: Runner, turn: int) -> str:
    return " ".join((await runner.queries.show("t", runner.graph))["turns"][turn - 1]["notes"])


async def test_an_answer_from_an_invented_output_is_held_back_with_the_real_one(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, INVENTED, COUNTED)
    assert (run.answer, run.turns) == (3, 2)
    assert "FINAL was held back" in await notes_of(runner, 1)


async def test_the_same_value_counts_the_second_time(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, INVENTED, INVENTED)
    assert (run.answer, run.turns) == (42, 2)


async def test_nothing_is_held_back_in_the_last_turn(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, INVENTED, max_turns=1)
    assert (run.status, run.answer) == ("answered", 42)


@pytest.mark.parametrize(
    "reply",
    [
        repl("print(context)\nFINAL(42)"),
        "```repl\nn = context and 42\n```\nNow:\n```repl\nFINAL(n)\n```",
        "```repl\nprint(context)\n```\n```repl\nFINAL(42)\n```",
        "```repl\nprint(context)\nFINAL(42)\n```\nAnd:\n```repl\nFINAL(42)\n```",
    ],
    ids=["one block", "no output before", "no text between", "in the first block, too"],
)
async def test_an_ordinary_finish_counts_at_once(runner: Runner, tmp_path: Path, reply: str) -> None:
    run = await finish(runner, tmp_path, reply)
    assert (run.answer, run.turns) == (42, 1)


GUESS = repl("print(len(context))\nFINAL(42)")


async def test_an_answer_before_anything_was_read_is_held_back_for_one_turn(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, GUESS, COUNTED)
    assert (run.answer, run.turns) == (3, 2)
    assert "nothing of `context` was read" in await notes_of(runner, 1)


@pytest.mark.parametrize("second", [GUESS, repl("FINAL(42)")])
async def test_an_answer_that_needs_no_reading_counts_in_the_second_turn(
    runner: Runner, tmp_path: Path, second: str
) -> None:
    run = await finish(runner, tmp_path, GUESS, second)
    assert (run.answer, run.turns) == (42, 2)


async def test_a_guess_counts_where_no_turn_follows(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, GUESS, max_turns=1)
    assert (run.status, run.answer, run.turns) == ("answered", 42, 1)


async def test_without_an_input_there_is_nothing_to_read(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(42)")])
    run = await runner.run("How many?", model=model)
    assert (run.answer, run.turns) == (42, 1)


async def test_code_of_a_person_may_finish_without_reading(runner: Runner, tmp_path: Path) -> None:
    await finish(runner, tmp_path, COUNTED)
    steps = await runner.queries.steps("t")
    planned = next(step["step"] for step in steps if step["kind"] == "plan")
    await runner.fork("t", planned, into="other", code="FINAL('mine')")
    run = await runner.resume("other")
    assert (run.answer, run.turns) == ("mine", 1)


@pytest.mark.parametrize("value", ["None", "''"])
async def test_an_empty_answer_is_held_back_once(runner: Runner, tmp_path: Path, value: str) -> None:
    run = await finish(runner, tmp_path, *[repl(f"FINAL({value})")] * 2)
    assert (run.status, run.answer or None, run.turns) == ("answered", None, 2)


@pytest.mark.parametrize(
    "value", ["...", "(n for n in [1])", "print", "__import__('json')", "map(str, [1])", "type(1)"]
)
async def test_a_value_that_is_no_answer_is_refused(runner: Runner, tmp_path: Path, value: str) -> None:
    run = await finish(runner, tmp_path, *[repl(f"FINAL({value})")] * 2, COUNTED)
    assert (run.answer, run.turns) == (3, 3)
    assert "FINAL was refused" in await notes_of(runner, 2)


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("report = 'all of it'\nFINAL('report')", "all of it"),
        ("report = {'pages': 42}\nFINAL('report')", {"pages": 42}),
        ("report = ''\nFINAL('report')", "report"),
        ("report = 'report'\nFINAL('report')", "report"),
        ("yes = 'no'\nFINAL('yes')", "yes"),
        ("FINAL('context')", "context"),
        ("FINAL('Rome')", "Rome"),
        ("report = 'all of it'\nFINAL_VAR(report)", "all of it"),
        ("report = 'Rome'\nFINAL_VAR(report)", "Rome"),
        ("report = 'all of it'\nFINAL_VAR('report')", "all of it"),
    ],
)
async def test_a_variable_may_be_given_by_name_or_by_value(
    runner: Runner, tmp_path: Path, cell: str, answer: Any
) -> None:
    run = await finish(runner, tmp_path, repl(f"print(context)\n{cell}"))
    assert (run.answer, run.turns) == (answer, 1)


async def test_a_text_that_was_taken_as_a_variable_is_noted(runner: Runner, tmp_path: Path) -> None:
    await finish(runner, tmp_path, repl("report = 'all of it'\nFINAL('report')"), COUNTED, max_turns=1)
    assert "FINAL('report') was taken as the variable" in await notes_of(runner, 1)


async def test_a_misspelt_variable_is_an_error(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, repl("report = 'all of it'\nFINAL_VAR('reprot')"), COUNTED)
    assert (run.answer, run.turns) == (3, 2)


async def test_a_finish_that_an_error_voids_is_noted(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, repl("FINAL(3)\nexit()"), COUNTED)
    assert (run.answer, run.turns) == (3, 2)
    assert "FINAL did not count" in await notes_of(runner, 1)


@pytest.mark.parametrize(
    "message",
    [
        "asyncio.run() cannot be called from a running event loop",
        "Runner.run() cannot be called from a running event loop",
        "This event loop is already running",
        "Cannot run the event loop while another loop is running",
    ],
)
async def test_a_second_event_loop_is_answered_with_the_way_that_works(
    runner: Runner, tmp_path: Path, message: str
) -> None:
    # The errors of Jupyter's kernel, which has a running loop (`tests/contract/test_sessions.py`).
    await finish(runner, tmp_path, repl(f"raise RuntimeError({message!r})"), COUNTED)
    assert "write `await main()`" in await notes_of(runner, 1)
