"""The decision over the first lines of any request."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.studio.serving.request_policy import Allowed, Rejected, RequestHead, authorize
from durable_rlm.studio.serving.token import HOSTED_STUDIO, Access

TOKEN = "a token that is long enough"
ACCESS = Access(TOKEN, session="a session")
KEY = ("x-api-key", TOKEN)
COOKIE = ("cookie", "rlm-session-2024=a session")
HOST = ("host", "127.0.0.1:2024")
PLAIN = RequestHead("http", "GET", "/info", "http", ("127.0.0.1", 2024), (HOST, KEY))


def status(asked: RequestHead, access: Access = ACCESS) -> int:
    """Return 200 for an admitted request, else the status of the refusal."""
    judgement = authorize(asked, access)
    return judgement.status if isinstance(judgement, Rejected) else 200


def having(*headers: tuple[str, str], method: str = "GET") -> RequestHead:
    return replace(PLAIN, headers=headers, method=method)


@given(st.text(max_size=40))
def test_only_own_host_names_are_accepted(host: str) -> None:
    own = ("localhost:2024", "127.0.0.1:2024", "[::1]:2024")
    assert status(having(("host", host), KEY)) == (200 if host.lower() in own else 421)


@given(st.text(max_size=40) | st.just(HOSTED_STUDIO))
def test_only_the_own_origin_is_accepted(origin: str) -> None:
    assert status(having(HOST, KEY, ("origin", origin))) == (200 if origin == "http://127.0.0.1:2024" else 403)


@given(st.text(max_size=40))
def test_only_the_token_is_accepted(given: str) -> None:
    for header in (("x-api-key", given), ("authorization", f"Bearer {given}"), ("authorization", given)):
        assert status(having(HOST, header)) == (200 if given == TOKEN and header[1] != TOKEN else 401) or given == TOKEN
    assert status(having(HOST, ("cookie", f"rlm-session-2024={given}"))) == 401 or given == "a session"


@given(st.text(max_size=40))
def test_only_json_bodies_are_accepted(kind: str) -> None:
    headers = (HOST, KEY, ("content-length", "2"), ("content-type", kind))
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        assert status(having(*headers, method=method)) == 415


def test_a_duplicate_header_is_not_trusted() -> None:
    assert status(having(HOST, ("host", "evil.example"), KEY)) == 421
    assert status(having(HOST, KEY, ("origin", "http://127.0.0.1:2024"), ("origin", "http://evil.example"))) == 403
    twice = (("content-type", "application/json"), ("content-type", "text/plain"), ("content-length", "2"))
    assert status(having(HOST, KEY, *twice, method="POST")) == 415
    assert status(having(KEY)) == 421


def test_a_key_for_another_service_beside_the_token_is_ignored() -> None:
    """SDK clients send the LangSmith key that they find in the environment."""
    assert status(having(HOST, ("authorization", f"Bearer {TOKEN}"), ("x-api-key", "lsv2_another"))) == 200


def test_a_body_without_a_length_counts_as_a_body() -> None:
    assert status(having(HOST, KEY, ("transfer-encoding", "chunked"), method="POST")) == 415
    assert status(having(HOST, KEY, ("content-length", "0"), method="POST")) == 200
    assert status(having(HOST, KEY, method="POST")) == 200


def test_the_session_cookie_is_found_among_others_and_not_those_of_other_ports() -> None:
    assert status(having(HOST, ("cookie", f"a=b; {COOKIE[1]}; c=d"))) == 200
    assert status(having(HOST, ("cookie", "a=b"), COOKIE)) == 200
    assert status(having(HOST, ("cookie", "rlm-session-2025=a session"))) == 401


def test_configured_host_names_and_the_address_of_the_connection_are_accepted() -> None:
    there = replace(PLAIN, server=("192.168.1.5", 80))
    for host, expected in {"192.168.1.5": 200, "192.168.1.5:80": 200, "mine.local": 421, "192.168.1.6": 421}.items():
        assert status(replace(there, headers=(("host", host), KEY))) == expected
    named = replace(ACCESS, hosts=frozenset({"Mine.local"}))
    assert status(replace(there, headers=(("host", "mine.local"), KEY)), named) == 200
    six = replace(PLAIN, server=("fe80::1", 2024))
    assert status(replace(six, headers=(("host", "[fe80::1]:2024"), KEY))) == 200
    assert status(replace(PLAIN, server=None)) == 421, "not a connection of this kind of server"


def test_behind_tls_the_own_origin_is_https() -> None:
    secure = replace(PLAIN, scheme="https", headers=(HOST, KEY, ("origin", "https://127.0.0.1:2024")))
    assert status(secure) == 200
    assert status(replace(secure, scheme="http")) == 403


def test_a_preflight_of_an_allowed_origin_is_answered_and_admits_no_request() -> None:
    studio = having(HOST, ("origin", HOSTED_STUDIO), ("access-control-request-method", "POST"), method="OPTIONS")
    assert status(studio) == 403
    assert authorize(studio, replace(ACCESS, hosted_studio=True)) == Allowed("preflight")
    assert status(replace(studio, method="POST"), replace(ACCESS, hosted_studio=True)) == 401
    assert status(having(HOST, ("access-control-request-method", "POST"), method="OPTIONS")) == 401


@pytest.mark.parametrize("path", ["/docs", "/deploy", "/deploy/x/stream", "/internal/truncate", "/ui/rlm"])
def test_a_route_that_is_not_served_is_not_found_only_with_the_token(path: str) -> None:
    assert status(replace(PLAIN, path=path)) == 404
    assert status(replace(PLAIN, path=path, headers=(HOST,))) == 401
    assert status(replace(PLAIN, path=f"{path}s" if path == "/docs" else "/deployments")) == 200
