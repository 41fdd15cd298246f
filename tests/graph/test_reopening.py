"""Reopening a run that ended with a spent budget, by raising a limit, with interruptions at any failpoint."""

from pathlib import Path

import pytest

from durable_rlm import LimitOptions, ModelOptions, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.dead_owners import mark_owner_dead
from tests.scripts import Asked, repl, write_script


class Crash(BaseException):
    """The death of the process; no later failpoint lets it continue."""


class DyingAt:
    """A failpoint that raises Crash at the one with this number, and at every one after it."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.passed: list[str] = []

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        if len(self.passed) >= self._left:
            raise Crash(point)

    @property
    def in_flight(self) -> int:
        """The number of requests that were sent and not recorded."""
        return self.passed.count("request-before") - self.passed.count("journal-after")


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(
        tmp_path / "m.py", [repl("x = [llm_query('a')]"), repl("x += [llm_query('b')]"), repl("FINAL(x)")]
    )


async def test_a_run_killed_while_being_reopened_resumes_once_with_the_raised_limits(
    tmp_path: Path, model: str
) -> None:
    asked = Asked(model)
    for number in range(1, 30):
        home, dying = tmp_path / str(number), DyingAt(number)
        before = len(asked.prompts) + len(asked.roots)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            assert (await runner.run("What?", model=model, thread="t", max_turns=1)).status == "budget"
        with pytest.raises(Crash):
            async with Runner.open(home, kernels=MemoryKernels(), failpoint=dying) as runner:
                await runner.resume("t", max_turns=5)
        mark_owner_dead(home)
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            raised = (await runner.queries.about("t"))["limits"]["max_turns"] == 5
            run = await (runner.resume("t") if raised else runner.resume("t", max_turns=5))
            assert (run.status, run.answer, run.turns) == ("answered", ["A", "B"], 3), number
            kinds = [step["kind"] for step in await runner.queries.steps("t")]
            assert kinds.count("update") == 1, "reopened once"
        assert len(asked.prompts) + len(asked.roots) - before <= 5 + dying.in_flight


@pytest.mark.parametrize("look", [1, 2])
async def test_of_two_callers_that_raise_a_runs_budget_one_executes_it(tmp_path: Path, model: str, look: int) -> None:
    """The second caller comes right after the first has read the run's status, before or after it has the lease."""
    asked, looked = Asked(model), 0
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.run("What?", model=model, thread="t", max_turns=1)
        resuming = runner._resuming
        find = resuming._resume_point

        async def slow(thread_id: str, raises: LimitOptions, models: ModelOptions, more_time: bool) -> object:
            nonlocal looked
            found = await find(thread_id, raises, models, more_time)
            looked += 1
            if looked == look:
                other = await runner.resume("t", max_turns=5)
                assert other.status == ("answered" if look == 1 else "busy")
            return found

        resuming._resume_point = slow  # type: ignore[assignment, method-assign]
        again = await runner.resume("t", max_turns=9)
    assert (again.status, again.answer, again.turns) == ("answered", ["A", "B"], 3)
    assert len(asked.roots) == 3
