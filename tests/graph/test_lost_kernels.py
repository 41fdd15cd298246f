"""Kernels that are killed at any point of a run: this costs at most the running cell, and the run continues."""

import asyncio
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.kernel.session import KernelSession, KernelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

REPLIES = [
    repl("kept = [llm_query('a')]\nboth = kept"),
    repl("kept += llm_query_batched(['b', 'c'])"),
    repl("FINAL([kept, both is kept, 'tried' in globals()])"),
]
ANSWER = [["A", "B", "C"], True, False]


def write_patient_script(path: Path) -> str:
    """Write a model that sends a cell again that died with its kernel. Return its name."""
    name = write_script(path, REPLIES)
    text = path.read_text().replace(
        "    done = max(marks, default=0)\n",
        "    done = max(marks, default=0) - sum(m['content'].count('The REPL died') for m in messages)\n",
    )
    path.write_text(text)
    return name


async def run_and_kill(home: Path, model: str, point: int) -> tuple[Run, list[str], int]:
    """Run with a kernel that is killed at the failpoint of that number.

    Return the run, the statuses of its cells, and the number of failpoints that it passed.
    """
    # Several threads pass failpoints at once.
    numbers = count(1)
    kernels = MemoryKernels()
    loop = asyncio.get_running_loop()

    def kill() -> None:
        if kernels.sessions:
            kernels.sessions[-1].kill("the test said so")

    def failpoint(_: str) -> None:
        if next(numbers) == point:
            loop.call_soon_threadsafe(kill)

    async with Runner.open(home, kernels=kernels, failpoint=failpoint) as runner:
        run = await runner.run("What?", model=model, thread="t")
        shown = await runner.queries.show("t", runner.graph)
        return run, [turn["status"] for turn in shown["turns"]], next(numbers) - 1


async def test_a_kernel_killed_at_any_failpoint_costs_one_cell_at_most(tmp_path: Path) -> None:
    model = write_patient_script(tmp_path / "m.py")
    for point in count(1, 7):
        run, ended, points = await run_and_kill(tmp_path / str(point), model, point)
        assert (run.status, run.answer, run.error) == ("answered", ANSWER, None), f"point {point}: {run}"
        assert ended.count("died") <= 1 and [status for status in ended if status != "died"] == ["ok"] * 3
        if point > points:
            break


async def test_a_kernel_killed_between_cells_costs_no_cell(tmp_path: Path) -> None:
    kernels = MemoryKernels()
    model = write_patient_script(tmp_path / "m.py")

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "turn" and event["turn"] > 1:
            kernels.sessions[-1].kill("the test said so")

    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        run = await runner.run("What?", model=model, thread="t", on_event=on_event)
        shown = await runner.queries.show("t", runner.graph)
    assert (run.answer, [turn["status"] for turn in shown["turns"]]) == (ANSWER, ["ok"] * 3)
    assert run.usage["model_calls"] == 6


async def test_kernels_that_die_in_every_cell_stop_the_run_before_more_is_paid(tmp_path: Path) -> None:
    kernels = MemoryKernels()
    model = write_script(tmp_path / "m.py", [repl(f"x{number} = {number}") for number in range(6)] + [repl("FINAL(1)")])
    loop = asyncio.get_running_loop()
    dying = True

    def failpoint(name: str) -> None:
        if dying and name == "cell-sent":
            loop.call_soon_threadsafe(kernels.sessions[-1].kill, "the test said so")

    async with Runner.open(tmp_path / "home", kernels=kernels, failpoint=failpoint) as runner:
        run = await runner.run("What?", model=model, thread="t")
        assert (run.status, run.usage["model_calls"]) == ("failed", 3)
        assert run.error is not None and "in 3 cells in a row" in run.error["message"]
        assert "resume t" in run.error["hint"] and "memory" in run.error["hint"]
        again = await runner.resume("t")
        assert (again.status, again.usage["model_calls"]) == ("failed", 3), "a resume pays nothing while kernels die"
        dying = False
        ended = await runner.resume("t")
        shown = await runner.queries.show("t", runner.graph)
    assert (ended.status, ended.answer, ended.usage["model_calls"]) == ("answered", 1, 7)
    assert [turn["status"] for turn in shown["turns"]] == ["died", "died", *["ok"] * 5]


async def test_kernels_that_die_now_and_then_do_not_stop_the_run(tmp_path: Path) -> None:
    kernels = MemoryKernels()
    model = write_script(tmp_path / "m.py", [repl(f"x{number} = {number}") for number in range(6)] + [repl("FINAL(1)")])
    loop = asyncio.get_running_loop()
    cells = count()

    def failpoint(name: str) -> None:
        if name == "cell-sent" and next(cells) in (0, 1, 3, 4):
            loop.call_soon_threadsafe(kernels.sessions[-1].kill, "the test said so")

    async with Runner.open(tmp_path / "home", kernels=kernels, failpoint=failpoint) as runner:
        run = await runner.run("What?", model=model, thread="t")
    assert (run.status, run.answer) == ("answered", 1)


class KernelsThatDie(MemoryKernels):
    """Kernels of which the next `number` die while their variables are restored, by no fault of a cell."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def start(self, spec: KernelSpec) -> KernelSession:
        session = await super().start(spec)
        if len(self.sessions) > 1 and self.number:
            self.number -= 1
            restore = session.restore

            async def dying(*given: Any) -> Any:
                self.sessions[-1].kill("the machine is short of memory")
                return await restore(*given)

            session.restore = dying  # pyright: ignore[reportAttributeAccessIssue]
        return session


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_kernel_that_dies_before_its_cell_begins_is_replaced_and_costs_no_cell(
    tmp_path: Path, number: int
) -> None:
    """A cell that never began has not taken its kernel with it. After three kernels in a row it is given up."""
    kernels = KernelsThatDie(number)
    model = write_patient_script(tmp_path / "m.py")

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "turn" and event["turn"] == 2:
            kernels.sessions[-1].kill("the test said so")

    async with Runner.open(tmp_path / "home", kernels=kernels) as runner:
        run = await runner.run("What?", model=model, thread="t", on_event=on_event)
        shown = await runner.queries.show("t", runner.graph)
    assert run.answer == ANSWER
    assert [turn["status"] for turn in shown["turns"]].count("died") == (number == 3)
