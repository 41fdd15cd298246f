"""The scripted model server, on which other tests rely."""

import http.client
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer, looks_like_root
from tests.servers.received import Seen

ROOT = Path(__file__).parents[3]


def post(base_url: str, **body: Any) -> bytes:
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        return response.read()


def test_root_and_sub_requests_are_distinguished_by_name_or_else_by_the_system_message() -> None:
    with ScriptedServer(root=lambda messages: f"{len(messages)} messages", sub=lambda prompt: prompt.upper()) as server:
        ask = [{"role": "system", "content": "End with FINAL(answer)."}, {"role": "user", "content": "hi"}]
        said = [json.loads(post(server.base_url, model=model, messages=ask)) for model in ("root", "sub", "one")]
    assert [reply["choices"][0]["message"]["content"] for reply in said] == ["2 messages", "HI", "2 messages"]
    assert not looks_like_root({"model": "one", "messages": ask[1:]})
    assert [seen.number for seen in server.requests] == [1, 2, 3] and server.peak == 1


def test_a_streamed_request_gets_a_stream() -> None:
    with ScriptedServer(sub=lambda prompt: "hello") as server:
        events = post(server.base_url, model="sub", messages=[{"role": "user", "content": "x"}], stream=True)
    chunks = [json.loads(line[6:]) for line in events.decode().splitlines() if line.startswith("data: {")]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "hello"
    assert events.endswith(b"data: [DONE]\n\n")


def ask(server: ScriptedServer, prompt: str, **body: Any) -> dict[str, Any]:
    said = post(server.base_url, model="sub", messages=[{"role": "user", "content": prompt}], **body)
    return json.loads(said)


def statuses(server: ScriptedServer, prompts: Iterable[str]) -> dict[str, int]:
    """Send each prompt once, and return the status of each answer."""
    ended: dict[str, int] = {}
    for prompt in prompts:
        try:
            ask(server, prompt)
            ended[prompt] = 200
        except urllib.error.HTTPError as error:
            ended[prompt] = error.code
            error.close()
    return ended


def test_a_share_of_the_requests_gets_a_fault_in_any_order() -> None:
    prompts = [f"question {n}" for n in range(200)]
    faults = [Fault("status", status=429, share=0.25), Fault("status", status=500, share=0.25)]
    with ScriptedServer(faults=faults, seed=7) as server:
        there = statuses(server, prompts)
    with ScriptedServer(faults=faults, seed=7) as server:
        back = statuses(server, reversed(prompts))
        again = statuses(server, prompts)
    with ScriptedServer(faults=faults, seed=8) as server:
        other = statuses(server, prompts)
    assert there == back and there not in (again, other), "a prompt that is sent again draws again"
    counts = Counter(there.values())
    assert 30 <= counts[429] <= 70 and 20 <= counts[500] <= 60


def test_jitter_is_drawn_by_seed_and_prompt() -> None:
    def waits(seed: int, *prompts: str) -> list[float]:
        with ScriptedServer(latency=1.0, jitter=2.0, seed=seed) as server:
            return [server._wait(Seen(1, {"messages": [{"role": "user", "content": text}]}, {})) for text in prompts]

    first, second = waits(1, "a", "b")
    assert first != second and all(1.0 <= wait < 3.0 for wait in (first, second))
    assert waits(1, "b", "a") == [second, first] and waits(2, "a", "b") != [first, second]


def test_a_slow_body_arrives_whole() -> None:
    dripping = Fault("drip", pieces=5, pause=0.001)
    with ScriptedServer(sub=lambda prompt: "drop " * 1000, faults=[dripping]) as server:
        assert ask(server, "x")["choices"][0]["message"]["content"] == "drop " * 1000


def test_a_reply_is_cut_to_the_limit_that_its_request_carries() -> None:
    with ScriptedServer(sub=lambda prompt: "word " * 1000, cuts=True) as server:
        said = [ask(server, "x", **limit) for limit in ({"max_tokens": 10}, {"max_completion_tokens": 20}, {})]
    assert [reply["choices"][0]["finish_reason"] for reply in said] == ["length", "length", "stop"]
    assert [reply["usage"]["completion_tokens"] for reply in said] == [10, 20, 1251]
    assert [seen.output_limit for seen in server.requests] == [10, 20, None]


def test_the_server_records_its_requests_and_their_cost() -> None:
    refusing = Fault("status", when=lambda body: "bad" in str(body))
    breaking = Fault("reset", after=20, when=lambda body: "cut" in str(body))
    with ScriptedServer(sub=lambda prompt: prompt * 100, faults=[refusing, breaking]) as server:
        usage = [ask(server, "good")["usage"] for _ in range(3)]
        assert statuses(server, ["bad"]) == {"bad": 500}
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            ask(server, "cut")
    assert server.asked == {"good": 3, "bad": 1, "cut": 1}
    assert [seen.nth for seen in server.requests] == [1, 2, 3, 1, 1]
    cut = server.requests[-1].billed
    assert cut.output == 76, "output that is lost on the way is billed"
    assert server.requests[3].billed.total == 0
    assert server.billed.total == sum(one["total_tokens"] for one in usage) + cut.total
    assert server.billed.cost((1.0, 2.0)) == pytest.approx((server.billed.input + 2 * server.billed.output) / 1e6)


def test_the_server_runs_as_a_program_and_prints_a_summary_of_its_requests(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "from tests.servers.faults import Fault\n"
        "def root(messages): return 'r'\n"
        "def sub(prompt): return prompt * 2\n"
        "faults = [Fault('length', requests=[2])]\n"
    )
    command = [sys.executable, "-m", "tests.servers", "--script", str(script), "--jitter", "0.001"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        url = program.stdout.readline().strip()
        try:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
            body = {"model": "sub", "messages": [{"role": "user", "content": "ab"}]}
            replies = [json.loads(post(url, **body))["choices"][0] for _ in range(2)]
            assert [reply["message"]["content"] for reply in replies] == ["abab", "abab"]
            assert [reply["finish_reason"] for reply in replies] == ["stop", "length"]
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(10) == 0
        received = json.loads(program.stdout.read())
    assert received == {"requests": 2, "input_tokens": 16, "output_tokens": 4, "peak": 1, "asked": {"2": 1}}
