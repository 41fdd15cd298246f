"""Clients of servers on loopback that record waits instead of waiting, and what tests of schemas share."""

from collections.abc import Callable
from typing import Any

import pytest

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.fake_sleep import FakeSleep
from tests.servers.openai_server import ScriptedServer

OpenTo = Callable[..., ModelClient]
Schema = dict[str, Any]
CHECK_STEPS = 14_000
"""Steps of a schema check that are enough to build a validator, and some thousand more."""


@pytest.fixture
def fake_sleep() -> FakeSleep:
    return FakeSleep()


@pytest.fixture
def client_of(fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch) -> OpenTo:
    """Return a function that opens a client of a scripted server, without jitter and without waiting."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def open_one(server: ScriptedServer, model: str = "sub", **options: Any) -> ModelClient:
        retry = RetryPolicy(sleep=fake_sleep, chance=lambda: 0.0)
        return open_client(f"openai:{model}", base_url=server.base_url, retry=retry, **options)

    return open_one


def question(text: str = "What is it?") -> ModelRequest:
    """Return the request of a sub-call with this prompt."""
    return ModelRequest([{"role": "user", "content": text}], max_output_tokens=50)
