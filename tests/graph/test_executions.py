"""The executions of a run: when and why each began and ended."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state import leases
from durable_rlm.state.executions import Execution
from tests.clock import Clock
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.approval.waiting_run import APPROVE
from tests.scripts import repl, write_script


class Crash(BaseException):
    """The process dies."""


async def of(runner: Runner, thread: str) -> list[Execution]:
    return await runner.stores.executions.of(thread)


async def told(runner: Runner, thread: str) -> list[tuple[str, str | None]]:
    found = await of(runner, thread)
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert all(one.begun <= (one.ended or one.begun) for one in found)
    return [(one.reason, one.outcome) for one in found]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", [repl("a = llm_query('a')"), repl("FINAL(a)")])


async def test_a_run_is_started_out_of_budget_and_resumed(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="t", max_turns=1)
    assert await told(runner, "t") == [("started", "budget")]
    await runner.resume("t", max_turns=9)
    assert await told(runner, "t") == [("started", "budget"), ("resumed", "answered")]
    await runner.resume("t")
    assert len(await of(runner, "t")) == 2, "nothing was left to do"


async def test_a_wait_for_a_person_lies_between_two_executions_and_says_for_what(runner: Runner, model: str) -> None:
    run = await runner.run("What?", model=model, thread="t", approve=["code"])
    [first] = await of(runner, "t")
    assert first.outcome == "paused" and (first.detail or "").startswith("waits for a person: ")
    while run.status == "paused":
        run = await runner.decide("t", [APPROVE])
    assert await told(runner, "t") == [("started", "paused"), ("decided", "paused"), ("decided", "answered")]


async def test_a_fork_begins_with_an_execution_of_its_own(runner: Runner, model: str) -> None:
    await runner.run("What?", model=model, thread="t")
    await runner.fork("t", 4, into="f")
    assert await of(runner, "f") == []
    await runner.resume("f")
    assert await told(runner, "f") == [("forked", "answered")]


async def test_a_failure_says_why(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "bad.py", [])
    await runner.run("What?", model=model, thread="t")
    [only] = await of(runner, "t")
    assert only.outcome == "failed" and "the script has 0 replies" in (only.detail or "")


async def test_a_sub_rlm_has_an_execution_within_its_callers(runner: Runner, tmp_path: Path) -> None:
    cell = "FINAL(llm_query(context)) if context else FINAL(rlm_query('child', context='c'))"
    model = write_script(tmp_path / "m.py", [repl(cell)])
    await runner.run("What?", model=model, thread="t", max_depth=2)
    [child] = await runner.stores.threads.children("t")
    [own], [its] = await of(runner, "t"), await of(runner, child.thread_id)
    assert its.outcome == "answered" and own.begun <= its.begun and (its.ended or 0) <= (own.ended or 0)


@pytest.mark.parametrize("point", ["journal-after", "checkpoint-after", "execution-begun-after"])
async def test_an_execution_that_was_killed_ended_with_the_last_renewal_of_its_lease(
    tmp_path: Path, model: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[str] = []

    def failpoint(passed: str) -> None:
        if passes or point in passed:
            passes.append(passed)
            raise Crash

    clock = Clock(1_000.0)
    dead: dict[str, Any] = {**leases.this_process(), "pid": 4_194_305}
    with monkeypatch.context() as patch:
        patch.setattr(leases, "this_process", lambda: dead)
        with pytest.raises(Crash):
            async with Runner.open(
                tmp_path / "home", kernels=MemoryKernels(), failpoint=failpoint, clock=clock
            ) as runner:
                await runner.run("What?", model=model, thread="t")
    clock.now += 500.0
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), clock=clock) as runner:
        [killed] = await of(runner, "t")
        assert (killed.outcome, killed.ended) == ("killed", 1_000.0), "also before anything takes the run"
        await runner.resume("t")
        assert (await of(runner, "t"))[0] == killed
        assert await told(runner, "t") == [("started", "killed"), ("resumed", "answered")]
