"""Secrets in addresses and options are used, and are in no byte that is saved or printed."""

import base64
import http.server
import json
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.e2e.program import CLEAN, RLM
from tests.scripts import repl

USER, PASSWORD, QUERY = "canary-user-1f6", "canary%2Fpass-77ab3", "canary-query-90c1e"
KEY, HEADER, OWN = "sk-canary-key-5523ab", "canary-header-d07f3", "canary-own-key-6612f"
BASIC = base64.b64encode(f"{USER}:{unquote(PASSWORD)}".encode()).decode()
SECRETS = (USER, PASSWORD, unquote(PASSWORD), QUERY, KEY, HEADER, OWN, BASIC)
ENVIRONMENT = {**CLEAN, "OPENAI_API_KEY": KEY, "MY_GATEWAY": HEADER, "RLM_SUB_API_KEY": OWN}


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers the root model's first turn; then every request fails with what was received, cut anywhere."""

    failing = False
    received: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        echo = f"{self.path} {dict(self.headers)}"
        self.server.received.append(echo)  # type: ignore[attr-defined]
        if self.server.failing:  # type: ignore[attr-defined]
            number = len(self.server.received)  # type: ignore[attr-defined]
            status, body = 400, {"error": {"message": "x" * (17 * number % 200) + echo[: 400 - number]}}
        else:
            text = repl("print(llm_query_batched(['a', 'b', 'c']))")
            status, body = 200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
            self.server.failing = True  # type: ignore[attr-defined]
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Generator[http.server.ThreadingHTTPServer]:
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    serving.received, serving.failing = [], False  # type: ignore[attr-defined]
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()


def rlm(folder: Path, *words: str, **environment: str) -> str:
    """Run a command, and return all that it prints; fail when a secret is in it."""
    done = subprocess.run(
        [str(RLM), *words, "--home", "home"],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed = f"{done.stdout}{done.stderr}"
    assert "Traceback" not in printed
    assert [secret for secret in SECRETS if secret in printed] == [], printed
    return printed


def leaked(folder: Path) -> list[tuple[str, str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(path.name, secret) for path in files for secret in SECRETS if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("how", ["file", *(pytest.param(how, marks=pytest.mark.slow) for how in ("flag", "variable"))])
def test_no_secret_of_a_run_that_fails_and_is_resumed_is_saved_or_printed(
    how: str, server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    address = f"http://{USER}:{PASSWORD}@127.0.0.1:{server.server_address[1]}/v1?key={QUERY}&api-version=2"
    flags = {"flag": ["--base-url", address], "file": ["--trust"]}.get(how, [])
    named = {"RLM_BASE_URL": address} if how == "variable" else {}
    if how == "file":
        (tmp_path / "rlm.toml").write_text(f"base_url = '{address}'\n")
        assert "sets base_url" in rlm(tmp_path, "run", "Q?", "--model", "openai:root")
    options = ["--option", "header.x-gateway=env:MY_GATEWAY", "--unsandboxed"]
    printed = rlm(tmp_path, "run", "Q?", "--model", "openai:root", "--thread", "t", *flags, *options, **named)
    received: list[str] = server.received  # type: ignore[attr-defined]
    # Used: in the address, as the header of its scheme, and as the header of the option.
    assert all(secret in received[0] for secret in (QUERY, BASIC, HEADER)) and len(received) > 3, printed
    assert "rejected" in printed or "400" in printed
    for words in ("show t --full", "show t --json", "calls t --json", "steps t", "verify t", "list --json"):
        rlm(tmp_path, *words.split())
    assert "***@127.0.0.1" in rlm(tmp_path, "show", "t", "--json")
    # Another process does not know them, and says how to give them again.
    (tmp_path / "rlm.toml").unlink(missing_ok=True)
    refused = rlm(tmp_path, "resume", "t")
    assert "has a secret (***) that is never saved" in refused and "--base-url URL" in refused
    before = len(received)
    if how == "flag":
        rlm(tmp_path, "resume", "t", "--base-url", address)
    else:
        rlm(tmp_path, "resume", "t", RLM_BASE_URL=address)
    assert len(received) > before and QUERY in received[-1]
    assert leaked(tmp_path / "home") == []


@pytest.mark.parametrize(
    "option",
    [f"header.x-team={HEADER}", f"header.x-team=Bearer-{KEY}", f"body.extra.note={OWN}", f'body.list=["{HEADER}"]'],
)
def test_a_value_that_has_a_secret_of_the_environment_is_refused_unseen(option: str, tmp_path: Path) -> None:
    address = ["--model", "openai:root", "--base-url", "http://127.0.0.1:9/v1"]
    printed = rlm(tmp_path, "run", "Q?", *address, "--option", option, MY_TOKEN=HEADER)
    assert "looks like a secret" in printed and not (tmp_path / "home").exists()


def test_an_address_of_a_folders_file_that_was_agreed_to_gets_no_key(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "rlm.toml").write_text(f'base_url = "http://127.0.0.1:{server.server_address[1]}/v1"\n')
    rlm(tmp_path, "home", "trust")
    rlm(tmp_path, "run", "Q?", "--model", "openai:root", "--thread", "t", "--unsandboxed")
    rlm(tmp_path, "resume", "t")
    received: list[str] = server.received  # type: ignore[attr-defined]
    assert received and not any(KEY in one for one in received)
