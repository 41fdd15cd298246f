"""Events of a tree of runs: every sub-RLM that the running cell has started is reported, whenever it ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.studio.progress.state import Progress
from tests.contract.in_memory_kernel import MemoryKernels
from tests.crash_at import Crash, CrashAt
from tests.graph.sub_rlms.conftest import tree_script

CELLS = {
    "top": ["FINAL(rlm_query_batched([f'middle: {n}' for n in range(4)]))"],
    "middle:": ["FINAL(rlm_query_batched(['leaf: 1', 'leaf: 2']))"],
    "leaf:": ["x = 1", "FINAL(llm_query('q'))"],
}


@pytest.mark.parametrize("times", [1, 3, 6, 9, 12])
async def test_a_resumed_run_reports_all_its_sub_rlms_including_ended_ones(tmp_path: Path, times: int) -> None:
    model = tree_script(tmp_path / "m.py", CELLS)
    with pytest.raises(Crash):
        async with Runner.open(
            tmp_path / "home", kernels=MemoryKernels(), failpoint=CrashAt("finalize-end", times)
        ) as runner:
            await runner.run("top", thread="t", model=model, max_depth=3)
    progress = Progress()
    totals: list[list[int]] = []

    def hear(event: Mapping[str, Any]) -> None:
        progress.update(event)
        counts = progress.children.counts
        if event["event"] == "child" and set(counts) == {1, 2}:
            totals.append([*counts[1], *counts[2]])

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        assert (await runner.resume("t", on_event=hear)).status == "answered"
    running, answered, failed, waiting = 0, 4, 0, 0
    assert totals[-1] == [running, answered, failed, waiting, running, 8, failed, waiting]


async def test_events_of_sub_rlms_have_the_usage_of_the_whole_tree(runner: Runner, tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    model = tree_script(tmp_path / "m.py", CELLS)
    run = await runner.run("top", model=model, max_depth=3, on_event=events.append)
    spent = [event["usage"]["model_calls"] for event in events if event["event"] == "child"]
    assert spent == sorted(spent) and spent[-1] == run.usage["model_calls"] == 1 + 4 + 8 * 3
