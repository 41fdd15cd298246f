"""Tracing: nothing that a run reads, requests or answers is sent to LangSmith unless the user turns it on."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import embedding_program
from tests.e2e.program import RLM
from tests.scripts import repl, write_script
from tests.servers.openai_server import ScriptedServer
from tests.servers.trace_receiver import KEY, TraceReceiver

ROOT = Path(__file__).parents[2]
_OURS = ("RLM_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
MODEL_KEY = "sk-live-REALKEY-1234567890"


@pytest.fixture
def langsmith() -> Generator[TraceReceiver]:
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture
def models() -> Generator[ScriptedServer]:
    replies = [repl("found = llm_query('SECRET prompt ' + context)"), repl("FINAL(found + ' SECRET answer')")]

    def root(messages: list[dict[str, str]]) -> str:
        return replies[sum(message["role"] == "assistant" for message in messages)]

    with ScriptedServer(root=root, sub=lambda prompt: prompt) as server:
        yield server


class Shell:
    """`rlm` in a folder, in a shell where LangSmith's variables are set."""

    def __init__(self, folder: Path, langsmith: TraceReceiver, models: ScriptedServer) -> None:
        self.folder = folder
        self.environment = {**CLEAN, **langsmith.environment, "OPENAI_API_KEY": MODEL_KEY}
        self._models = ("--model", "openai:root", "--sub-model", "openai:sub", "--base-url", models.base_url)

    def rlm(self, *arguments: str, exits: int = 0, **environment: str) -> str:
        """Run a command to its end. Returns its stderr."""
        env = {**self.environment, **environment}
        command = [str(RLM), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == exits, f"{done.stdout}\n{done.stderr}"
        return done.stderr

    def run(self, *flags: str, exits: int = 0, **environment: str) -> str:
        """Execute `rlm run` over some input."""
        (self.folder / "input.txt").write_text("SECRET input")
        (self.folder / "code.py").write_text("FINAL('SECRET ' + llm_query('SECRET'))")
        asked = ("run", "A SECRET question?", "input.txt", *self._models)
        return self.rlm(*asked, *flags, exits=exits, **environment)


@pytest.fixture
def shell(tmp_path: Path, langsmith: TraceReceiver, models: ScriptedServer) -> Shell:
    return Shell(tmp_path, langsmith, models)


SWITCHED_ON = {
    "current name": {},
    "older name": {"LANGSMITH_TRACING": "", "LANGCHAIN_TRACING_V2": "true", "LANGSMITH_OTEL_ENABLED": "true"},
    "refused name": {"LANGSMITH_TRACING": "", "LANGCHAIN_TRACING": "true"},
}


@pytest.mark.parametrize("variables", SWITCHED_ON.values(), ids=SWITCHED_ON)
def test_a_run_is_not_traced_because_of_the_environment(
    variables: dict[str, Any], shell: Shell, langsmith: TraceReceiver
) -> None:
    said = shell.run("--mode", "direct", **variables)
    assert langsmith.requests == []
    assert said.count("but nothing is traced") == 1 and "--tracing" in said


def test_a_resumed_reviewed_or_forked_run_is_not_traced_either(shell: Shell, langsmith: TraceReceiver) -> None:
    shell.run("--thread", "t", "--max-turns", "1", "--approve", "final", exits=4)
    shell.rlm("resume", "t", "--max-turns", "2", exits=3)
    shell.rlm("review", "t", "--approve")
    shell.rlm("fork", "t", "--step", "4", "--code", str(shell.folder / "code.py"), "--fresh", exits=3)
    assert langsmith.requests == []


def test_a_run_is_traced_when_the_user_turns_it_on_and_no_trace_has_a_key(
    shell: Shell, langsmith: TraceReceiver
) -> None:
    said = shell.run("--tracing", LANGSMITH_TRACING="")
    for text in ("A SECRET question?", "SECRET prompt", "SECRET answer"):
        assert text.encode() in langsmith.sent
    assert MODEL_KEY.encode() not in langsmith.sent and KEY.encode() not in langsmith.sent
    assert "nothing is traced" not in said


def test_a_traced_run_can_be_resumed_untraced_and_an_untraced_one_forked_traced(
    shell: Shell, langsmith: TraceReceiver
) -> None:
    shell.run("--thread", "t", "--max-turns", "1", "--tracing", exits=4)
    before = len(langsmith.requests)
    assert before
    shell.rlm("resume", "t", "--max-turns", "2")
    assert len(langsmith.requests) == before
    shell.rlm("fork", "t", "--step", "3", "--fresh", RLM_TRACING="1")
    assert len(langsmith.requests) > before


def embed(folder: Path, langsmith: TraceReceiver, *more: str, **environment: str) -> None:
    """Run the program that embeds a Runner."""
    replies = repl("FINAL('SECRET ' + rlm_query('A SECRET sub-question?', context))")
    script = folder / "m.py"
    model = write_script(script, [replies], sub="return 'SECRET ' + prompt")
    # The sub-RLM answers at once.
    script.write_text(
        script.read_text() + "\n_root = root\n\ndef root(messages):\n"
        "    child = any('sub-question' in m['content'] for m in messages if m['role'] == 'user')\n"
        f"    return {repl('FINAL(llm_query(context))')!r} if child else _root(messages)\n"
    )
    command = [sys.executable, "-m", embedding_program.__name__, str(folder / "home"), model, *more]
    env = {**CLEAN, **langsmith.environment, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variables", [{}, {"LANGCHAIN_TRACING": "true"}], ids=["current variable", "old variable"])
def test_a_program_that_traces_its_own_work_sends_nothing_of_its_runner(
    variables: dict[str, str], tmp_path: Path, langsmith: TraceReceiver
) -> None:
    embed(tmp_path, langsmith, **variables)
    assert b"work of the program's own" in langsmith.sent
    assert b"SECRET" not in langsmith.sent


def test_a_program_can_turn_on_tracing_of_its_runner_within_its_own_trace(
    tmp_path: Path, langsmith: TraceReceiver
) -> None:
    embed(tmp_path, langsmith, "traced")
    for text in ("work of the program's own", "A SECRET question?", "A SECRET sub-question?", "A SECRET edit?"):
        assert text.encode() in langsmith.sent, text
