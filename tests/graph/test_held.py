"""Reservations of requests in flight are shown apart from what is spent."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state import leases
from durable_rlm.state.usage import Uncertain, UsageTotals
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script


class Crash(BaseException):
    """The process dies."""


async def test_requests_in_flight_are_held_and_not_spent(runner: Runner, tmp_path: Path) -> None:
    replies = [repl("a = llm_query_batched(['a', 'b', 'c'])\nFINAL(a)")]
    waits = "import asyncio; return 'A' if prompt == 'a' else asyncio.sleep(3600)"
    model = write_script(tmp_path / "m.py", replies, sub=waits)
    task = asyncio.create_task(runner.run("What?", model=model, thread="t"))
    try:
        for _ in range(1000):
            calls = await runner.queries.calls("t") if await runner.queries.runs() else []
            if [call.row.status for call in calls] == ["answered", "asked", "asked"]:
                break
            await asyncio.sleep(0.01)
        [listed], about = await runner.queries.runs(), await runner.queries.about("t")
        assert (listed["status"], listed["held_calls"], listed["model_calls"]) == ("busy", 2, 4)
        usage: dict[str, Any] = about["usage"]
        assert (usage["held_calls"], usage["uncertain_calls"], usage["estimated_tokens"]) == (2, 0, 0)
        answered = await runner.stores.spending.by("t", in_flight=False)
        assert usage["input_tokens"] + usage["output_tokens"] == answered.tokens < usage["held_tokens"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    [stopped] = await runner.queries.runs()
    assert (stopped["status"], stopped["held_calls"], stopped["held_cost_usd"]) == ("stopped", 0, 0.0)


async def test_requests_of_a_process_that_was_killed_are_lost_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []

    def failpoint(point: str) -> None:
        # Of the root's request, and of the sub-call's.
        passed.extend(["asked"] * ("call-asked" in point and point.endswith("-after")))
        if len(passed) >= 2:
            raise Crash

    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query('a'))")])
    dead: dict[str, Any] = {**leases.this_process(), "pid": 4_194_305}
    with monkeypatch.context() as patch:
        patch.setattr(leases, "this_process", lambda: dead)
        with pytest.raises(Crash):
            async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), failpoint=failpoint) as runner:
                await runner.run("What?", model=model, thread="t")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        usage = (await runner.queries.about("t"))["usage"]
        assert (usage["held_calls"], usage["uncertain_calls"]) == (0, 1) and usage["estimated_tokens"] > 0


def test_held_amounts_are_taken_out_of_uncertain_ones_and_of_nothing_else() -> None:
    both = UsageTotals(5, 0, 10, 20, 1.0, Uncertain(3, 300, 3_000, 9_000, 0.3, 0.1, 1, 7))
    rest = both.without(Uncertain(2, 200, 2_000, 6_000, 0.2, 0.05))
    assert (rest.model_calls, rest.cost, rest.uncertain.calls, rest.uncertain.most_tokens) == (5, 1.0, 1, 3_000)
    assert rest.uncertain.most_cost == pytest.approx(0.1) and rest.uncertain.streamed_output == 7
    assert both.without(both.uncertain).total_cost == 1.0
