"""The test server itself: what other tests rely on."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers.openai_server import ScriptedServer, looks_like_root

SERVER = Path(__file__).parents[2] / "servers" / "openai_server.py"


def post(base_url: str, **body: Any) -> bytes:
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return response.read()


def test_root_and_sub_are_told_apart_by_name_and_else_by_the_system_message() -> None:
    with ScriptedServer(root=lambda messages: f"{len(messages)} messages", sub=lambda prompt: prompt.upper()) as server:
        ask = [{"role": "system", "content": "End with FINAL(answer)."}, {"role": "user", "content": "hi"}]
        said = [json.loads(post(server.base_url, model=model, messages=ask)) for model in ("root", "sub", "one")]
    assert [reply["choices"][0]["message"]["content"] for reply in said] == ["2 messages", "HI", "2 messages"]
    assert not looks_like_root({"model": "one", "messages": ask[1:]})
    assert [seen.number for seen in server.requests] == [1, 2, 3] and server.peak == 1


def test_a_stream_is_answered_as_one() -> None:
    with ScriptedServer(sub=lambda prompt: "hello") as server:
        events = post(server.base_url, model="sub", messages=[{"role": "user", "content": "x"}], stream=True)
    chunks = [json.loads(line[6:]) for line in events.decode().splitlines() if line.startswith("data: {")]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "hello"
    assert events.endswith(b"data: [DONE]\n\n")


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text("def root(messages): return 'r'\ndef sub(prompt): return prompt * 2\n")
    command = [sys.executable, str(SERVER), "--script", str(script), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        url = program.stdout.readline().strip()
        try:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
            reply = json.loads(post(url, model="sub", messages=[{"role": "user", "content": "ab"}]))
            assert reply["choices"][0]["message"]["content"] == "abab"
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(10) == 0
