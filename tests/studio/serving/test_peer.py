"""A ticket is for the user's own browser: other users of the machine can see it in that browser's command line."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.studio.serving import peer
from durable_rlm.studio.serving.guard import Guard
from durable_rlm.studio.serving.token import Access

CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 8717)


def connections(path: Path, user: int, state: str = "01") -> Path:
    """Write a table of one connection as Linux has it, from either side."""
    client, server = "0100007F:9C40", "0100007F:220D"
    rest = "00000000:00000000 00:00000000 00000000"
    lines = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
        f"   0: {client} {server} {state} {rest} {user:5d} 0 1",
        f"   1: {server} {client} {state} {rest} {os.geteuid():5d} 0 2",
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.skipif(not peer.CONNECTIONS.exists(), reason="needs Linux")
def test_a_connection_of_this_user_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        ends = client.getsockname(), listening.getsockname()
        assert not peer.is_of_another_user(*ends)
        monkeypatch.setattr(peer, "_ROOT", -1)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert peer.is_of_another_user(*ends)


def test_an_unknown_connection_is_not_taken_for_another_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(peer, "CONNECTIONS", tmp_path / "none")
    assert not peer.is_of_another_user(CLIENT, SERVER)
    monkeypatch.setattr(peer, "CONNECTIONS", connections(tmp_path / "table", other))
    for client, server in ((None, SERVER), (CLIENT, None), (("::1", 40000), SERVER), (("127.0.0.1", 40001), SERVER)):
        assert not peer.is_of_another_user(client, server)


def test_a_connection_that_is_half_closed_is_taken_for_another_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line may have lost its user."""
    for state in ("04", "05", "06"):
        monkeypatch.setattr(peer, "CONNECTIONS", connections(tmp_path / "table", os.geteuid(), state))
        assert peer.is_of_another_user(CLIENT, SERVER)


async def entered(access: Access, ticket: str) -> int:
    """Return the status of the answer to a page's URL with this ticket."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def behind(*_: Any) -> Any:
        raise AssertionError

    scope = {
        **{"type": "http", "method": "GET", "path": "/", "query_string": f"ticket={ticket}".encode()},
        **{"server": SERVER, "client": CLIENT, "headers": [(b"host", b"127.0.0.1:8717")]},
    }
    await Guard(behind, "", access)(scope, behind, send)
    return statuses[0]


async def test_another_user_can_neither_use_a_ticket_nor_use_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access("a token that is long enough")
    ticket = access.new_ticket()
    monkeypatch.setattr(peer, "CONNECTIONS", connections(tmp_path / "table", os.geteuid() + 1))
    assert await entered(access, ticket) == 401
    connections(tmp_path / "table", os.geteuid())
    assert [await entered(access, ticket) for _ in range(2)] == [303, 401]
