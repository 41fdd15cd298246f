"""What stands behind the guard sees no secret; what comes past it is nobody."""

import os
from typing import Any

import pytest
from langgraph_sdk import Auth

from durable_rlm.state.errors import UsageError
from durable_rlm.studio.server.guard import Guard, authenticate
from durable_rlm.studio.server.token import TOKEN_VARIABLE, Access, chosen_token

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
    """The scopes that come through the guard."""
    came: list[dict[str, Any]] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        came.append(scope)

    async def ignore(message: Any = None) -> Any:
        del message

    await Guard(behind, Access(TOKEN))(scope, ignore, ignore)
    return came


async def test_who_comes_through_is_the_owner_and_has_left_the_token_outside() -> None:
    (scope,) = await through(request())
    assert scope["headers"] == [(b"host", b"127.0.0.1:2024"), (b"accept", b"*/*")]
    assert await authenticate(scope) == "owner"


@pytest.mark.parametrize("mark", [{}, {"durable_rlm.passed": True}, {"root_path": "/noauth"}])
async def test_what_has_not_come_through_is_nobody(mark: dict[str, Any]) -> None:
    with pytest.raises(Auth.exceptions.HTTPException) as refused:
        await authenticate(request(**mark))
    assert refused.value.status_code == 401


async def test_inside_calls_have_no_way_around() -> None:
    """LangGraph's own clients within the process ask below `/noauth`, which a connection cannot say."""
    assert await through(request(root_path="/noauth", headers=[], server=("api", None))) == []


def test_an_access_shows_no_secret_of_its_own() -> None:
    access = Access(TOKEN, session="a session of a browser")
    assert TOKEN not in repr(access) and access.session not in repr(access)


def test_a_token_that_is_given_is_taken_out_of_the_environment_and_has_to_be_good(
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
