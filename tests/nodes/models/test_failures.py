"""Classification of exceptions: every exception of a provider becomes one of the named failures."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import aiohttp
import httpx
import openai
import pytest

from durable_rlm.nodes.models.errors import FailureKind, classify, parse_retry_after
from durable_rlm.nodes.models.redaction import redact

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def raised(name: str, message: str = "", base: type[Exception] = Exception, **facts: Any) -> Exception:
    """Return an exception of a class of this name, as a provider's package would raise it."""
    error = type(name, (base,), {})(message)
    for fact, value in facts.items():
        setattr(error, fact, value)
    return error


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (raised("AnyError", status_code=401), "auth", False),
        (raised("OverloadedError", status_code=529), "server", True),
        (raised("PaymentRequired", status_code=402), "rate_limit", False),
        (raised("ApiError", response=SimpleNamespace(status_code=429, headers={})), "rate_limit", True),
        (raised("ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 503}}), "server", True),
        (raised("GoogleError", code=404), "not_found", False),
        (caused(raised("ChatGoogleError"), raised("ServerError", code=500)), "server", True),
        (raised("ThrottlingException"), "rate_limit", True),
        (raised("NoCredentialsError"), "auth", False),
        (raised("DefaultCredentialsError"), "auth", False),
        (raised("ReadTimeout"), "timeout", True),
        (caused(raised("APITimeoutError"), caused(raised("ConnectTimeout"), TimeoutError())), "network", True),
        (caused(raised("APITimeoutError"), caused(raised("ReadTimeout"), TimeoutError())), "timeout", True),
        (TimeoutError(), "timeout", True),
        (raised("ConnectError"), "network", True),
        (raised("RemoteProtocolError"), "network", True),
        (ConnectionResetError(), "network", True),
        (caused(raised("APITimeoutError"), raised("ServerDisconnectedError")), "network", True),
        (caused(raised("APITimeoutError"), ConnectionRefusedError()), "network", True),
        (caused(raised("APIConnectionError"), raised("SSLCertVerificationError")), "network", False),
        (raised("BadRequestError", "prompt is too long: 210000 tokens", status_code=400), "too_long", False),
        (raised("ContextOverflowError"), "too_long", False),
        (raised("BadRequestError", "The model `x` does not exist", status_code=400), "not_found", False),
        (ValueError("what is this"), "garbage", True),
        (KeyError("choices"), "garbage", True),
        (raised("JSONDecodeError", base=ValueError), "garbage", True),
        (raised("APIResponseValidationError", status_code=200), "garbage", True),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_of_a_provider_is_classified(error: Exception, kind: FailureKind, retryable: bool) -> None:
    failure = classify(error)
    assert (failure.kind, failure.retryable) == (kind, retryable)


def connector_error() -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(Mock(), OSError(111, "refused"))


REQUEST = httpx.Request("POST", "http://127.0.0.1/v1")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        socket.gaierror(),
        ssl.SSLCertVerificationError(),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("nobody answers"),
        httpx.PoolTimeout("no connection is free"),
        connector_error(),
        aiohttp.ClientConnectorDNSError(Mock(), socket.gaierror()),
        aiohttp.ConnectionTimeoutError(),
        caused(openai.APITimeoutError(Mock()), caused(httpx.ConnectTimeout(""), connector_error())),
        caused(openai.APIConnectionError(request=Mock()), httpx.ConnectError("refused")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_before_there_is_a_connection_proves_that_nothing_was_sent(error: Exception) -> None:
    assert classify(error).unsent


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        BrokenPipeError(),
        ssl.SSLError("bad record"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("gone"),
        httpx.WriteError("gone in mid-request"),
        httpx.RemoteProtocolError("hung up"),
        httpx.ProxyError("whoever that was"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ClientPayloadError(),
        # openai's transport raises the same class for lost connections as for connections that were never opened.
        caused(openai.APITimeoutError(Mock()), caused(httpx.ConnectTimeout(""), aiohttp.ServerDisconnectedError())),
        caused(openai.APITimeoutError(Mock()), caused(httpx.ConnectTimeout(""), aiohttp.ClientOSError(104, "reset"))),
        # Unknown classes of these names prove nothing.
        raised("ConnectError"),
        raised("APIConnectionError"),
        httpx.HTTPStatusError("busy", request=REQUEST, response=httpx.Response(503, request=REQUEST)),
        ValueError("what is this"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_request_that_may_have_reached_a_server_is_not_unsent(error: Exception) -> None:
    assert not classify(error).unsent


def test_a_cause_that_causes_itself_is_read_once() -> None:
    error = ValueError("round")
    assert classify(caused(error, error)).kind == "garbage"


def test_the_message_of_a_server_is_cut_to_one_short_line() -> None:
    page = raised("InternalServerError", "<!DOCTYPE html><html>" + "x" * 5000, status_code=502)
    detail = classify(page).detail
    assert detail.startswith("the server sent a web page: xxx") and len(detail) == 240
    long = raised("BadRequestError", "a\n\n  b " * 500, status_code=400)
    assert "\n" not in classify(long).detail and len(classify(long).detail) <= 240


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "next week"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, now=lambda: NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-abcDEF123456",
        "Authorization: Bearer abc.def.ghi",
        "{'api_key': 'abcdefghijk'}",
        "GET https://host/v1?key=abcdefghijk&x=1",
        "cannot reach http://user:abcdefghijk@host/v1",
    ],
)
def test_text_that_looks_like_a_key_is_hidden(text: str) -> None:
    shown = redact(text)
    assert "[hidden]" in shown
    assert not any(secret in shown for secret in ("abcDEF", "abc.def", "abcdefghijk"))


def test_the_values_of_key_like_variables_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "correct horse battery")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    assert redact("it is true: correct horse battery") == "it is true: [hidden]"


def test_plain_words_are_not_hidden() -> None:
    text = "The model `sub` does not exist (max_tokens 50, token limit, basic plan)"
    assert redact(text) == text
