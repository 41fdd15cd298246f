"""Limits on tokens are learnt from the words of servers that refuse a request."""

import pytest

from durable_rlm.nodes.models.error_words import server_words
from durable_rlm.nodes.models.server_limits import ServerLimits

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
