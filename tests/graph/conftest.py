"""Fixtures: a runner over in-memory kernels."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner
