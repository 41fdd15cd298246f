"""Questions of a batch that end in other ways than with an answer, and what the same call does then."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import RunBusy, Runner
from durable_rlm.graph.resuming import Resuming
from durable_rlm.nodes.runtime.events import Event
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph.batch.conftest import CountingKernels, Model, ask, questions, statuses


async def test_a_question_that_fails_stops_no_other_and_alone_is_asked_again(runner: Runner, model: Model) -> None:
    model.write("""
        async def reply(asked):
            if asked == "Word1":
                raise RuntimeError("not this one")
            return "```repl\\nprint(len(str(context)))\\nFINAL(llm_query(" + repr(asked) + "))\\n```"
        """)
    runs = await ask(runner, questions(4), model=model.name)
    assert statuses(runs) == {"q0": "answered", "q1": "failed", "q2": "answered", "q3": "answered"}
    assert runs["q1"].error is not None and "not this one" in runs["q1"].error["message"]
    asked = len(model.asked)
    model.write("")
    again = await ask(runner, questions(4), model=model.name)
    assert set(statuses(again).values()) == {"answered"}
    assert model.asked[asked:] == ["Word1", "about Word1"]


async def test_an_unexpected_error_before_an_execution_is_the_error_of_its_question_alone(
    runner: Runner, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Resuming._ready  # pyright: ignore[reportPrivateUsage]

    async def broken(self: Resuming, thread_id: str, *given: Any) -> Any:
        if thread_id == "q1":
            raise ZeroDivisionError("a fault")
        return await ready(self, thread_id, *given)

    monkeypatch.setattr(Resuming, "_ready", broken)
    runs = await ask(runner, questions(3), model=model.name)
    assert statuses(runs) == {"q0": "answered", "q1": "failed", "q2": "answered"}
    assert runs["q1"].error is not None and "ZeroDivisionError: a fault" in runs["q1"].error["message"]


async def test_a_damaged_answer_concerns_its_question_alone(model: Model, tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await ask(runner, questions(2), model=model.name)
    with closing(sqlite3.connect(home / "checkpoints.sqlite", isolation_level=None)) as file:
        file.execute("UPDATE texts SET body = 'ANOTHER' WHERE CAST(body AS TEXT) = 'ABOUT WORD0'")
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        runs = await ask(runner, questions(3), model=model.name)
    assert statuses(runs) == {"q0": "failed", "q1": "answered", "q2": "answered"}
    assert runs["q0"].error is not None and runs["q0"].error["type"] == "StoredDataDamaged"


async def test_questions_that_wait_for_approval_hold_no_kernel_and_wait_until_decided(
    tmp_path: Path, model: Model
) -> None:
    kernels = CountingKernels()
    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        runs = await ask(runner, questions(3), model=model.name, approve="final")
        assert set(statuses(runs).values()) == {"paused"} and kernels.alive == 0
        asked = len(model.asked)
        decided = await runner.decide("q1", [{"type": "approve"}])
        assert decided.status == "answered"
        again = await ask(runner, questions(3), model=model.name, approve="final")
        assert statuses(again) == {"q0": "paused", "q1": "answered", "q2": "paused"}
        assert again["q0"].interrupts == runs["q0"].interrupts and len(model.asked) == asked


async def test_a_question_whose_thread_another_runner_holds_is_busy(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    model.write("""
        async def sub(prompt):
            note(prompt)
            await asyncio.sleep(3600 if "Word1" in prompt else 0)
            return "yes"
        """)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as other:
        held = asyncio.create_task(other.run("Word1?", "the input", thread="q1", model=model.name))
        while "about Word1" not in model.asked:
            await asyncio.sleep(0)
        runs = await ask(runner, questions(3), model=model.name)
        assert statuses(runs) == {"q0": "answered", "q1": "busy", "q2": "answered"}
        await other.stop("q1")
        assert (await held).status == "stopped"


async def test_stopping_one_question_leaves_the_others(runner: Runner, model: Model) -> None:
    _wait_at(model, "Word1")
    runs: dict[str, str] = {}
    async for question, run in runner.ask_all(questions(3), "the input", model=model.name):
        runs[question.id] = run.status
        if len(runs) == 2:
            assert await runner.stop("q1")
    assert runs == {"q0": "answered", "q1": "stopped", "q2": "answered"}


async def test_after_a_stop_of_all_no_further_question_begins_and_the_same_call_continues(
    runner: Runner, model: Model
) -> None:
    _wait_at(model, "Word2")
    runs: dict[str, str] = {}
    async for question, run in runner.ask_all(questions(6), "the input", model=model.name, concurrency=1):
        runs[question.id] = run.status
        if len(runs) == 2:
            asyncio.get_running_loop().call_later(0, asyncio.ensure_future, _stop_all(runner, model))
    assert list(runs.values()) == ["answered", "answered", *["stopped"] * 4]
    assert not {"Word3", "Word4", "Word5"} & set(model.asked)
    asked = len(model.asked)
    model.write("")
    again = await ask(runner, questions(6), model=model.name)
    assert set(statuses(again).values()) == {"answered"}
    assert sorted(model.asked[asked:]) == sorted(["about Word2", *_requests(3, 4, 5)])


async def test_a_stop_of_all_from_elsewhere_that_comes_just_before_the_end_of_a_run_is_met(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    elsewhere = sqlite3.connect(tmp_path / "home" / "checkpoints.sqlite", isolation_level=None)
    watch = runner._executor._stop_watch  # pyright: ignore[reportPrivateUsage]

    async def look() -> None:
        """See nothing."""

    def request(question: str, event: Event) -> None:
        # Between two looks at the requests: the run ends by itself.
        if question == "q1":
            elsewhere.execute("UPDATE leases SET stop = token, stop_all = 1 WHERE thread_id = 'q1'")

    watch.look = look  # type: ignore[method-assign]
    asking = runner.ask_all(questions(4), "the input", model=model.name, concurrency=1, on_event=request)
    with closing(elsewhere):
        runs = {question.id: run.status async for question, run in asking}
    assert runs == {"q0": "answered", "q1": "answered", "q2": "stopped", "q3": "stopped"}
    assert not {"Word2", "Word3"} & set(model.asked)
    assert set(statuses(await ask(runner, questions(4), model=model.name)).values()) == {"answered"}


async def test_an_iterator_that_is_closed_early_leaves_everything_saved_and_nothing_running(
    runner: Runner, model: Model
) -> None:
    _wait_at(model, "Word2")
    asking = runner.ask_all(questions(6), "the input", model=model.name, concurrency=2)
    async for _ in asking:
        break
    await asking.aclose()
    assert not await runner.stop_all()
    model.write("")
    asked = set(model.asked)
    assert set(statuses(await ask(runner, questions(6), model=model.name)).values()) == {"answered"}
    twice = [one for one in model.asked if one in asked and model.asked.count(one) > 1]
    # A request that was under way when the run was stopped has no recorded answer.
    assert set(twice) <= {"Word1", "Word2", "about Word1", "about Word2"}


async def test_a_batch_that_is_cancelled_while_its_runs_are_entered_has_begun(
    runner: Runner, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = runner.stores.database
    commit, events = database.commit, list[str]()

    async def cancelled(unit: Any, what: str = "commit", **options: Any) -> Any:
        if what == "batch-entered":
            asyncio.get_running_loop().call_soon(task.cancel)
        return await commit(unit, what, **options)

    def on_event(question: str, event: Event) -> None:
        events.append(f"{question}{event['event']}")

    monkeypatch.setattr(database, "commit", cancelled)
    asking = runner.ask_all(questions(3), "the input", model=model.name, on_event=on_event)
    task = asyncio.ensure_future(anext(asking))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await runner.queries.runs()) == 3 and events[-1] == "begun"
    assert set(statuses(await ask(runner, questions(3), model=model.name)).values()) == {"answered"}


async def test_two_batches_in_two_runners_answer_each_question_once(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as other:
        first, second = await asyncio.gather(*(ask(one, questions(8), model=model.name) for one in (runner, other)))
    assert all("answered" in (first[name].status, second[name].status) for name in first)
    assert {run.status for run in (*first.values(), *second.values())} <= {"answered", "busy"}
    assert sorted(model.asked) == sorted(_requests(*range(8)))


async def test_a_question_of_a_single_run_is_a_part_of_a_batch_later(runner: Runner, model: Model) -> None:
    single = await runner.run("Word0?", "the input", thread="q0", model=model.name)
    runs = await ask(runner, questions(2), model=model.name)
    assert (runs["q0"], runs["q1"].status) == (single, "answered") and len(model.asked) == 4


async def test_two_hundred_questions_at_32_in_flight_are_each_answered_and_resumed_for_nothing(
    runner: Runner, model: Model
) -> None:
    runs = await ask(runner, questions(200), model=model.name)
    assert {name: run.answer for name, run in runs.items()} == {f"q{one}": f"ABOUT WORD{one}" for one in range(200)}
    assert len(model.asked) == 400
    assert await ask(runner, questions(200), model=model.name) == runs and len(model.asked) == 400


def _requests(*numbers: int) -> list[str]:
    return [text for number in numbers for text in (f"Word{number}", f"about Word{number}")]


def _wait_at(model: Model, word: str) -> None:
    """Make the sub-call of one question wait without end."""
    model.write(f"""
        async def sub(prompt):
            note(prompt)
            await asyncio.sleep(3600 if {word!r} in prompt else 0)
            return "yes"
        """)


async def _stop_all(runner: Runner, model: Model) -> None:
    while "about Word2" not in model.asked:
        await asyncio.sleep(0)
    await runner.stop_all()


async def test_a_batch_that_is_asked_is_refused_a_second_time_and_answers_afterwards(
    runner: Runner, model: Model, tmp_path: Path
) -> None:
    _wait_at(model, "Word1")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as other:
        first = asyncio.create_task(ask(other, questions(3), model=model.name))
        # The turn and the sub-call of each question: from here on the first process asks nothing more.
        while len(model.asked) < 6:
            await asyncio.sleep(0)
        asked = len(model.asked)
        with pytest.raises(RunBusy, match="asks these questions now") as refused:
            await ask(runner, questions(4), model=model.name)
        assert "rlm stop --all" in refused.value.hint and len(model.asked) == asked
        await other.stop("q1")
        assert (await first)["q1"].status == "stopped"
    model.write("")
    assert set(statuses(await ask(runner, questions(4), model=model.name)).values()) == {"answered"}


async def test_a_limit_that_a_spent_run_never_had_is_no_reason_to_ask_it_again(runner: Runner, model: Model) -> None:
    model.write("""
        async def reply(asked):
            return "```repl\\nprint(1)\\n```"
        """)
    spent = await ask(runner, questions(1), model=model.name, max_turns=1)
    asked = len(model.asked)
    again = await ask(runner, questions(1), model=model.name, max_turns=1, max_tokens=1_000_000)
    assert statuses(spent) == statuses(again) == {"q0": "budget"} and len(model.asked) == asked
