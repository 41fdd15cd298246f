"""`durable-rlm[server]` with no other extra: `rlm dev` starts and answers clients that have its token."""

from pathlib import Path

import pytest

from tests.e2e.server_safety.served import served

pytest.importorskip("langgraph_api", reason="needs the extra `server`: make test-extra NAME=server")
pytestmark = pytest.mark.processes


def test_the_server_starts_and_answers_a_client_with_the_token(tmp_path: Path) -> None:
    with served(tmp_path / "folder") as server:
        assert server.ask("GET", "/info").status_code == 401
        assert server.ask("GET", "/info", {"x-api-key": server.token}).status_code == 200
