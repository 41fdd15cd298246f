"""Runners over in-memory kernels, with real model clients that do not wait between attempts."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.nodes.runtime.dependencies import OpenModels
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.fake_sleep import FakeSleep
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer


@pytest.fixture
def fake_sleep() -> FakeSleep:
    return FakeSleep()


@pytest.fixture
def open_model(fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch) -> OpenModels:
    """Return a function that opens clients which do not wait between attempts."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def open_one(spec: ModelSpec) -> ModelClient:
        return open_client(spec.name, base_url=spec.base_url, price=spec.price, retry=RetryPolicy(sleep=fake_sleep))

    return open_one


@pytest.fixture
async def runner(tmp_path: Path, open_model: OpenModels) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), open_model=open_model) as runner:
        yield runner


def cells(*codes: str) -> Callable[[list[dict[str, str]]], str]:
    """Return a root model that runs these cells, one for each turn."""
    replies = [repl(code) for code in codes]
    return lambda messages: replies[sum(message["role"] == "assistant" for message in messages)]


def models(server: ScriptedServer) -> dict[str, Any]:
    """Return the settings that name the server's two models."""
    return {"model": "openai:root", "sub_model": "openai:sub", "base_url": server.base_url}
