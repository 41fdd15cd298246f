"""The `rlm` program in a terminal, with closed or full streams, and the commands that need a real machine."""

import ast
import json
import os
import re
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from tests.e2e.program import CLEAN, RLM
from tests.e2e.terminal import Terminal
from tests.scripts import repl, write_script


@pytest.fixture
def waiting(tmp_path: Path) -> str:
    """A model whose only cell waits for an answer that takes a minute."""
    sub = f"open({str(tmp_path / 'asked')!r}, 'w').close()\n        import time; time.sleep(60)"
    return write_script(tmp_path / "m.py", [repl("print('waiting')"), repl("FINAL(llm_query('a'))")], sub=sub)


@pytest.mark.kill
def test_ctrl_c_in_a_terminal_stops_the_run_and_prints_the_next_command(tmp_path: Path, waiting: str) -> None:
    terminal = Terminal(tmp_path, "run", "Q?", "--model", waiting, "--thread", "t")
    terminal.shows("Turn 2 of 30")
    terminal.read((tmp_path / "asked").exists)
    assert "NOT SANDBOXED" not in terminal.text and "Turn 1 ran" in terminal.text
    begun = time.monotonic()
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.ended() == 130 and time.monotonic() - begun < 5
    assert "rlm resume t" in terminal.text
    # The cursor is shown again after it was hidden for the panel.
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


@pytest.mark.kill
def test_a_second_ctrl_c_ends_the_program_at_once(tmp_path: Path, waiting: str) -> None:
    terminal = Terminal(tmp_path, "run", "Q?", "--model", waiting, "--thread", "t")
    terminal.read((tmp_path / "asked").exists)
    os.kill(terminal.process.pid, signal.SIGINT)
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert terminal.ended() == 130
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


@pytest.mark.kill
def test_ctrl_c_while_the_input_is_read_reports_that_nothing_was_saved(tmp_path: Path, waiting: str) -> None:
    terminal = Terminal(tmp_path, "run", "Q?", "-", "--model", waiting)
    terminal.shows("Starting")
    # Standard input is the terminal, where nothing is typed.
    terminal.read((tmp_path / ".rlm" / "blobs").exists)
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.ended() == 130 and "nothing was saved" in terminal.text
    listed = subprocess.run(
        [str(RLM), "list", "--json"], cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=True
    )
    assert listed.stdout == "[]\n"


@pytest.mark.kill
def test_an_ignored_hang_up_stays_ignored(tmp_path: Path) -> None:
    sub = f"open({str(tmp_path / 'asked')!r}, 'w').close()\n        import time; time.sleep(1)\n        return 'A'"
    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query('a'))")], sub=sub)
    command = ["nohup", str(RLM), "run", "Q?", "--model", model]
    process = subprocess.Popen(command, cwd=tmp_path, env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while not (tmp_path / "asked").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"A\n")


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=CLEAN | {"PATH": f"{RLM.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_closed_and_full_output_streams_cause_no_traceback(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL('line\\n' * 100_000)")])
    done = shell(tmp_path, f"rlm run Q? --model {model} --thread t | head -1")
    assert (done.returncode, done.stdout) == (0, "line\n") and "Traceback" not in done.stderr
    for line in ("rlm list >&-", "rlm resume t >&-", "rlm resume t 2>&- | tail -1", "rlm calls t --json | true"):
        closed = shell(tmp_path, line)
        assert (closed.returncode == 0 and closed.stderr == "") or "answered" in closed.stderr, line
        assert "Traceback" not in closed.stderr and "Exception" not in closed.stderr
    full = shell(tmp_path, "rlm resume t > /dev/full")
    assert full.returncode == 1 and "No space left" in full.stderr and "Traceback" not in full.stderr


def test_the_shell_completes_commands_and_threads(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL('x')")])
    assert shell(tmp_path, f"rlm run Q? --model {model} --thread contracts").returncode == 0
    completes = "_RLM_COMPLETE=complete_bash COMP_WORDS='rlm {}' COMP_CWORD={} rlm"
    assert shell(tmp_path, completes.format("res", 1)).stdout.split() == ["resume"]
    assert shell(tmp_path, completes.format("show con", 2)).stdout.split() == ["contracts"]
    elsewhere = shell(tmp_path, completes.format("show --home /nowhere ", 4))
    assert (elsewhere.stdout.strip(), elsewhere.stderr) == ("", "")


def test_the_doctor_starts_a_kernel_and_prints_no_secrets(tmp_path: Path) -> None:
    environment = CLEAN | {"OPENAI_API_KEY": "sk-secret-value"}
    command = [str(RLM), "doctor", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    checks = {one["name"]: one for one in report["checks"]}
    assert done.returncode == 0 and report["works"] is True
    assert checks["Kernel"]["level"] == "ok" and checks["Sandbox"]["level"] == "ok"
    assert "numpy" in checks["Imports"]["value"] and "as of 20" in checks["Prices"]["value"]
    assert checks["Keys"]["value"] == "OPENAI_API_KEY" and "secret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    nowhere = shell(tmp_path, "rlm doctor --home file/home")
    assert nowhere.returncode == 1 and "No run could work here" in nowhere.stdout


def calls_that_warn(library: Path) -> int:
    """Return the number of calls that raise a deprecation warning, counted in another way than by the demo's model."""
    left_out = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "pydoc_data"}
    left_out |= {"encodings", "ensurepip", "distutils", "__phello__"}
    count = 0
    for path in library.rglob("*.py"):
        folders = path.relative_to(library).parts[:-1]
        package = not folders or (library / folders[0] / "__init__.py").exists()
        if not package or left_out & set(folders):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).split(".")[-1]
                named = "DeprecationWarning" in ast.unparse(node)
                count += name == "_deprecated" or (name.startswith("warn") and named)
    return count


def test_the_demo_answers_offline_whatever_is_configured(tmp_path: Path) -> None:
    (tmp_path / "rlm.toml").write_text('schema = "nowhere.json"\nmax_depth = 0\n')
    environment = CLEAN | {"RLM_MODEL": "openai:gpt-5", "RLM_SUB_MODEL": "openai:gpt-5", "RLM_BASE_URL": "http://x"}
    environment["RLM_APPROVE"] = "all"
    done = subprocess.run(
        [str(RLM), "demo", "--plain"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No model is called, nothing is spent" in done.stderr and "$0.00" in done.stderr
    for command in ("rlm show", "rlm calls", "rlm steps", "rlm resume", "rlm demo"):
        assert command in done.stderr, command
    counted = re.match(r"(\d+) places in (\d+) files", done.stdout)
    assert counted and int(counted[1]) == calls_that_warn(Path(sysconfig.get_path("stdlib")))
    assert "To be removed:" in done.stdout and "→" in done.stdout
    [run] = json.loads(shell(tmp_path, "rlm list --json").stdout)
    assert run["status"] == "answered" and run["model_calls"] > 60 and run["cost_usd"] == 0.0


def test_a_model_error_is_reported_while_standard_input_is_still_open(tmp_path: Path) -> None:
    """Otherwise a user who pipes a stream in would see the error only at its end, and Ctrl-C would not help."""
    command = [str(RLM), "run", "Q?", "-", "--model", "openai:"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=CLEAN, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stderr is not None
    with process.stdin, process.stderr:
        assert process.wait(60) == 2
        assert b"does not name a model" in process.stderr.read()
