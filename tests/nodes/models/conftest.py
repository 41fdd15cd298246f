"""Clients whose waits are recorded instead of waited, of servers on loopback."""

from collections.abc import Callable

import pytest

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from tests.fake_sleep import FakeSleep
from tests.servers.openai_server import ScriptedServer

OpenTo = Callable[..., ModelClient]


@pytest.fixture
def fake_sleep() -> FakeSleep:
    return FakeSleep()


@pytest.fixture
def client_of(fake_sleep: FakeSleep, monkeypatch: pytest.MonkeyPatch) -> OpenTo:
    """Opens a client of a scripted server, without jitter and without waiting."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def open_one(server: ScriptedServer, model: str = "sub", **options: float) -> ModelClient:
        retry = RetryPolicy(sleep=fake_sleep, chance=lambda: 0.0)
        return open_client(f"openai:{model}", base_url=server.base_url, retry=retry, **options)  # pyright: ignore[reportArgumentType]

    return open_one


def question(text: str = "What is it?") -> ModelRequest:
    """A sub-call with this prompt."""
    return ModelRequest([{"role": "user", "content": text}], max_output_tokens=50)
