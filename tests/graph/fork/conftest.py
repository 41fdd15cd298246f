"""Fixtures of forks: a home with an answered run, and the requests that its model has received since."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph.fork.homes import ANSWER, CELLS
from tests.scripts import Asked, repl, write_script


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", [repl(cell) for cell in CELLS])


@pytest.fixture
async def runner(tmp_path: Path, model: str) -> AsyncGenerator[Runner]:
    """Yield a runner whose home has the answered run `parent`."""
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", "the input", model=model, thread="parent")
        assert (run.answer, run.usage["model_calls"]) == (ANSWER, 7)
        yield runner


@pytest.fixture
async def reviewed(runner: Runner, model: str) -> str:
    """Return the name of the run `reviewed`: like `parent`, with a gate for code that none of its cells triggers."""
    run = await runner.run("What?", "the input", model=model, thread="reviewed", approve=["code:writes"])
    assert run.answer == ANSWER
    return run.thread_id


@pytest.fixture
def asked(runner: Runner, model: str) -> Asked:
    return Asked(model)
