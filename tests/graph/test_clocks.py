"""Clocks that are set back, and runs that wait for weeks: the order of steps depends on a sequence, not on the time."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.types import StateSnapshot

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.dead_owners import mark_owner_dead
from tests.scripts import Asked, repl, write_script

HOUR = 3600.0
CONFIG: Any = {"configurable": {"thread_id": "t"}}


class Executors:
    """Runners over one home, each at a time that is set."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.now = time.time()
        self._monkeypatch = monkeypatch
        # The time from which LangGraph derives ids.
        clock = SimpleNamespace(time_ns=lambda: int(self.now * 1e9))
        monkeypatch.setattr("langgraph.checkpoint.base.id.time", clock)

    @asynccontextmanager
    async def at(self, shift: float = 0.0) -> AsyncGenerator[Runner]:
        self.now += shift
        self._monkeypatch.setattr("langgraph.checkpoint.base.id._last_v6_timestamp", None)
        async with Runner.open(self.home, kernels=MemoryKernels(), clock=self._clock) as runner:
            yield runner

    def _clock(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executors:
    return Executors(tmp_path / "home", monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(
        tmp_path / "m.py", [repl("x = [llm_query('a')]"), repl("x += [llm_query('b')]"), repl("FINAL(x)")]
    )


async def stopped_in_turn(runner: Runner, turn: int, model: str, thread: str = "t") -> None:
    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "code" and event["turn"] == turn:
            runner._executor.stop(thread)

    run = await runner.run("What?", model=model, thread=thread, on_event=on_event)
    assert run.status == "stopped"


def name(snapshot: StateSnapshot) -> str:
    return snapshot.config.get("configurable", {})["checkpoint_id"]


async def test_a_run_resumes_from_its_last_step_after_the_clock_is_set_back(executor: Executors, model: str) -> None:
    asked = Asked(model)
    async with executor.at() as runner:
        await stopped_in_turn(runner, 2, model)
        before = await runner.queries.steps("t")
    async with executor.at(-HOUR) as runner:
        run = await runner.resume("t")
        assert (run.answer, asked.prompts) == (["A", "B"], ["a", "b"]), "not from the step with the latest time"
        steps = await runner.queries.steps("t")
        assert steps[: len(before)] == before and [step["step"] for step in steps] == list(range(1, run.steps + 1))
        assert steps[-1]["created"] < before[-1]["created"], "times are shown as the clock gave them"
        assert (await runner.graph.aget_state(CONFIG)).values["status"] == "answered"


async def test_history_is_in_the_order_of_saving(executor: Executors, model: str) -> None:
    async with executor.at() as runner:
        await stopped_in_turn(runner, 2, model)
    async with executor.at(-HOUR) as runner:
        await runner.resume("t")
        saved = [step["checkpoint_id"] for step in await runner.queries.steps("t")][::-1]
        history = [name(one) async for one in runner.graph.aget_state_history(CONFIG)]
        assert history == saved and history != sorted(history, reverse=True)
        middle: Any = {"configurable": {"thread_id": "t", "checkpoint_id": saved[4]}}
        earlier = [one async for one in runner.graph.aget_state_history(CONFIG, before=middle, limit=3)]
        assert [name(one) for one in earlier] == saved[5:8]


async def test_a_run_that_was_killed_before_the_clock_was_set_back_is_taken_over(
    executor: Executors, model: str
) -> None:
    async with executor.at() as runner:
        await stopped_in_turn(runner, 2, model)
        await runner.stores.leases.acquire("t")
    mark_owner_dead(executor.home)
    async with executor.at(-HOUR) as runner:
        assert (await runner.resume("t")).status == "answered"


async def test_runs_are_listed_by_the_time_of_their_last_change(executor: Executors, model: str) -> None:
    for shift, thread in ((0.0, "first"), (-HOUR, "second"), (2 * HOUR, "third")):
        async with executor.at(shift) as runner:
            await runner.run("What?", model=model, thread=thread)
            listed = await runner.queries.runs()
            assert listed == sorted(listed, key=lambda run: run["updated"], reverse=True)
    assert [run["thread_id"] for run in listed] == ["third", "first", "second"]


async def test_a_run_that_was_stopped_for_three_weeks_resumes(executor: Executors, model: str) -> None:
    asked = Asked(model)
    async with executor.at() as runner:
        await stopped_in_turn(runner, 3, model)
    async with executor.at(21 * 24 * HOUR) as runner:
        freed = await runner.gc()
        run = await runner.resume("t")
        assert (run.answer, asked.prompts) == (["A", "B"], ["a", "b"]), freed
        assert (await runner.queries.about("t"))["seconds"] < 60, "the pause does not count as the run's time"
        assert (await runner.verify("t")).ok
