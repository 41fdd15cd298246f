"""Limits on tokens are learnt from the words of servers that refuse a request."""

import pytest

from durable_rlm.nodes.models.error_words import server_words
from durable_rlm.nodes.models.server_limits import ServerLimits
from durable_rlm.nodes.models.streamed import completion_of

ASKED, PROMPT = 16_384, 1_500
VLLM = (
    "This model's maximum context length is 16384 tokens. However, you requested 17899 tokens (1515 in the messages, "
    "16384 in the completion). Please reduce the length of the messages or completion."
)
VLLM_NOW = (
    "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context length is 16384 tokens "
    "and your request has 1515 input tokens (16384 > 16384 - 1515)."
)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("max_tokens is not valid: it must be in [1, 8192]", 8_192, 8_192),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8,192]", 8_192, 8_192),
        ("max_tokens must be at most 4096", 4_096, 4_096),
        ("max_tokens is too large: 16384. This model supports at most 8192 completion tokens", 8_192, 8_192),
        ("You requested up to 16384 tokens, but can only afford 1204", 1_204, 1_204),
        (VLLM, 14_000, 16_384 - 1_515),
        (VLLM_NOW, 14_000, 16_384 - 1_515),
    ],
)
def test_a_limit_is_learnt_from_the_words_of_a_refusal(said: str, least: int, most: int) -> None:
    limits = ServerLimits()
    assert limits.learn(said, ASKED, PROMPT)
    assert least <= limits.fitting(ASKED, PROMPT) <= most
    assert limits.fitting(100, PROMPT) == 100


@pytest.mark.parametrize(
    "said",
    [
        "the model m is not found",
        "max_tokens is not supported",
        "The maximum context length is 1000 tokens. However, you requested 17884 tokens (1500 in the messages).",
        "max_tokens must be at most 99999999999999999999",
        "max_tokens must be at most 20",
        "context length",
    ],
)
def test_a_refusal_without_a_limit_that_fits_teaches_nothing(said: str) -> None:
    limits = ServerLimits()
    assert not limits.learn(said, ASKED, PROMPT)
    assert limits.fitting(ASKED, PROMPT) == ASKED


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "no", "code": "c"}}, "no (c)"),
        ({"message": "no"}, "no"),
        ({"error": "no"}, "no"),
        ({"detail": "no"}, "no"),
        (
            {"detail": [{"loc": ["body", "n"], "msg": "no"}, {"loc": ["body", "m"], "msg": "nor"}]},
            "body.n: no; body.m: nor",
        ),
        ([{"error": {"code": 429, "message": "no"}}], "no"),
        ({"message": "Provider returned error", "metadata": {"raw": "no"}}, "Provider returned error; no"),
        ("<!DOCTYPE html><html><style>a {}</style><h1>No</h1>&amp; no.</html>", "the server sent a web page: No & no"),
        (" plain\n words. ", "plain words"),
        ({}, ""),
        (None, ""),
        (7, ""),
        ({"error": {"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}}, ""),
    ],
)
def test_the_words_of_an_error_are_found_in_every_form(body: object, words: str) -> None:
    assert server_words(body) == words


def test_a_stream_adds_up_to_its_completion() -> None:
    events = [
        '{"id": "x", "model": "m", "choices": [{"delta": {"role": "assistant", "content": "ye"}}]}',
        '{"choices": [{"delta": {"content": "s", "reasoning_content": "hm"}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\\"a"}}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "\\": 1}"}}]}}]}',
        '{"choices": [{"delta": {}, "finish_reason": "stop"}]}',
        '{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}',
    ]
    body = "".join(f"data: {event}\n\n" for event in events) + ": ping\n\ndata: [DONE]\n\n"
    completion = completion_of(body)
    assert completion is not None and completion["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    [choice] = completion["choices"]
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": "yes", "reasoning_content": "hm", "tool_calls": [call]}
    assert (choice["message"], choice["finish_reason"]) == (message, "stop")


@pytest.mark.parametrize("body", ["", "plain words", "data: not JSON\n", "event: ping\n\n"])
def test_a_body_that_is_no_stream_is_left_alone(body: str) -> None:
    assert completion_of(body) is None


def test_a_line_separator_in_a_streamed_text_ends_no_line() -> None:
    completion = completion_of('data: {"choices": [{"delta": {"content": "a\u2028b\x85c"}}]}\r\n\r\ndata: [DONE]\r\n')
    assert completion is not None and completion["choices"][0]["message"]["content"] == "a\u2028b\x85c"


def test_an_error_in_a_stream_is_an_error() -> None:
    with pytest.raises(ValueError, match="slow down"):
        completion_of(
            'data: {"choices": [{"delta": {"content": "ye"}}]}\n\ndata: {"error": {"message": "slow down"}}\n\n'
        )
