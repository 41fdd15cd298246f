"""What a client is told is a line in the server's log, and not the way that it took through the server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server_safety.served import JSON, Served, served
from tests.scripts import repl, write_script


def waited(server: Served, thread: str, document: dict[str, Any]) -> Any:
    headers = {**JSON, **server.key}
    body = json.dumps({"assistant_id": "rlm", **document})
    return server.ask("POST", f"/threads/{thread}/runs/wait", headers, body).json()


@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["as it is", "--debug"])
def test_an_answer_that_is_refused_is_one_line(tmp_path: Path, flags: list[str]) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    with served(tmp_path / "folder", *flags, RLM_MODEL=model) as server:
        made = server.ask("POST", "/threads", {**JSON, **server.key}, "{}").json()
        waited(server, made["thread_id"], {"input": {"question": "Q?", "approve": ["code"]}})
        told = waited(server, made["thread_id"], {"command": {"resume": {"decisions": []}}})
        assert told["__error__"]["error"] == "UsageError"
        log = server.log.read_text()
    if flags:
        assert "Traceback" in log
    else:
        [line] = log.splitlines()
        assert f"UsageError: {told['__error__']['message']}" in line and made["thread_id"] in line
