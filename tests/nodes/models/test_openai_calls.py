"""Requests that an OpenAI-compatible server receives, and the replies that the client returns from its answers."""

import asyncio
from typing import TypedDict

import pytest
from langgraph.graph import StateGraph

from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from tests.fake_sleep import FakeSleep
from tests.nodes.models.conftest import OpenTo, question
from tests.servers.openai_server import Fault, ScriptedServer


class Answer(TypedDict):
    """The state of a graph."""

    answer: str


async def test_a_reply_has_its_tokens_attempts_cost_and_duration(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: f"You asked: {prompt}") as server:
        async with client_of(server) as client:
            reply = await client.ask(question("Why?"))
    assert (reply.text, reply.finish, reply.attempts) == ("You asked: Why?", "stop", 1)
    assert reply.input_tokens > 0 and reply.output_tokens > 0 and not reply.estimated
    assert reply.cost_usd is None, "a model without a known price has no cost, not a cost of 0"
    assert reply.seconds > 0


async def test_messages_arrive_verbatim_and_in_order(client_of: OpenTo) -> None:
    messages = [
        {"role": "system", "content": "  Rules\n\n"},
        {"role": "user", "content": "naïve 東京 😀 \x00 \u2028 </s> {braces}"},
        {"role": "assistant", "content": "```repl\nprint(1)\n```"},
        {"role": "user", "content": "\tlast\n"},
    ]
    with ScriptedServer() as server:
        async with client_of(server) as client:
            await client.ask(ModelRequest(messages, 50))
    assert server.requests[0].messages == messages


async def test_lone_surrogates_are_replaced_both_ways(client_of: OpenTo) -> None:
    lie = '{"choices":[{"message":{"role":"assistant","content":"x\\ud800y"},"finish_reason":"stop"}]}'
    with ScriptedServer(faults=[Fault("raw", text=lie)]) as server:
        async with client_of(server) as client:
            reply = await client.ask(question("a\ud800b \ud83d\ude00"))
    assert server.requests[0].messages[0]["content"] == "a\ufffdb 😀"
    assert reply.text == "x\ufffdy"


async def test_the_output_limit_is_sent_in_the_field_that_all_compatible_servers_apply(client_of: OpenTo) -> None:
    with ScriptedServer() as server:
        async with client_of(server) as client:
            await client.ask(question())
    body = server.requests[0].body
    # Servers refuse fields that they do not know.
    assert body.keys() - {"stream"} == {"model", "messages", "max_tokens"} and body["max_tokens"] == 50
    assert not body.get("stream")


async def test_a_server_that_requires_the_newer_limit_field_gets_it_from_then_on(
    client_of: OpenTo, fake_sleep: FakeSleep
) -> None:
    fault = Fault(
        "status",
        status=400,
        text="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        when=lambda body: "max_tokens" in body,
    )
    with ScriptedServer(faults=[fault]) as server:
        async with client_of(server) as client:
            assert (await client.ask(question())).attempts == 2
            assert (await client.ask(question())).attempts == 1
    assert server.requests[-1].body["max_completion_tokens"] == 50
    assert fake_sleep.seconds == [0.0]


async def test_a_missing_key_is_sent_as_a_placeholder_and_a_set_one_as_it_is(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as server:
        async with client_of(server) as client:
            await client.ask(question())
        monkeypatch.setenv("OPENAI_API_KEY", "sk-real-one")
        async with client_of(server) as client:
            await client.ask(question())
    assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer no-key", "Bearer sk-real-one"]


async def test_proxies_of_the_environment_do_not_divert_loopback(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OPENAI_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    with ScriptedServer(sub=lambda prompt: "direct") as server:
        async with client_of(server) as client:
            assert (await client.ask(question())).text == "direct"


async def test_256_requests_are_in_flight_at_once(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("hang")]) as server:
        async with client_of(server) as client:
            asking = [asyncio.create_task(client.ask(question(str(number)))) for number in range(256)]
            await asyncio.to_thread(server.wait_for, 256)
            server.release()
            replies = await asyncio.gather(*asking)
    assert server.peak == 256 and len(replies) == 256


async def test_a_graph_that_streams_messages_gets_the_reply_and_the_request_is_not_streamed(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: "as it was said") as server:
        async with client_of(server) as client:

            async def node(state: Answer) -> Answer:
                return {"answer": (await client.ask(question())).text}

            graph = StateGraph(Answer).add_node("node", node).add_edge("__start__", "node").compile()
            streamed = [event async for event in graph.astream({"answer": ""}, stream_mode="messages")]
    assert server.requests and not server.requests[0].body.get("stream")
    assert "as it was said" in str(streamed)


async def test_estimates_stand_in_for_counts_that_the_server_does_not_send(client_of: OpenTo) -> None:
    with ScriptedServer(sub=lambda prompt: "word " * 100, faults=[Fault("no_usage")]) as server:
        async with client_of(server) as client:
            reply = await client.ask(question("word " * 1000))
    assert reply.estimated
    assert 1000 <= reply.input_tokens < 2000 and 100 <= reply.output_tokens < 200


async def test_a_cut_answer_has_the_finish_reason_length(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("length")]) as server:
        async with client_of(server) as client:
            assert (await client.ask(question())).finish == "length"


async def test_an_empty_answer_is_requested_once_more_and_both_are_counted(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("empty", times=1)]) as server:
        async with client_of(server) as client:
            reply = await client.ask(question())
    with ScriptedServer() as server:
        async with client_of(server) as client:
            once = await client.ask(question())
    assert reply.text == "sub" and reply.attempts == 2
    assert reply.input_tokens == 2 * once.input_tokens


async def test_a_call_that_gets_only_empty_answers_fails_as_empty(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("empty")]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(question())
    assert failed.value.kind == "empty" and failed.value.attempts == 2 and failed.value.input_tokens > 0
    assert "openai:sub" in failed.value.message


async def test_an_answer_that_was_cut_before_its_first_word_is_not_requested_again(client_of: OpenTo) -> None:
    cut = '{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"length"}]}'
    with ScriptedServer(faults=[Fault("raw", text=cut)]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed, match="all 50 output tokens") as failed:
                await client.ask(question())
    assert failed.value.kind == "cut" and failed.value.attempts == 1


async def test_a_refusal_is_recognised_and_not_requested_again(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("refusal", text="I can't help with that.")]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed, match="I can't help with that") as failed:
                await client.ask(question())
    assert failed.value.kind == "refused" and len(server.requests) == 1


async def test_a_content_filter_is_a_refusal(client_of: OpenTo) -> None:
    filtered = '{"choices":[{"message":{"role":"assistant","content":"Sure, "},"finish_reason":"content_filter"}]}'
    with ScriptedServer(faults=[Fault("raw", text=filtered)]) as server:
        async with client_of(server) as client:
            with pytest.raises(ModelCallFailed) as failed:
                await client.ask(question())
    assert failed.value.kind == "refused"


async def test_cancelling_a_call_leaves_the_client_usable(client_of: OpenTo) -> None:
    with ScriptedServer(faults=[Fault("hang", requests=[1])]) as server:
        async with client_of(server) as client:
            asking = asyncio.create_task(client.ask(question()))
            await asyncio.to_thread(server.wait_for, 1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert (await client.ask(question())).text == "sub"


async def test_closing_twice_and_closing_unused_are_harmless(client_of: OpenTo) -> None:
    with ScriptedServer() as server:
        client = client_of(server)
        await client.aclose()
        await client.aclose()
