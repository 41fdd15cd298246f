"""Runs that wait for a reviewer, over in-memory kernels and scripted models."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.approval.waiting_run import Reviewed


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    """Return a run whose every execution is in another runner, as after a crash: only its home is kept."""
    return Reviewed(tmp_path)
