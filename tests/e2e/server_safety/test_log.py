"""The server's log: an error that a client receives is one line, and a traceback with `--debug` only."""

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


@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["default", "--debug"])
def test_a_refused_answer_is_logged_in_one_line(tmp_path: Path, flags: list[str]) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    with served(tmp_path / "folder", *flags, RLM_MODEL=model) as server:
        made = server.ask("POST", "/threads", {**JSON, **server.key}, "{}").json()
        waited(server, made["thread_id"], {"input": {"question": "Q?", "approve": ["code"]}})
        refusal = waited(server, made["thread_id"], {"command": {"resume": {"decisions": []}}})
        assert refusal["__error__"]["error"] == "UsageError"
        log = server.log.read_text()
    if flags:
        assert "Traceback" in log
    else:
        [line] = log.splitlines()
        assert f"UsageError: {refusal['__error__']['message']}" in line and made["thread_id"] in line
