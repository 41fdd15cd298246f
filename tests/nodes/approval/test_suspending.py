"""Suspended cells: while a reviewer decides, the process keeps the REPL as it is, and no result depends on that."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.wiring import open_deps
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.open_home import open_stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.approval.waiting_run import APPROVE, requests
from tests.scripts import repl, write_script

CELL = """
    with open({path!r}, "a") as log:
        log.write("x")
    answers = llm_query_batched(["a", "b"])
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of a file to which each run of the cell adds a character."""
    return tmp_path / "log"


@pytest.fixture
def model(tmp_path: Path, log: Path) -> str:
    return write_script(tmp_path / "m.py", [repl(CELL.format(path=str(log))), repl("FINAL(answers)")])


async def test_a_waiting_cell_is_not_run_again_by_the_process_that_started_it(
    runner: Runner, model: str, log: Path
) -> None:
    await runner.run("What?", "the input", model=model, thread="t", approve=["calls"])
    run = await runner.decide("t", [APPROVE])
    assert (run.answer, log.read_text()) == (["A", "B"], "x")


async def test_the_calls_of_a_waiting_cell_are_reported_to_the_caller_that_resumes_the_run(
    runner: Runner, model: str
) -> None:
    events: list[Mapping[str, Any]] = []
    await runner.run("What?", "the input", model=model, thread="t", approve=["calls"])
    await runner.decide("t", [APPROVE], on_event=events.append)
    assert [event["answered"] for event in events if event["event"] == "calls"][-1] == 2


async def test_a_decision_that_another_runner_executed_meanwhile_is_noticed(
    runner: Runner, model: str, log: Path
) -> None:
    await runner.run("What?", "the input", model=model, thread="t", approve=["calls", "final"])
    async with Runner.open(log.parent / "home", kernels=MemoryKernels()) as other:
        await other.decide("t", [APPROVE])
    assert log.read_text() == "xx"
    run = await runner.read("t")
    assert [request["name"] for request in requests(run)] == ["final_answer"]
    run = await runner.decide("t", [APPROVE])
    assert (run.status, run.answer) == ("answered", ["A", "B"])
    assert log.read_text() == "xx"


async def test_the_time_that_a_reviewer_takes_does_not_count_as_time_of_the_run(tmp_path: Path, model: str) -> None:
    now = 0.0
    async with open_stores(tmp_path / "home") as stores, open_deps(stores, kernels=MemoryKernels()) as deps:
        object.__setattr__(deps, "clock", lambda: now)
        runner = Runner(deps, RunSaver(stores.database, stores.leases))
        await runner.run("What?", "the input", model=model, thread="t", approve=["calls"], max_time=3600)
        now += 7 * 24 * 3600
        run = await runner.decide("t", [APPROVE])
        assert (run.status, run.answer) == ("answered", ["A", "B"])
        assert (await runner.queries.about("t"))["seconds"] < 3600
        await runner._active_runs.close_all()


async def test_a_wait_longer_than_the_idle_time_closes_the_active_run(runner: Runner, model: str, log: Path) -> None:
    await runner.run("What?", "the input", model=model, thread="t", approve=["calls"], kernel_idle=0.05)
    while runner._active_runs.find("t"):
        await asyncio.sleep(0)
    assert (await runner.decide("t", [APPROVE])).answer == ["A", "B"]
    # On a slow machine the idle time may pass once more before the cell ends.
    assert len(log.read_text()) >= 2, "the cell ran again, in a restored kernel"
