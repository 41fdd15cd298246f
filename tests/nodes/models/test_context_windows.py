"""Prompts that are too long for the model: reported with their size, and not sent where the window is known."""

import pytest

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import ModelCallFailed, Target
from durable_rlm.nodes.models.provider_protocol import ModelRequest, OnPiece, RawReply, Role, ignore_piece
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.tokens import context_window, estimate_messages
from tests.nodes.models.conftest import OpenTo
from tests.servers.openai_server import Fault, ScriptedServer

PROSE = "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea. "


class Recorder:
    """A sender that answers and records every request."""

    def __init__(self) -> None:
        self.sent: list[ModelRequest] = []

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        self.sent.append(request)
        return RawReply("yes", "stop")

    async def aclose(self) -> None: ...


def request_with(text: str, *, limit: int = 100, role: Role = "sub") -> ModelRequest:
    return ModelRequest([{"role": "user", "content": text}], limit, role)


def client_with(window: int | None) -> tuple[ModelClient, Recorder]:
    recorder = Recorder()
    return ModelClient(Target("openai:reader"), recorder, window=window), recorder


async def failure(client: ModelClient, request: ModelRequest) -> ModelCallFailed:
    attempts: list[int] = []

    async def before_attempt(number: int) -> None:
        attempts.append(number)

    with pytest.raises(ModelCallFailed) as failed:
        await client.ask(request, before_attempt=before_attempt)
    assert attempts == [], "nothing may be reserved for a request that is not sent"
    return failed.value


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("openai:gpt-4o-mini", 128_000),
        ("openai:gpt-4o-mini-2024-07-18", 128_000),
        ("openai:my-own-finetune", None),
        ("openai:", None),
        ("ollama:llama3", None),
        ("scripted:model.py", None),
        ("nobody:knows", None),
        ("", None),
    ],
)
def test_a_context_window_is_the_listed_one_or_unknown(name: str, window: int | None) -> None:
    assert context_window(name) == window


async def test_a_prompt_beyond_the_window_is_refused_unsent_with_its_size_and_advice() -> None:
    client, recorder = client_with(8_000)
    text = PROSE * 1_000
    failed = await failure(client, request_with(text))
    assert (failed.kind, failed.attempts, failed.retryable) == ("too_long", 0, False)
    assert not recorder.sent and failed.input_tokens == 0 and failed.cost_usd == 0.0
    tokens = estimate_messages(request_with(text).messages)
    for said in (f"{len(text):,} characters", f"{tokens:,} tokens", "8,000 tokens", "not sent", "slice it"):
        assert said in failed.message


async def test_the_output_limit_counts_as_part_of_the_window() -> None:
    client, recorder = client_with(8_000)
    text = PROSE * 250
    await client.ask(request_with(text, limit=100))
    assert (await failure(client, request_with(text, limit=4_000))).kind == "too_long"
    assert len(recorder.sent) == 1


async def test_an_output_limit_as_large_as_the_window_leaves_room_for_a_question() -> None:
    client, recorder = client_with(8_000)
    await client.ask(request_with(PROSE, limit=8_000))
    assert len(recorder.sent) == 1


async def test_a_prompt_near_the_window_is_sent() -> None:
    client, recorder = client_with(8_000)
    text = PROSE * 400
    assert 8_000 < estimate_messages(request_with(text).messages) < 9_900
    await client.ask(request_with(text, limit=1))
    assert len(recorder.sent) == 1


async def test_every_prompt_is_sent_when_the_window_is_unknown() -> None:
    client, recorder = client_with(None)
    await client.ask(request_with(PROSE * 20_000))
    assert len(recorder.sent) == 1


async def test_the_error_of_a_root_request_advises_another_model() -> None:
    client, _ = client_with(8_000)
    failed = await failure(client, request_with(PROSE * 1_000, role="root"))
    assert "root model" in failed.message and "--model that reads more" in failed.message


async def test_a_prompt_that_a_server_refuses_as_too_long_is_reported_with_its_size(client_of: OpenTo) -> None:
    said = "This model's maximum context length is 8192 tokens"
    with ScriptedServer(faults=[Fault("status", status=400, text=said)]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(request_with(PROSE * 10))
    assert failed.value.kind == "too_long" and failed.value.attempts == 1
    assert f"{len(PROSE) * 10:,} characters" in failed.value.message and said in failed.value.message


async def test_a_listed_model_name_has_no_known_window_on_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with open_client("openai:gpt-4o-mini", base_url="http://127.0.0.1:9/v1") as client:
        assert client.window is None
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    async with open_client("openai:gpt-4o-mini") as client:
        assert client.window == 128_000
