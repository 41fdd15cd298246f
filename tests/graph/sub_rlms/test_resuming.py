"""Resuming a tree of runs after a stop or a crash: ended children are reused, the others resume, all paid once."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.errors import RunBusy, UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.crash_at import Crash, CrashAt
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import Asked

TOP = ["parts = rlm_query_batched(['child: 1', 'child: 2', 'child: 3'], context=context)\nFINAL(parts)"]
CHILD = ["n = len(context)", "a = [llm_query(f'{q}{n}-{i}') for i in range(3)]", "FINAL('/'.join(a))"]


def open_home(tmp_path: Path, **options: Any) -> Any:
    return Runner.open(tmp_path / "home", kernels=MemoryKernels(), **options)


def script(tmp_path: Path) -> str:
    child = [cell.replace("{q}", "q") for cell in CHILD]
    return tree_script(tmp_path / "m.py", {"top": TOP, "child:": child})


ANSWER = ["Q5-0/Q5-1/Q5-2"] * 3


@pytest.mark.parametrize("times", range(1, 10))
@pytest.mark.parametrize("point", ["request-after", "journal-before", "journal-after", "deliver-before", "plan-end"])
async def test_a_tree_that_crashes_at_any_failpoint_resumes_and_pays_for_nothing_twice(
    tmp_path: Path, point: str, times: int
) -> None:
    model = script(tmp_path)
    asked = Asked(model)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt(point, times)) as runner:
            await runner.run("top", "12345", thread="t", model=model, max_depth=2)
    async with open_home(tmp_path) as runner:
        run = await runner.resume("t")
        assert (run.status, run.answer) == ("answered", ANSWER)
        assert len(await runner.queries.runs()) == 4
        # Requests in flight at the crash are sent again; recorded ones are not.
        assert len(asked) <= 19 + 4
        assert len(asked) <= run.usage["model_calls"] <= len(asked) + 4


async def test_the_answers_of_ended_children_are_reused(tmp_path: Path) -> None:
    model = script(tmp_path)
    asked = Asked(model)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt("finalize-end", 4)) as runner:
            await runner.run("top", "12345", thread="t", model=model, max_depth=2)
    before = len(asked)
    async with open_home(tmp_path) as runner:
        assert (await runner.resume("t")).answer == ANSWER
    assert before == len(asked) == 1 + 3 * 6


@pytest.mark.parametrize("runs", [1, 4])
async def test_a_run_that_ended_just_before_the_crash_is_listed_as_answered(tmp_path: Path, runs: int) -> None:
    model = script(tmp_path)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt("execution-ended-before", runs)) as runner:
            await runner.run("top", "12345", thread="t", model=model, max_depth=2)
    async with open_home(tmp_path) as runner:
        await runner.resume("t")
        assert Counter(row["status"] for row in await runner.queries.runs()) == {"answered": 4}


async def test_a_sub_rlm_that_used_up_its_turns_before_the_crash_gets_no_more_turns(tmp_path: Path) -> None:
    top = ["got = rlm_query_batched(['child: 1'])", "FINAL(got[0].error)"]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": ["1 / 0"]})
    asked = Asked(model)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt("execution-ended-before", 1)) as runner:
            await runner.run("top", thread="t", model=model, max_depth=2, max_turns=3)
    assert len(asked) == 1 + 3
    async with open_home(tmp_path) as runner:
        assert "its 3 turns gave no answer" in (await runner.resume("t")).answer
    assert len(asked) == 1 + 3 + 1


async def test_a_fork_reuses_ended_children_and_resumes_forks_of_the_others(tmp_path: Path) -> None:
    model = script(tmp_path)
    asked = Asked(model)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt("journal-before", 15)) as runner:
            await runner.run("top", "12345", thread="t", model=model, max_depth=2)
    async with open_home(tmp_path) as runner:
        steps = await runner.queries.steps("t")
        plan = next(step["step"] for step in steps if step["kind"] == "plan")
        await runner.fork("t", plan, into="f")
        before = len(asked)
        run = await runner.resume("f")
        assert run.answer == ANSWER
        paid_by_fork = len(asked) - before
        assert 0 < paid_by_fork < 10 and run.usage["model_calls"] == paid_by_fork
        # The original resumes as if there were no fork: it pays for requests that only the fork has sent.
        assert (await runner.resume("t")).answer == ANSWER
        again = await runner.fork("t", plan, into="g")
        before = len(asked)
        assert (await runner.resume(again.thread_id)).answer == ANSWER
        assert len(asked) == before


async def test_a_fork_counts_the_spending_before_it(tmp_path: Path) -> None:
    model = script(tmp_path)
    async with open_home(tmp_path) as runner:
        await runner.run("top", "12345", thread="t", model=model, max_depth=2, max_calls=30)
        steps = await runner.queries.steps("t")
        last = next(step["step"] for step in reversed(steps) if step["kind"] == "execute_code")
        fork = await runner.fork("t", last, into="f", code=None)
        assert fork.usage["model_calls"] == 0
        before = await runner.stores.spending.before("f")
        assert before.model_calls == 19


async def test_stopping_a_run_stops_its_children_and_all_resume_later(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    sub = f"import pathlib, time\n                while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    cells = {"top": TOP, "child:": ["FINAL(llm_query('slow'))"]}
    model = tree_script(tmp_path / "m.py", cells, sub=f"{sub}\n                return prompt.upper()")
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with open_home(tmp_path) as runner:
        task = asyncio.create_task(
            runner.run("top", "12345", thread="t", model=model, max_depth=2, on_event=events.put_nowait)
        )
        while sum(1 for _ in [await events.get()]) and len(await runner.queries.runs()) < 4:
            pass
        with pytest.raises(RunBusy):
            await runner.delete("t")
        [child, *_] = [row["thread_id"] for row in await runner.queries.runs() if row["parent"] == "t"]
        assert (await runner.resume(child)).status == "busy"
        assert await runner.stop(child), "a child is stopped with the run that called it"
        assert (await task).status == "stopped"
        assert Counter(row["status"] for row in await runner.queries.runs()) == {"stopped": 4}
        gate.touch()
        assert (await runner.resume("t")).answer == ["SLOW"] * 3


async def test_a_child_can_be_resumed_by_itself(tmp_path: Path) -> None:
    model = script(tmp_path)
    with pytest.raises(Crash):
        async with open_home(tmp_path, failpoint=CrashAt("journal-after", 9)) as runner:
            await runner.run("top", "12345", thread="t", model=model, max_depth=2)
    async with open_home(tmp_path) as runner:
        rows = [row for row in await runner.queries.runs() if row["parent"] == "t"]
        child = next(row["thread_id"] for row in rows if row["status"] != "answered")
        with pytest.raises(UsageError, match="spends out of its budget"):
            await runner.resume(child, max_calls=50)
        assert (await runner.resume(child)).answer == ANSWER[0]
        assert (await runner.resume("t")).answer == ANSWER
        steps = await runner.queries.steps(child)
        fork = await runner.fork(child, steps[-2]["step"])
        assert (await runner.resume(fork.thread_id)).answer == ANSWER[0]


async def test_deleting_a_child_returns_no_budget_to_its_tree(tmp_path: Path) -> None:
    model = script(tmp_path)
    async with open_home(tmp_path) as runner:
        whole = await runner.run("top", "12345", thread="t", model=model, max_depth=2)
        [child, *_] = [row["thread_id"] for row in await runner.queries.runs() if row["parent"] == "t"]
        await runner.delete(child)
        left = await runner.read("t")
        assert (left.answer, left.usage) == (whole.answer, whole.usage)


async def test_deleting_a_run_deletes_its_children(tmp_path: Path) -> None:
    model = script(tmp_path)
    async with open_home(tmp_path) as runner:
        await runner.run("top", "12345", thread="t", model=model, max_depth=2)
        deleted = await runner.delete("t")
        assert len(deleted.threads) == 4 and await runner.queries.runs() == []
        with pytest.raises(UnknownThread):
            await runner.read(deleted.threads[-1])
