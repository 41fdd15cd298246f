"""A server shared by all tests of a session, and its clients."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.e2e.agent_server.serving import Server, served
from tests.scripts import Asked, repl, write_script

REPLIES = [repl("first = llm_query_batched(['a', 'b'])"), repl("FINAL(llm_query(first[0]) + first[1])")]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with served(folder, RLM_MODEL=write_script(folder / "m.py", REPLIES)) as server:
        yield server
    assert "Blocking call" not in server.log, "a call that blocks the loop is refused by the server"


@pytest.fixture
async def client(server: Server) -> AsyncGenerator[LangGraphClient]:
    async with server.client() as client:
        yield client


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model used by this test alone; its answer is `AB`."""
    return write_script(tmp_path / "m.py", REPLIES)


@pytest.fixture
def asked(model: str) -> Asked:
    return Asked(model)


@pytest.fixture
async def thread(client: LangGraphClient) -> str:
    """A new thread."""
    return (await client.threads.create())["thread_id"]


@pytest.fixture
def question(model: str) -> Any:
    return {"question": "What?", "settings": {"model": model}}
