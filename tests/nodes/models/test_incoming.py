"""Bodies of chat completions, read as they arrive in pieces of any size."""

import itertools
import json
from typing import Any

import pytest

from durable_rlm.nodes.models import streamed
from durable_rlm.nodes.models.errors import AttemptFailed
from durable_rlm.nodes.models.streamed import Incoming

EVENTS = [
    '{"id": "x", "model": "m", "choices": [{"delta": {"role": "assistant", "content": "ye"}}]}',
    '{"choices": [{"delta": {"content": "s", "reasoning_content": "hm", "reasoning": "hm"}}]}',
    '{"choices": [{"delta": {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\\"a"}}]}}]}',
    '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "\\": 1}"}}]}}]}',
    '{"choices": [{"delta": {}, "finish_reason": "stop"}]}',
    '{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}',
]
STREAM = "".join(f"data: {event}\n\n" for event in EVENTS) + ": ping\n\ndata: [DONE]\n\n"


def read(body: str | bytes, size: int = 1 << 20) -> Any:
    incoming = Incoming()
    data = body.encode() if isinstance(body, str) else body
    for start in range(0, len(data), size):
        incoming.feed(data[start : start + size])
    return incoming.completion()


def text_of(completion: Any) -> Any:
    return completion["choices"][0]["message"]["content"]


def delta(**fields: Any) -> str:
    return f"data: {json.dumps({'choices': [{'delta': fields}]})}\n\n"


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1 << 20])
def test_a_stream_adds_up_to_its_completion(size: int) -> None:
    completion = read(STREAM, size)
    assert completion["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    [choice] = completion["choices"]
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"content": "yes", "reasoning_content": "hm", "reasoning": "hm", "tool_calls": [call]}
    assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", **message}, "stop")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_reply_that_is_no_stream_is_read_whole(size: int) -> None:
    whole = {"choices": [{"message": {"content": "data: a\n\ndata: b"}}]}
    assert read(f"\ufeff \n{json.dumps(whole, indent=2)}\n", size) == whole


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "an empty reply"),
        ("\n\n", "an empty reply"),
        ("plain words", "no JSON: plain words"),
        ("data: not JSON\n", "no JSON: data: not JSON"),
        ("event: ping\n\n", "no JSON: event: ping"),
        ('{"choices": [', 'no JSON: {"choices": ['),
        ("[" * 100_000, "no JSON: [[["),
        ("<html><body>Welcome to nginx!", "no JSON: the server sent a web page: Welcome to nginx!"),
    ],
)
def test_a_body_that_is_no_completion_is_reported_in_its_own_words(body: str, said: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        read(body)
    assert failed.value.failure.kind == "garbage" and failed.value.failure.detail.startswith(said)


def test_a_line_separator_in_a_streamed_text_ends_no_line() -> None:
    body = 'data: {"choices": [{"delta": {"content": "a\u2028b\x85c"}}]}\r\n\r\ndata: [DONE]\r\n'
    assert text_of(read(body)) == "a\u2028b\x85c"


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert text_of(read(b'data:{"choices":[{"delta":{"content":"a\xffb"}}]}\ndata:[DONE]\n')) == "a\ufffdb"


@pytest.mark.parametrize(
    "line",
    [
        'data: {"error": {"message": "slow down"}}',
        'data: {"object": "error", "message": "slow down", "code": 500}',
        'error: {"code": 500, "message": "slow down"}',
    ],
)
def test_an_error_in_a_stream_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="slow down"):
        read(f"{delta(content='ye')}{line}\n\n")


def test_an_error_of_the_choice_ends_the_reply_as_an_error() -> None:
    body = 'data: {"choices": [{"delta": {"content": "ye"}, "error": {"message": "gone"}}]}\n\n'
    [choice] = read(body)["choices"]
    assert (choice["finish_reason"], choice["error"]) == ("error", {"message": "gone"})


@pytest.mark.parametrize("rest", ["", "data: ", 'data: {"choices": [{"delta": {"con', "data"])
def test_a_stream_without_its_end_is_no_reply(rest: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        read(delta(content="ye") + rest)
    assert failed.value.failure.kind == "server" and failed.value.failure.retryable


def test_either_a_reason_or_done_is_the_end_of_a_stream() -> None:
    stopped = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    assert text_of(read(delta(content="yes") + "data: [DONE]\n\n")) == "yes"
    assert text_of(read(delta(content="yes") + stopped)) == "yes"
    assert text_of(read(delta(content="yes") + stopped.rstrip())) == "yes", "the last line needs no end"


def test_nothing_after_done_is_read() -> None:
    incoming = Incoming()
    incoming.feed((delta(content="yes") + "data: [DONE]\n\n" + delta(content=" and no") + "data: nonsense\n").encode())
    assert incoming.done and not incoming.repeats and text_of(incoming.completion()) == "yes"


def test_each_piece_is_passed_on_once() -> None:
    pieces: list[str] = []
    incoming = Incoming(pieces.append)
    incoming.feed(STREAM.encode())
    assert pieces == ["ye", "s", "hm", "f", '{"a', '": 1}']


@pytest.mark.parametrize("form", ["a line without end", "a JSON text without end", "lines without end"])
def test_a_body_without_end_is_given_up(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "MOST_WHOLE", 100_000)
    monkeypatch.setattr(streamed, "MOST_STREAMED", 300_000)
    begins, goes_on = {
        "a line without end": ("data: {", "x" * 1000),
        "a JSON text without end": ("{", "x\n" * 500),
        "lines without end": ("", ": ping\n" * 200),
    }[form]
    incoming = Incoming()
    with pytest.raises(AttemptFailed, match="garbage"):
        for piece in itertools.chain([begins], itertools.repeat(goes_on, 1000)):
            incoming.feed(piece.encode())


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
def test_a_text_that_repeats_itself_without_end_is_cut(field: str) -> None:
    incoming = Incoming()
    fed = 0
    while not incoming.done:
        incoming.feed(delta(**{field: "I will look again. " * 3}).encode())
        fed += 1
        assert fed < 100
    assert incoming.repeats and incoming.completion()["choices"][0]["finish_reason"] == "length"


def test_a_long_text_with_repeated_parts_is_not_cut() -> None:
    incoming = Incoming()
    for number in range(2_000):
        incoming.feed(delta(content=f"| {number} | yes | no | no | no |\n").encode())
    assert not incoming.done
