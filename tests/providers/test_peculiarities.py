"""Behavior that only one of these providers has."""

import json
from typing import Any

import pytest

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.state.errors import ModelSetupError
from tests.providers.conftest import OpenTo, installed, question
from tests.providers.protocols import ANTHROPIC, GOOGLE, OLLAMA, Reply
from tests.providers.stub import Answer, Stub

LONG = "word " * 4000
MARK = {"type": "ephemeral"}


def conversation(turns: int, text: str = LONG) -> ModelRequest:
    """Return the root request after some turns."""
    messages = [{"role": "system", "content": f"system {text}"}, {"role": "user", "content": f"question {text}"}]
    for turn in range(turns):
        messages += [{"role": "assistant", "content": f"reply {turn}"}, {"role": "user", "content": f"output {turn}"}]
    return ModelRequest(messages, 50, "root")


def marks(body: dict[str, Any]) -> list[str]:
    """Return the first words of the texts that are marked for the cache."""
    blocks = body["system"] if isinstance(body.get("system"), list) else []
    for message in body["messages"]:
        blocks = [*blocks, *(message["content"] if isinstance(message["content"], list) else [])]
    return [" ".join(block["text"].split()[:2]) for block in blocks if block.get("cache_control") == MARK]


async def marks_of(request: ModelRequest, stub: Stub, open_to: OpenTo) -> list[str]:
    """Return what is marked in a request to Claude."""
    stub.answers = [ANTHROPIC.answer(Reply())]
    async with open_to(installed(ANTHROPIC), stub) as client:
        await client.ask(request)
    return marks(stub.body)


async def test_claude_is_sent_marks_where_later_requests_begin_alike(stub: Stub, open_to: OpenTo) -> None:
    assert await marks_of(conversation(0), stub, open_to) == ["system word"]
    assert await marks_of(conversation(1), stub, open_to) == ["system word", "question word", "reply 0"]
    assert await marks_of(conversation(3), stub, open_to) == ["system word", "question word", "reply 2"]


async def test_the_marked_part_of_one_turn_begins_the_request_of_the_next(stub: Stub, open_to: OpenTo) -> None:
    def texts(body: dict[str, Any]) -> list[str]:
        system = body["system"][0]["text"]
        contents = [message["content"] for message in body["messages"]]
        return [system, *(content if isinstance(content, str) else content[0]["text"] for content in contents)]

    await marks_of(conversation(2), stub, open_to)
    await marks_of(conversation(3), stub, open_to)
    first, second = (texts(one.body) for one in stub.requests)
    stable = first[:-1]
    assert second[: len(stable)] == stable == [f"system {LONG}", f"question {LONG}", "reply 0", "output 0", "reply 1"]


async def test_a_beginning_too_short_to_be_cached_is_not_marked(stub: Stub, open_to: OpenTo) -> None:
    assert await marks_of(conversation(3, "short"), stub, open_to) == []
    request = conversation(1, "word " * 700)
    assert await marks_of(request, stub, open_to) == ["question word", "reply 0"]


async def test_sub_calls_are_not_marked(stub: Stub, open_to: OpenTo) -> None:
    assert await marks_of(question(LONG), stub, open_to) == []


async def test_other_providers_are_sent_no_marks(stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [OLLAMA.answer(Reply())]
    async with open_to(installed(OLLAMA), stub) as client:
        await client.ask(conversation(3))
    assert "cache_control" not in json.dumps(stub.body)


async def test_claude_is_told_not_to_think(stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [ANTHROPIC.answer(Reply())]
    async with open_to(installed(ANTHROPIC), stub, {"effort": "none"}) as client:
        await client.ask(question())
    assert ANTHROPIC.samplers(stub.body) == {"thinking": {"type": "disabled"}}


@pytest.mark.parametrize("option", [{"temperature": 0.5}, {"top_p": 0.5}])
def test_a_model_that_takes_no_temperature_is_refused_one_at_the_start(
    option: dict[str, Any], stub: Stub, open_to: OpenTo
) -> None:
    for protocol, model in (
        (ANTHROPIC, "claude-opus-4-7"), (ANTHROPIC, "claude-sonnet-5-5"), (ANTHROPIC, "claude-fable-5"),
        (GOOGLE, "gemini-3.6-flash"), (GOOGLE, "models/gemini-3.5-flash-lite-001"),
    ):  # fmt: skip
        with pytest.raises(ModelSetupError, match=f"{model} takes no option {next(iter(option))}"):
            open_to(installed(protocol), stub, option, model)


async def test_the_older_header_of_the_cache_is_counted_too(stub: Stub, open_to: OpenTo) -> None:
    answer: dict[str, Any] = ANTHROPIC.answer(Reply(cache_written=20)).body
    del answer["usage"]["cache_creation"]
    stub.answers = [Answer(answer)]
    async with open_to(installed(ANTHROPIC), stub) as client:
        raw = await client._sender.send(question())
    assert (raw.input_tokens, raw.cache_write_tokens) == (120, 20)


@pytest.mark.parametrize("protocol", [ANTHROPIC, GOOGLE], ids=lambda one: one.provider)
async def test_a_refusal_is_told_as_one_and_not_asked_again(protocol: Any, stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [protocol.answer(Reply(finish="refusal"))]
    async with open_to(installed(protocol), stub) as client:
        with pytest.raises(ModelCallFailed) as failed:
            await client.ask(question())
    assert (failed.value.kind, len(stub.requests)) == ("refused", 1)
    assert "SAFETY" in failed.value.message or protocol is ANTHROPIC


async def test_gemini_counts_thoughts_among_the_output(stub: Stub, open_to: OpenTo) -> None:
    stub.answers = [GOOGLE.answer(Reply(written=30, thought=12))]
    async with open_to(installed(GOOGLE), stub) as client:
        raw = await client._sender.send(question())
    assert (raw.output_tokens, raw.thought_tokens) == (30, 12)


async def test_a_reply_of_ollama_in_pieces_is_put_together(stub: Stub, open_to: OpenTo) -> None:
    def piece(**message: str) -> str:
        return json.dumps({"model": "qwen3", "message": {"role": "assistant", "content": "", **message}, "done": False})

    end = json.dumps(OLLAMA.answer(Reply(text="")).body)
    lines = [piece(thinking="Let me "), piece(thinking="see."), piece(content="Pa"), piece(content="ris."), end]
    stub.answers = [Answer("\n".join(lines) + "\n", content_type="application/x-ndjson")]
    async with open_to(installed(OLLAMA), stub, {"effort": "low"}) as client:
        reply = await client.ask(question())
    assert (reply.text, reply.thoughts, reply.output_tokens) == ("Paris.", "Let me see.", 30)


async def test_an_error_in_the_middle_of_a_reply_of_ollama_is_a_fault_of_the_server(
    stub: Stub, open_to: OpenTo
) -> None:
    broken = Answer('{"error": "the model runner has stopped"}\n', content_type="application/x-ndjson")
    stub.answers = [broken, OLLAMA.answer(Reply())]
    async with open_to(installed(OLLAMA), stub) as client:
        reply = await client.ask(question())
    assert (reply.text, reply.attempts) == ("Paris.", 2)
