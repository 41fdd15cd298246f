"""The server's guard: the application behind it receives no secret, and calls that bypass it are anonymous."""

import os
from typing import Any

import pytest
from langgraph_sdk import Auth

from durable_rlm.state.errors import UsageError
from durable_rlm.studio.server.auth import authenticate
from durable_rlm.studio.serving.guard import Guard
from durable_rlm.studio.serving.token import TOKEN_VARIABLE, Access, chosen_token

TOKEN = "a token that is long enough"


def request(**more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/info",
        "query_string": b"",
        "server": ("127.0.0.1", 2024),
        "headers": [(b"host", b"127.0.0.1:2024"), (b"x-api-key", TOKEN.encode()), (b"accept", b"*/*")],
        **more,
    }


async def through(scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the scopes that pass the guard."""
    came: list[dict[str, Any]] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        came.append(scope)

    async def ignore(message: Any = None) -> Any:
        del message

    await Guard(behind, "/rlm", Access(TOKEN))(scope, ignore, ignore)
    return came


async def test_an_admitted_request_is_the_owners_and_carries_no_token() -> None:
    (scope,) = await through(request())
    assert scope["headers"] == [(b"host", b"127.0.0.1:2024"), (b"accept", b"*/*")]
    assert await authenticate(scope) == "owner"


@pytest.mark.parametrize("mark", [{}, {"durable_rlm.passed": True}, {"root_path": "/noauth"}])
async def test_a_request_that_bypassed_the_guard_is_unauthorized(mark: dict[str, Any]) -> None:
    with pytest.raises(Auth.exceptions.HTTPException) as refused:
        await authenticate(request(**mark))
    assert refused.value.status_code == 401


async def test_calls_from_inside_the_process_cannot_bypass_the_guard() -> None:
    """LangGraph's own clients within the process use paths below `/noauth`, which a connection cannot set."""
    assert await through(request(root_path="/noauth", headers=[], server=("api", None))) == []


def test_the_repr_of_an_access_shows_no_secret() -> None:
    access = Access(TOKEN, session="a session of a browser")
    assert TOKEN not in repr(access) and access.session not in repr(access)


def test_a_given_token_is_removed_from_the_environment_and_must_be_well_formed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "0123456789abcdef")
    assert chosen_token() == "0123456789abcdef" and TOKEN_VARIABLE not in os.environ
    assert chosen_token() is None
    for bad in ("short", "with spaces in between", "0123456789abcdé", "0123456789abcdef\n"):
        monkeypatch.setenv(TOKEN_VARIABLE, bad)
        with pytest.raises(UsageError, match="at least 16") as refused:
            chosen_token()
        assert bad not in str(refused.value)
