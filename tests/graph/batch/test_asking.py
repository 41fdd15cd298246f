"""Many questions over one input: each is a run of its own, and what can be shared is made once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Question, QuestionsRefused, Runner
from durable_rlm.nodes.runtime.events import Event
from tests.graph.batch.conftest import CountingKernels, Model, ask, questions, statuses


async def test_each_question_is_answered_by_a_run_named_after_it(runner: Runner, model: Model) -> None:
    runs = await ask(runner, questions(3), prefix="night-", model=model.name)
    assert {name: (run.thread_id, run.answer) for name, run in runs.items()} == {
        f"q{one}": (f"night-q{one}", f"ABOUT WORD{one}") for one in range(3)
    }
    assert {run["thread_id"] for run in await runner.queries.runs()} == {"night-q0", "night-q1", "night-q2"}


async def test_the_same_call_again_returns_what_is_saved_and_needs_no_model(runner: Runner, model: Model) -> None:
    first = await ask(runner, questions(5), model=model.name)
    asked = model.asked
    model.script.unlink()
    again = await ask(runner, questions(5), model=model.name)
    assert (again, model.asked) == ({name: first[name] for name in again}, asked)
    assert list(again) == [f"q{one}" for one in range(5)]


async def test_an_input_is_read_once_whether_it_is_shared_or_not(runner: Runner, model: Model, tmp_path: Path) -> None:
    for name in ("shared.txt", "own.txt"):
        (tmp_path / name).write_text(f"This is {name}.")
    own = (str(tmp_path / "own.txt"),)
    asked = [*questions(3), Question("a", "A?", paths=own), Question("b", "B?", paths=own)]
    events: list[tuple[str, Any]] = []

    def on_event(question: str, event: Any) -> None:
        events.append((question, event))

    runs = await ask(runner, asked, [tmp_path / "shared.txt"], model=model.name, on_event=on_event)
    assert set(statuses(runs).values()) == {"answered"}
    assert [name for name, event in events if event["event"] == "input" and event["done"]] == ["", "a"]
    inputs = {(await runner.queries.about(name))["input"]["pack"] for name in ("q0", "q1", "q2")}
    assert len(inputs) == 1 and (await runner.queries.about("b"))["input"]["pack"] not in inputs


async def test_an_input_that_is_freed_while_the_others_are_read_is_read_again(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"the text of file {name}")
    asked = [Question(name, "Word?", paths=(str(tmp_path / name),)) for name in ("one", "two")]
    freed: list[Path] = []

    def gc(question: str, event: Event) -> None:
        if question == "two" and event["event"] == "input" and event["done"] and not freed:
            blobs = [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()]
            freed.extend(path for path in blobs if b"file one" in path.read_bytes())
            for path in freed:
                path.unlink()

    runs = {
        question.id: run.status async for question, run in runner.ask_all(asked, None, model=model.name, on_event=gc)
    }
    assert freed and runs == {"one": "answered", "two": "answered"}
    assert all(path.exists() for path in freed)


async def test_events_name_their_question_and_begin_once_all_are_saved(runner: Runner, model: Model) -> None:
    events: list[tuple[str, str, int]] = []
    known = 0

    def on_event(question: str, event: Any) -> None:
        events.append((question, event["event"], len(model.asked)))

    await ask(runner, questions(2), model=model.name, on_event=on_event)
    begun = [(name, asked) for name, event, asked in events if event == "begun"]
    assert begun[0] == ("", known) and {name for name, _ in begun[1:]} == {"q0", "q1"}
    assert {name for name, event, _ in events if event == "turn"} == {"q0", "q1"}


async def test_a_schema_of_its_own_is_that_of_its_run(runner: Runner, model: Model) -> None:
    model.write("""
        async def reply(asked):
            return "```repl\\nFINAL({'n': 7} if " + repr(asked) + " == 'Typed' else 'text')\\n```"
        """)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    asked = [Question("a", "Typed?", schema=schema), Question("b", "Plain?")]
    runs = await ask(runner, asked, model=model.name)
    assert (runs["a"].answer, runs["b"].answer) == ({"n": 7}, "text")


BAD: dict[str, tuple[Sequence[Question], list[str]]] = {
    "empty question": ([Question("a", " ")], ["a"]),
    "empty name": ([Question("", "What?")], [""]),
    "same id": ([Question("a", "What?"), Question("a", "Why?")], ["a"]),
    "schema": ([Question("a", "What?", schema={"type": "nonsense"})], ["a"]),
    "schema with a number that cannot be saved": ([Question("a", "What?", schema={"maximum": 2**70})], ["a"]),
    "no paths": ([Question("a", "What?", paths=())], ["a"]),
    "no such file": ([Question("a", "What?", paths=("/does/not/exist",))], ["a"]),
    "standard input of its own": ([Question("a", "What?", paths=("-",))], ["a"]),
    "several": ([Question("a", ""), Question("b", "What?"), Question("c", "x" * 1_000_001)], ["a", "c"]),
}


@pytest.mark.parametrize("case", BAD)
async def test_questions_that_cannot_be_asked_are_listed_before_anything_is_saved_or_paid(
    runner: Runner, model: Model, case: str
) -> None:
    bad, names = BAD[case]
    with pytest.raises(QuestionsRefused) as refused:
        await ask(runner, [*questions(2), *bad], model=model.name)
    assert [name for name, _ in refused.value.problems] == names
    assert all(words for _, words in refused.value.problems) and refused.value.exit_code == 2
    assert (await runner.queries.runs(), model.asked) == ([], [])


async def test_a_run_that_asks_something_else_is_not_overwritten(runner: Runner, model: Model) -> None:
    await ask(runner, questions(2), model=model.name)
    asked = len(model.asked)
    other = [Question("q0", "Other?"), Question("q1", "Word1?", schema={"type": "object"}), Question("q2", "New?")]
    with pytest.raises(QuestionsRefused) as refused:
        await ask(runner, other, model=model.name)
    assert [name for name, _ in refused.value.problems] == ["q0", "q1"]
    with pytest.raises(QuestionsRefused) as refused:
        await ask(runner, questions(2), "another input", model=model.name)
    assert [name for name, _ in refused.value.problems] == ["q0", "q1"]
    assert len(model.asked) == asked and len(await runner.queries.runs()) == 2


async def test_a_changed_input_is_refused_for_each_question_with_what_to_do(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    text = tmp_path / "input.txt"
    text.write_text("before")
    await ask(runner, questions(2), [text], model=model.name)
    text.write_text("after")
    with pytest.raises(QuestionsRefused) as refused:
        await ask(runner, questions(3), [text], model=model.name)
    assert [name for name, _ in refused.value.problems] == ["q0", "q1"]
    assert all(words.endswith("input has changed since it was begun.") for _, words in refused.value.problems)
    assert "another --thread" in refused.value.hint
    with pytest.raises(QuestionsRefused, match="q0 exists and asks the same question about another input"):
        await ask(runner, questions(1), "the text itself", model=model.name)
    assert len(await runner.queries.runs()) == 2


async def test_no_more_than_the_allowed_calls_and_kernels_are_under_way(tmp_path: Path, model: Model) -> None:
    kernels = CountingKernels()
    model.write("""
        async def sub(prompt):
            note(prompt)
            IN_FLIGHT[0] += 1
            note({"in flight": IN_FLIGHT[0]})
            await asyncio.sleep(0.001)
            IN_FLIGHT[0] -= 1
            return "yes"

        async def reply(asked):
            return "```repl\\nFINAL(len(llm_query_batched([str(n) for n in range(4)])))\\n```"
        """)
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        runs = await ask(runner, questions(40), model=model.name, concurrency=6, kernels=8)
    in_flight: list[int] = [one["in flight"] for one in model.asked if isinstance(one, dict)]
    assert set(statuses(runs).values()) == {"answered"} and max(in_flight) <= 6 and kernels.most == 6


async def test_sub_rlms_of_many_questions_share_the_kernels_without_waiting_for_each_other(
    tmp_path: Path, model: Model
) -> None:
    model.write("""
        async def reply(asked):
            ask = "rlm_query_batched(['Below?', 'Deep?'])" if asked.startswith("Word") else "['x']"
            return "```repl\\nFINAL(len(" + ask + "))\\n```"
        """)
    kernels = CountingKernels()
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        runs = await ask(runner, questions(12), model=model.name, max_depth=2, kernels=5)
    assert {run.answer for run in runs.values()} == {2} and kernels.most <= 5


async def test_runs_that_were_begun_with_more_levels_have_kernels_for_them_all_the_same(
    runner: Runner, model: Model
) -> None:
    model.write("""
        async def reply(asked):
            raise RuntimeError("not now")
        """)
    assert set(statuses(await ask(runner, questions(3), model=model.name, max_depth=2)).values()) == {"failed"}
    model.write("""
        async def reply(asked):
            return "```repl\\nFINAL(" + ("rlm_query('Below?')" if asked.startswith("Word") else "'deep'") + ")\\n```"
        """)
    runs = await ask(runner, questions(3), model=model.name, max_depth=1, kernels=1)
    assert {run.answer for run in runs.values()} == {"deep"}
