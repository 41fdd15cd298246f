"""Tracing by servers: nothing is sent to LangSmith unless the user turns it on, whatever the environment says."""

from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.e2e.agent_server.serving import TOKEN
from tests.e2e.agent_server.serving import served as langgraph_served
from tests.e2e.server_safety.served import served
from tests.scripts import repl, write_script
from tests.servers.trace_receiver import TraceReceiver


@pytest.fixture
def langsmith() -> Generator[TraceReceiver]:
    with TraceReceiver() as receiver:
        yield receiver


def ask(url: str, token: str, folder: Path) -> None:
    """Have a server answer a question, whose client requests a trace into a project of its own."""
    model = write_script(folder / "m.py", [repl("FINAL(llm_query('SECRET prompt' + context[:0]) + ' SECRET answer')")])
    form = {"question": "A SECRET question?", "context": "SECRET input", "settings": {"model": model}}
    asked = {"assistant_id": "rlm", "input": form, "langsmith_tracer": {"project_name": "theirs"}}
    answered = httpx.post(f"{url}/runs/wait", headers={"x-api-key": token}, json=asked, timeout=60)
    assert answered.json().get("answer_value") == "SECRET PROMPT SECRET answer", answered.text


def test_rlm_dev_sends_no_traces_whatever_the_environment_says(tmp_path: Path, langsmith: TraceReceiver) -> None:
    with served(tmp_path / "folder", **langsmith.environment, LANGCHAIN_TRACING_V2="true") as server:
        # LangSmith's client sends within a quarter of a second; the second run takes longer.
        for _ in range(2):
            ask(server.url, server.token, tmp_path)
        assert langsmith.requests == []
        assert "LANGSMITH_TRACING is set, but nothing is traced" in server.log.read_text()


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_rlm_dev_sends_traces_when_the_user_turns_them_on(how: str, tmp_path: Path, langsmith: TraceReceiver) -> None:
    environment = {**langsmith.environment, "LANGSMITH_TRACING": "", **({"RLM_TRACING": "1"} if how != "flag" else {})}
    with served(tmp_path / "folder", *(["--tracing"] if how == "flag" else []), **environment) as server:
        ask(server.url, server.token, tmp_path)
        assert langsmith.wait_for("A SECRET question?")


def test_langgraph_dev_sends_no_traces_of_a_run_unless_the_user_turns_them_on(
    tmp_path: Path, langsmith: TraceReceiver
) -> None:
    with langgraph_served(tmp_path, **langsmith.environment) as server:
        for _ in range(2):
            ask(server.url, TOKEN, tmp_path)
        assert b"SECRET" not in langsmith.sent
    with langgraph_served(tmp_path, **langsmith.environment, RLM_TRACING="1") as server:
        ask(server.url, TOKEN, tmp_path)
        assert langsmith.wait_for("A SECRET question?")
