"""Replies to root turns are streamed where the server can. Its refusals are learnt, and half a reply is no reply."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from langgraph.graph import StateGraph
from typing_extensions import TypedDict

from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import Failure, ModelCallFailed, Target
from durable_rlm.nodes.models.openai import OpenAISender
from durable_rlm.nodes.models.provider_protocol import ModelRequest, OnOutput
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.nodes.models.retry import RetryPolicy
from durable_rlm.nodes.models.tokens import estimate_tokens
from tests.fake_sleep import FakeSleep
from tests.nodes.models.conftest import OpenTo, question
from tests.servers.openai_server import Body, Fault, ScriptedServer

TEXT = "".join(f"Line {number} of the reply.\n" for number in range(100))
HALF = 7_000
"""Bytes of the stream of `TEXT`, about a half."""


class Answer(TypedDict):
    """The state of a graph."""

    answer: str


@dataclass(frozen=True)
class Recording(RetryPolicy):
    """A policy that notes the failures after which it asks again."""

    failures: list[Failure] = field(default_factory=list[Failure])

    def wait(self, number: int, failure: Failure) -> float:
        self.failures.append(failure)
        return 0.0


def turn(on_output: OnOutput | None = None) -> ModelRequest:
    messages = [{"role": "system", "content": "Rules"}, {"role": "user", "content": "What next?"}]
    return ModelRequest(messages, 5_000, "root", on_output=on_output)


def server_of(*faults: Fault, text: str = TEXT) -> ScriptedServer:
    return ScriptedServer(root=lambda messages: text, faults=faults, is_root=lambda body: len(body["messages"]) > 1)


def is_streamed(body: Body) -> bool:
    return bool(body.get("stream"))


def streams(server: ScriptedServer) -> list[bool]:
    """Return for each request whether it asked for a stream."""
    return [is_streamed(seen.body) for seen in server.requests]


def chunk(content: str | None = None, finish: str | None = None, **facts: Any) -> str:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **facts})}\n\n"


async def test_a_root_reply_is_streamed_with_its_usage_and_a_sub_call_is_not(client_of: OpenTo) -> None:
    with server_of() as server:
        async with client_of(server) as client:
            reply, sub = await client.ask(turn()), await client.ask(question())
    assert (reply.text, reply.finish, reply.attempts, reply.estimated) == (TEXT, "stop", 1, False)
    assert (reply.output_tokens, sub.text) == (server.requests[0].billed.output, "sub")
    assert streams(server) == [True, False]
    assert server.requests[0].body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in server.requests[1].body


async def test_the_connection_of_a_stream_is_used_again(client_of: OpenTo) -> None:
    with server_of() as server:
        async with client_of(server) as client:
            for _ in range(3):
                await client.ask(turn())
    assert len({seen.peer for seen in server.requests}) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Unrecognized request argument supplied: stream_options"),
        (422, "body.stream_options: Extra inputs are not permitted"),
    ],
)
async def test_refused_stream_options_are_left_out_at_once_and_from_then_on(
    client_of: OpenTo, fake_sleep: FakeSleep, status: int, said: str
) -> None:
    fault = Fault("status", status=status, text=said, when=lambda body: "stream_options" in body)
    with server_of(fault) as server:
        async with client_of(server) as client:
            first, second = await client.ask(turn()), await client.ask(turn())
    assert first.text == second.text == TEXT and (first.attempts, second.attempts) == (2, 1)
    assert streams(server) == [True, True, True] and fake_sleep.seconds == [0.0]
    assert first.estimated and first.output_tokens == estimate_tokens(TEXT), "usage is only sent on request"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Your organization must be verified to stream this model."),
        (400, "Unsupported value: 'stream' does not support true with this model."),
        (422, "body.stream: Extra inputs are not permitted"),
        (501, "Streaming is not implemented"),
        (403, "streamed responses are disabled by the administrator"),
    ],
)
async def test_a_server_that_refuses_to_stream_is_asked_without_at_once_and_from_then_on(
    client_of: OpenTo, fake_sleep: FakeSleep, status: int, said: str
) -> None:
    with server_of(Fault("status", status=status, text=said, when=is_streamed)) as server:
        async with client_of(server) as client:
            first, second = await client.ask(turn()), await client.ask(turn())
    assert first.text == second.text == TEXT and (first.attempts, second.attempts) == (2, 1)
    assert streams(server) == [True, False, False] and fake_sleep.seconds == [0.0]


async def test_turns_in_flight_while_streams_are_refused_are_all_answered(client_of: OpenTo) -> None:
    options = Fault("status", status=400, text="unknown: stream_options", when=lambda body: "stream_options" in body)
    with server_of(options, Fault("status", status=400, text="no streams", when=is_streamed)) as server:
        async with client_of(server) as client:
            replies = await asyncio.gather(*[client.ask(turn()) for _ in range(10)])
    assert [reply.text for reply in replies] == [TEXT] * 10
    assert sum(reply.attempts for reply in replies) == len(server.requests)


async def test_a_server_that_streams_long_replies_alone_is_asked_for_streams(client_of: OpenTo) -> None:
    said = "Requests with max_tokens > 4096 must have stream=true"
    fault = Fault("status", status=400, text=said, when=lambda body: not body.get("stream"))
    with server_of(fault) as server:
        async with client_of(server) as client:
            reply = await client.ask(ModelRequest([{"role": "user", "content": "Why?"}], 8_192))
    assert (reply.text, reply.attempts) == ("sub", 2) and streams(server) == [False, True]
    assert server.requests[1].body["max_tokens"] == 8_192


async def test_a_server_that_takes_neither_gets_what_it_takes(client_of: OpenTo) -> None:
    options = Fault(
        "status", status=400, text="unknown field stream_options", when=lambda body: "stream_options" in body
    )
    stream = Fault("status", status=400, text="stream is not supported", when=is_streamed)
    with server_of(options, stream) as server:
        async with client_of(server) as client:
            reply = await client.ask(turn())
    assert (reply.text, reply.attempts) == (TEXT, 3) and streams(server) == [True, True, False]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_of_another_kind_teaches_nothing_about_streams(client_of: OpenTo, status: int) -> None:
    fault = Fault("status", status=status, text="upstream: the stream was closed", times=1)
    with server_of(fault) as server:
        async with client_of(server) as client:
            await client.ask(turn())
    assert streams(server) == [True, True]


async def test_a_whole_reply_to_a_streamed_request_is_taken(client_of: OpenTo) -> None:
    whole = '{"choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}'
    with server_of(Fault("raw", text=whole)) as server:
        async with client_of(server) as client:
            assert (await client.ask(turn())).text == "yes"
    assert streams(server) == [True]


@pytest.mark.parametrize("after", [1, 50, 500, 2_000, HALF, 12_000])
async def test_a_stream_that_is_cut_anywhere_is_asked_for_again(client_of: OpenTo, after: int) -> None:
    with server_of(Fault("reset", after=after, times=1)) as server:
        async with client_of(server) as client:
            reply = await client.ask(turn())
    assert (reply.text, reply.attempts) == (TEXT, 2) and streams(server) == [True, True]


@pytest.mark.parametrize(
    "end",
    ["", ": ping\n\n", "data: ", 'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}\n\n'],
)
async def test_a_stream_that_ends_without_saying_why_is_asked_for_again(client_of: OpenTo, end: str) -> None:
    with server_of(Fault("raw", text=chunk("FINAL(") + chunk("'half") + end, times=1)) as server:
        async with client_of(server) as client:
            reply = await client.ask(turn())
    assert (reply.text, reply.attempts) == (TEXT, 2)


@pytest.mark.parametrize(
    "end",
    ["data: [DONE]\n\n", chunk(finish="stop"), chunk(finish="stop") + "data: nonsense\n\n"],
    ids=["done alone", "a reason alone", "nonsense after the reason"],
)
async def test_a_stream_that_says_that_it_is_complete_is_taken(client_of: OpenTo, end: str) -> None:
    with server_of(Fault("raw", text=chunk("ye") + chunk("s") + end)) as server:
        async with client_of(server) as client:
            reply = await client.ask(turn())
    assert (reply.text, reply.attempts, len(server.requests)) == ("yes", 1, 1)


async def test_a_connection_that_is_lost_after_the_text_loses_nothing(fake_sleep: FakeSleep) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = (chunk("yes") + chunk(finish="stop")).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%s\r\n" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with open_client("openai:x", base_url=url, retry=RetryPolicy(sleep=fake_sleep)) as client:
            reply = await client.ask(turn())
    assert (reply.text, reply.attempts, reply.estimated) == ("yes", 1, True)


async def test_a_server_whose_streams_all_break_is_asked_for_whole_replies(client_of: OpenTo) -> None:
    with server_of(Fault("raw", text=chunk("half"), when=is_streamed)) as server:
        async with client_of(server) as client:
            first, second = await client.ask(turn()), await client.ask(turn())
    assert (first.text, first.attempts) == (TEXT, 3) and (second.text, second.attempts) == (TEXT, 1)
    assert streams(server) == [True, True, False, False]


def recording_client(server: ScriptedServer, seconds: float = 600.0) -> tuple[ModelClient, list[Failure]]:
    policy = Recording(attempts=2)
    return open_client("openai:m", base_url=server.base_url, retry=policy, seconds=seconds), policy.failures


@pytest.mark.parametrize("text", ['data: {"error": {"message": "overloaded"}}\n\n', ""], ids=["an error", "a cut"])
async def test_a_stream_that_breaks_off_says_how_much_had_arrived(text: str) -> None:
    with server_of(Fault("raw", text=chunk(TEXT[:1000]) + chunk(TEXT[1000:2000]) + text, times=1)) as server:
        client, failures = recording_client(server)
        async with client:
            assert (await client.ask(turn())).attempts == 2
    assert [failure.streamed for failure in failures] == [estimate_tokens(TEXT[:2000])]


async def test_a_lost_connection_and_a_time_out_say_how_much_had_arrived() -> None:
    with server_of(Fault("reset", after=HALF, times=1)) as server:
        client, failures = recording_client(server)
        async with client:
            await client.ask(turn())
    [lost] = failures
    assert lost.kind == "network" and estimate_tokens(TEXT) / 4 < lost.streamed < estimate_tokens(TEXT)
    with server_of(Fault("stall", after=HALF)) as server:
        client, failures = recording_client(server, seconds=0.3)
        async with client:
            with pytest.raises(ModelCallFailed):
                await client.ask(turn())
        server.release()
    [late] = failures
    assert late.kind == "timeout" and estimate_tokens(TEXT) / 4 < late.streamed < estimate_tokens(TEXT)


async def test_a_failure_without_a_stream_has_nothing_that_arrived() -> None:
    with server_of(Fault("status", status=500, times=1)) as server:
        client, failures = recording_client(server)
        async with client:
            await client.ask(turn())
    assert [failure.streamed for failure in failures] == [0]


@pytest.mark.parametrize("text", ["Let me check that again. ", " \n", "x"])
async def test_a_reply_that_repeats_itself_without_end_is_cut_and_its_server_stopped(
    client_of: OpenTo, text: str
) -> None:
    with server_of(Fault("endless", text=text)) as server:
        async with client_of(server) as client:
            if text.strip():
                reply = await client.ask(turn())
                assert (reply.finish, reply.attempts, reply.estimated) == ("length", 1, True)
                assert 2_000 <= len(reply.text) < 4_000 and set(reply.text) == set(text)
                assert reply.output_tokens == pytest.approx(estimate_tokens(reply.text), rel=0.01)
            else:
                with pytest.raises(ModelCallFailed, match="it repeated itself without end") as failed:
                    await client.ask(turn())
                assert failed.value.kind == "cut" and failed.value.attempts == 1
            await asyncio.to_thread(server.wait_until_idle)


def client_in_time(server: ScriptedServer, a_look: float) -> ModelClient:
    """Return a client whose clock is `a_look` seconds later each time that it is looked at."""
    ticks = itertools.count()
    sender = OpenAISender("m", base_url=server.base_url, key="none")
    retry = RetryPolicy(first_wait=0.0)
    return ModelClient(Target("openai:m"), sender, retry=retry, clock=lambda: next(ticks) * a_look)


async def test_progress_is_reported_from_the_beginning_of_each_attempt() -> None:
    reports: list[tuple[int, int]] = []
    with server_of(Fault("reset", after=HALF, times=1)) as server:
        async with client_in_time(server, 0.05) as client:
            await client.ask(turn(lambda tokens, speed: reports.append((tokens, speed))))
    tokens = [tokens for tokens, _ in reports]
    again = next(place for place in range(1, len(tokens)) if tokens[place] < tokens[place - 1])
    assert tokens[:again] == sorted(tokens[:again]) and tokens[again:] == sorted(tokens[again:])
    assert tokens[0] < 200 and tokens[again] < 200 and tokens[-1] > 0.8 * estimate_tokens(TEXT)
    assert all(speed > 0 for _, speed in reports)


async def test_a_graph_that_streams_messages_gets_a_reply_that_is_streamed_to_the_client() -> None:
    reports: list[int] = []
    with server_of() as server:
        async with client_in_time(server, 1.0) as client:
            request = turn(lambda tokens, _: reports.append(tokens))

            async def node(state: Answer) -> Answer:
                return {"answer": (await client.ask(request)).text}

            graph = StateGraph(Answer).add_node("node", node).add_edge("__start__", "node").compile()
            streamed: list[Any] = [event async for event in graph.astream({"answer": ""}, stream_mode="messages")]
    [[message, _]] = streamed
    assert message.content == TEXT and message.usage_metadata["output_tokens"] == server.requests[0].billed.output
    assert streams(server) == [True] and len(reports) > 10
