"""A program that traces its own work with LangSmith and uses a `Runner` within it: `HOME SCRIPT [traced]`.

It calls everything that a Runner can do with a run, inside a trace of its own.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from langchain_core.tracers.langchain import LangChainTracer, wait_for_all_tracers
from langsmith import traceable

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels

QUESTION, INPUT = "A SECRET question?", "A SECRET input"
APPROVE: Any = [{"type": "approve"}]


@traceable(name="work of the program's own")
async def work(home: Path, model: str, tracing: bool) -> None:
    async with Runner.open(home, kernels=MemoryKernels(), tracing=tracing) as runner:
        run = await runner.run(QUESTION, INPUT, model=model, max_depth=2, approve=["code"], thread="first")
        await approved(runner, run)
        steps = await runner.queries.steps("first")
        plan = next(step["step"] for step in steps if step["kind"] == "plan")
        fork = await runner.fork("first", plan, code="FINAL('SECRET ' + llm_query('SECRET'))", into="fork", fresh=True)
        await approved(runner, await runner.resume(fork.thread_id))
    async with Runner.open(home, kernels=MemoryKernels(), tracing=tracing) as runner:
        await as_a_graph(runner, model)


async def approved(runner: Runner, run: Run) -> None:
    """Approve each request of a run until it is answered."""
    while run.status == "paused":
        run = await runner.decide(run.thread_id, APPROVE)
    assert run.status == "answered", run


async def as_a_graph(runner: Runner, model: str) -> None:
    """Call the compiled graph as LangGraph's callers do, with a tracer passed to it."""
    config: Any = {"configurable": {"thread_id": "second"}, "callbacks": [LangChainTracer(project_name="theirs")]}
    given: Any = {"question": QUESTION, "context": INPUT, "settings": {"model": model}, "max_turns": 1}
    result = await runner.graph.ainvoke(given, config)
    assert "SECRET" in result["answer_value"]
    # The run is answered: it is streamed once more.
    await runner.graph.ainvoke(None, config)
    async for _ in runner.graph.astream_events(None, config, version="v2"):
        pass
    steps = [step async for step in runner.graph.aget_state_history(config)]
    planned = next(step for step in steps if step.next == ("plan",))
    await runner.graph.aupdate_state(planned.config, {"question": "A SECRET edit?"})


async def main(home: str, model: str, *more: str) -> None:
    await work(Path(home), model, "traced" in more)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    wait_for_all_tracers()
