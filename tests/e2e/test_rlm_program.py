"""The `rlm` program in scripts: exit status, standard output, stopping, resuming."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from durable_rlm.state.settings import RunSettings
from tests.e2e.program import rlm, waiting_run
from tests.scripts import repl, write_script
from tests.servers.openai_server import Fault, ScriptedServer

CALL_DETAILS = {"input_tokens", "output_tokens", "cached_tokens", "thought_tokens", "cost_usd"} | {
    *("start", "queue", "attempts", "line", "thoughts", "schema")
}
"""The keys of `rlm calls --json` about what a call took, and when."""

RUN_KEYS = {
    *(
        "thread_id",
        "status",
        "answer",
        "citations",
        "files",
        "interrupts",
        "usage",
        "turns",
        "steps",
        "error",
        "restore",
    ),
}


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_script(tmp_path / "m.py", [repl("print(len(context))"), repl("FINAL(llm_query(context[:5]))")])


def test_stdout_has_nothing_but_the_answer(tmp_path: Path, model: str) -> None:
    done = rlm(tmp_path, "run", "Q?", "-", "--model", model, given="hello world")
    assert (done.returncode, done.stdout) == (0, "HELLO\n")
    assert "NOT SANDBOXED" not in done.stderr and "rlm show" in done.stderr


def test_json_output_is_one_document_with_the_documented_keys(tmp_path: Path, model: str) -> None:
    (tmp_path / "input.txt").write_text("hello world")
    done = rlm(tmp_path, "--json", "run", "Q?", "input.txt", "--model", model, "--thread", "named")
    document = json.loads(done.stdout)
    assert set(document) == RUN_KEYS and document["answer"] == "HELLO" and document["thread_id"] == "named"
    listed = json.loads(rlm(tmp_path, "list", "--json").stdout)
    keys = {"thread_id", "status", "question", "parent", "model", "turns", "model_calls", "cost_usd", "updated"}
    assert [set(run) for run in listed] == [keys | {"held_calls", "held_cost_usd"}]
    steps = json.loads(rlm(tmp_path, "steps", "named", "--json").stdout)
    assert {"step", "kind", "turn", "created", "checkpoint_id", "summary"} == set(steps[0])
    [call] = json.loads(rlm(tmp_path, "--home", ".rlm", "calls", "named", "--json").stdout)
    keys = {"key", "turn", "depth", "kind", "model", "prompt", "answer", "error", "tokens", "seconds", "reused"}
    assert set(call) == keys | {"child_thread"} | CALL_DETAILS and call["prompt"] == "hello"
    assert json.loads(rlm(tmp_path, "show", "named", "--json").stdout)["answer"] == "HELLO"


def test_the_answer_is_written_to_the_file_given_by_the_flag(tmp_path: Path, model: str) -> None:
    done = rlm(tmp_path, "run", "Q?", "-", "--model", model, "-o", "answer.txt", given="hello")
    assert (done.returncode, done.stdout, (tmp_path / "answer.txt").read_text()) == (0, "", "HELLO\n")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["run", "Q?"], 2, "No model"),
        (["run", "Q?", "nowhere", "--model", "MODEL"], 2, "nowhere"),
        (["run", "Q?", "--model", "MODEL", "--max-turns", "0"], 2, "max-turns"),
        (["run", "Q?", "--model", "MODEL", "--colour"], 2, "colour"),
        (["resume", "nobody"], 2, "nobody"),
        (["show", "nobody"], 2, "nobody"),
        (["run", "Q?", "--model", "MODEL", "-o", "."], 2, "folder"),
    ],
)
def test_bad_usage_is_reported_in_a_sentence_and_with_json_as_an_object(
    tmp_path: Path, model: str, arguments: list[str], status: int, said: str
) -> None:
    arguments = [model if word == "MODEL" else word for word in arguments]
    plain = rlm(tmp_path, *arguments)
    assert (plain.returncode, plain.stdout) == (status, "") and said in plain.stderr
    assert "Traceback" not in plain.stderr
    error = json.loads(rlm(tmp_path, *arguments, "--json").stdout)["error"]
    assert set(error) == {"type", "message", "hint"} and said in error["message"] + error["hint"]


def test_a_spent_budget_exits_with_4_and_a_failure_with_1(tmp_path: Path, model: str) -> None:
    spent = rlm(tmp_path, "run", "Q?", "-", "--model", model, "--max-turns", "1", "--thread", "t", given="hello")
    assert spent.returncode == 4 and "rlm resume t --max-turns" in spent.stderr
    assert rlm(tmp_path, "resume", "t", "--max-turns", "5").returncode == 0
    (tmp_path / "m.py").write_text("def root(m): raise OSError('gone')\ndef sub(p): return ''\n")
    failed = rlm(tmp_path, "run", "Q?", "--model", model, "--json")
    assert failed.returncode == 1 and json.loads(failed.stdout)["error"]["type"] == "ModelFailed"


def test_a_refusal_of_the_model_server_is_one_sentence_and_one_command_printed_once(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("hello world")
    with ScriptedServer(faults=[Fault("status", status=401, text="no such key")]) as server:
        named = ("--model", "openai:root", "--base-url", server.base_url, "--thread", "t")
        failed = rlm(tmp_path, "run", "Q?", "input.txt", *named)
    # On a slow machine, lines of progress come before these.
    *_, fits, _, said, ended, command = failed.stderr.splitlines()
    assert fits == "This input fits one model call: --mode auto would try one call first."
    refused = f"openai:root at {server.base_url} does not accept the key (401: no such key); check OPENAI_API_KEY."
    assert said == refused and ended.startswith("failed · 0 turns · 1 model call")
    assert command.startswith("Go on: ") and command.endswith("rlm resume t")


@pytest.mark.kill
def test_a_second_process_is_refused_with_exit_status_5(tmp_path: Path) -> None:
    with waiting_run(tmp_path):
        busy = rlm(tmp_path, "resume", "t", "--json")
        assert busy.returncode == 5 and json.loads(busy.stdout)["status"] == "busy"


def test_every_setting_is_a_flag_of_run_and_help_has_examples(tmp_path: Path) -> None:
    text = rlm(tmp_path, "run", "--help").stdout
    for name, info in RunSettings.model_fields.items():
        assert "--" + (info.alias or name).replace("_", "-") in text, name
    for command in ("run", "resume", "list", "show", "steps", "calls", "demo", "doctor"):
        shown = rlm(tmp_path, command, "--help")
        assert shown.returncode == 0 and f"rlm {command}" in shown.stdout


def test_help_imports_no_heavy_modules(tmp_path: Path) -> None:
    heavy = "{'langgraph', 'langchain_core', 'langchain_openai', 'openai', 'jupyter_client', 'zmq'}"
    code = f"import sys, durable_rlm.studio.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"


def test_reading_commands_create_no_files(tmp_path: Path) -> None:
    for command in (["list"], ["show", "x"], ["resume", "x"], ["calls", "x"]):
        rlm(tmp_path, *command)
    assert list(tmp_path.iterdir()) == []
