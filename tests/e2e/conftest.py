"""Real kernels, a real client, and an OpenAI-compatible server on loopback."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.state.model_specs import ModelSpec


@pytest.fixture
async def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Runner]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    async with Runner.open(tmp_path / "home", open_model=without_waiting) as runner:
        yield runner


def without_waiting(spec: ModelSpec) -> ModelClient:
    """Open the real client, which retries at once."""

    async def at_once(seconds: float) -> None:
        del seconds

    return open_client(spec.name, base_url=spec.base_url, price=spec.price, retry=RetryPolicy(sleep=at_once))
