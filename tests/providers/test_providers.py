"""Models of other providers than OpenAI, over their own packages and protocols: what is sent, and what is read."""

import socket
from dataclasses import replace
from typing import Any

import pytest

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.langchain import LangChainSender
from durable_rlm.state.errors import ModelSetupError
from durable_rlm.state.model_options import parse_options
from tests.fake_sleep import FakeSleep
from tests.providers.conftest import OpenTo, question
from tests.providers.protocols import Protocol, Reply
from tests.providers.stub import Answer, Stub


async def test_an_answer_is_read_with_its_tokens(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply())]
    async with open_to(protocol, stub) as client:
        reply = await client.ask(question())
    assert (reply.text, reply.finish, reply.thoughts) == ("Paris.", "stop", "")
    assert (reply.input_tokens, reply.output_tokens, reply.estimated) == (120, 30, False)
    assert [one.path.endswith(protocol.path) for one in stub.requests] == [True]


async def test_a_request_holds_nothing_that_nobody_asked_for(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply())]
    async with open_to(protocol, stub) as client:
        await client.ask(question())
    assert protocol.samplers(stub.body) == {}
    assert {name for name, value in stub.body.items() if value not in (None, [])} <= protocol.known | {
        "system", "systemInstruction",
    }  # fmt: skip


async def test_each_request_has_its_own_output_limit(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply())]
    async with open_to(protocol, stub) as client:
        for limit in (50, 40_000, 50):
            await client.ask(question(limit=limit))
    assert [protocol.limit(one.body) for one in stub.requests] == [50, 40_000, 50]


async def test_a_reply_that_was_cut_is_said_to_be(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply(finish="length"))]
    async with open_to(protocol, stub) as client:
        assert (await client.ask(question())).finish == "length"


async def test_options_are_sent_under_the_names_of_the_protocol(
    protocol: Protocol, stub: Stub, open_to: OpenTo
) -> None:
    stub.answers = [protocol.answer(Reply())]
    async with open_to(protocol, stub, dict(protocol.options)) as client:
        for limit in (50, 60):
            await client.ask(question(limit=limit))
    assert [protocol.sent(one.body) for one in stub.requests] == [protocol.expected] * 2


async def test_a_temperature_of_zero_is_sent(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply())]
    async with open_to(protocol, stub, {"temperature": 0}) as client:
        await client.ask(question())
    # langchain-groq writes 1e-8 for 0.
    assert protocol.samplers(stub.body) == {"temperature": pytest.approx(0, abs=1e-6)}


async def test_headers_are_sent_with_every_request_and_are_no_fields_of_the_model(
    protocol: Protocol, stub: Stub, open_to: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "hunter2-hunter2")
    stub.answers = [protocol.answer(Reply())]
    options = {"header.X-Title": "My app", "header.X-Gateway-Key": "env:GATEWAY_KEY"}
    async with open_to(protocol, stub, options) as client:
        for limit in (50, 60):
            await client.ask(question(limit=limit))
        sender: Any = client._sender
        assert isinstance(sender, LangChainSender)
        assert "hunter2" not in repr(sender._model) + repr(sender._model.to_json()) + repr(sender._limited)
    sent = [(one.headers.get("x-title"), one.headers.get("x-gateway-key")) for one in stub.requests]
    assert sent == [("My app", "hunter2-hunter2")] * 2


async def test_a_secret_header_that_a_server_echoes_is_not_shown(
    protocol: Protocol, stub: Stub, open_to: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "Bearer hunter2-hunter2")
    stub.answers = [protocol.error(400, "hunter2-hunter2 is no such gateway")]
    async with open_to(protocol, stub, {"header.X-Gateway-Key": "env:GATEWAY_KEY"}) as client:
        with pytest.raises(ModelCallFailed, match="is no such gateway") as failed:
            await client.ask(question())
    assert "hunter2" not in failed.value.message


def test_an_option_that_a_provider_cannot_express_is_refused_by_name(
    protocol: Protocol, stub: Stub, open_to: OpenTo
) -> None:
    for option in protocol.refused:
        with pytest.raises(ModelSetupError, match=f"{protocol.provider}:.* takes no option {option.split('=')[0]}"):
            open_to(protocol, stub, parse_options([option]))


async def test_thoughts_are_kept_apart_from_the_answer(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply(thoughts="FINAL(13) is wrong.", thought=12))]
    async with open_to(protocol, stub, dict(protocol.thinking_option)) as client:
        reply = await client.ask(question())
        raw = await client._sender.send(question())
    assert (reply.text, reply.thoughts) == ("Paris.", "FINAL(13) is wrong.")
    assert (raw.text, raw.thoughts) == ("Paris.", "FINAL(13) is wrong.")
    assert raw.thought_tokens == (12 if protocol.counts_thoughts else 0)
    assert raw.output_tokens == 30


async def test_tokens_of_the_cache_are_counted_among_those_read(
    protocol: Protocol, stub: Stub, open_to: OpenTo
) -> None:
    cached = 60 if protocol.counts_cache else 0
    written = 20 if protocol.counts_writes else 0
    stub.answers = [protocol.answer(Reply(cached=cached, cache_written=written))]
    async with open_to(protocol, stub) as client:
        raw = await client._sender.send(question())
    assert (raw.input_tokens, raw.cached_tokens, raw.cache_write_tokens) == (120, cached, written)


async def test_a_server_that_asks_to_wait_is_asked_again_after_that_time(
    protocol: Protocol, stub: Stub, open_to: OpenTo, fake_sleep: FakeSleep
) -> None:
    busy = replace(protocol.error(429, "Slow down."), headers={"Retry-After": "7"})
    stub.answers = [busy, protocol.answer(Reply())]
    async with open_to(protocol, stub) as client:
        reply = await client.ask(question())
    assert (reply.text, reply.attempts, len(stub.requests)) == ("Paris.", 2, 2)
    # Ollama's package does not show headers.
    assert len(fake_sleep.seconds) == 1 and (fake_sleep.seconds == [7.0] or protocol.provider == "ollama")


@pytest.mark.parametrize("fault", ["overloaded", "broken"])
async def test_a_server_that_fails_is_asked_again(protocol: Protocol, stub: Stub, open_to: OpenTo, fault: str) -> None:
    faults = {
        "overloaded": protocol.error(protocol.overloaded, "Overloaded."),
        "broken": Answer("<h1>Bad gateway</h1>", 502, content_type="text/html"),
    }
    stub.answers = [faults[fault], protocol.answer(Reply())]
    async with open_to(protocol, stub) as client:
        reply = await client.ask(question())
    assert (reply.text, reply.attempts, len(stub.requests)) == ("Paris.", 2, 2)


async def test_a_key_that_is_refused_is_not_tried_again(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    key = "key-of-a-test-0123456789" if protocol.key_name else "[hidden]"
    stub.answers = [protocol.error(401, f"Key {key} is not valid.")]
    async with open_to(protocol, stub) as client:
        with pytest.raises(ModelCallFailed) as failed:
            await client.ask(question())
    assert (failed.value.kind, failed.value.attempts, len(stub.requests)) == ("auth", 1, 1)
    assert "0123456789" not in failed.value.message


async def test_an_overlong_prompt_is_told_as_one_in_the_server_s_words(
    protocol: Protocol, stub: Stub, open_to: OpenTo
) -> None:
    stub.answers = [protocol.error(400, protocol.too_long)]
    async with open_to(protocol, stub) as client:
        with pytest.raises(ModelCallFailed, match=r"tokens") as failed:
            await client.ask(question())
    assert (failed.value.kind, failed.value.attempts) == ("too_long", 1)


async def test_the_words_of_a_server_about_a_bad_request_reach_the_user(
    protocol: Protocol, stub: Stub, open_to: OpenTo
) -> None:
    stub.answers = [protocol.error(400, "This model does not support the effort parameter.")]
    async with open_to(protocol, stub) as client:
        with pytest.raises(ModelCallFailed, match="does not support the effort parameter") as failed:
            await client.ask(question())
    assert (failed.value.kind, failed.value.attempts) == ("bad_request", 1)


async def test_a_server_that_is_not_there_is_no_model_call(protocol: Protocol, stub: Stub, open_to: OpenTo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stub.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    unsent: list[None] = []

    async def not_sent() -> None:
        unsent.append(None)

    async with open_to(protocol, stub) as client:
        with pytest.raises(ModelCallFailed) as failed:
            await client.ask(question(), not_sent=not_sent)
    assert failed.value.kind == "network" and len(unsent) == failed.value.attempts


def test_a_test_cannot_reach_the_real_server(
    protocol: Protocol, stub: Stub, open_to: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.url = "https://api.example.com"
    with pytest.raises(ModelSetupError, match="this is a test"):
        open_to(protocol, stub)
