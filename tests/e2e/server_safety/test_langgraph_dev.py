"""LangGraph's own `langgraph dev`, with this project's `langgraph.json`: as safe as `rlm dev`."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.e2e.server_safety.served import CLEAN, JSON, Served

ROOT = Path(__file__).parents[3]
LANGGRAPH = Path(sys.executable).with_name("langgraph")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server started as its documentation says, without a token in the environment."""
    folder = tmp_path_factory.mktemp("plain") / "folder"
    folder.mkdir()
    shutil.copy(ROOT / "langgraph.json", folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder.parent / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(LANGGRAPH), "dev", "--no-browser", "--no-reload", "--port", str(port)],
            cwd=folder,
            env={**CLEAN, "LANGGRAPH_NO_VERSION_CHECK": "true"},
            stdout=out,
            stderr=out,
            text=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url):
            assert process.poll() is None, log.read_text()
        said = [line for line in log.read_text().splitlines() if line.startswith("rlm: this server wants a token")]
        yield Served(process, url, said[0].rpartition(" ")[2], folder, log)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=30, verify=False).status_code == 401
    except httpx.TransportError:
        return False


def test_langgraph_dev_makes_the_same_checks_as_rlm_dev(plain: Served) -> None:
    key = {**JSON, **plain.key}
    assert plain.search(key) == 200
    for headers, status in (
        (JSON, 401),
        ({**JSON, "x-auth-scheme": "langsmith"}, 401),
        ({**key, "origin": "http://evil.example"}, 403),
        ({**key, "origin": "https://smith.langchain.com"}, 403),
        ({**key, "host": "evil.example"}, 421),
        ({**key, "content-type": "text/plain"}, 415),
    ):
        assert plain.search(headers) == status
    for path in ("/ok", "/info", "/metrics", "/openapi.json", "/rlm", "/"):
        assert plain.ask("GET", path).status_code == 401
        assert plain.ask("GET", path, plain.key).status_code == (303 if path == "/rlm" else 200)
    assert plain.ask("GET", "/docs", plain.key).status_code == 404
    preflight = {"origin": "http://evil.example", "access-control-request-method": "GET"}
    foreign = plain.ask("OPTIONS", "/info", preflight)
    assert foreign.status_code == 403 and "access-control-allow-origin" not in foreign.headers
    assert plain.search({**JSON, **plain.cookie, "origin": plain.url}) == 200
