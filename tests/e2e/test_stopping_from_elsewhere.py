"""`rlm stop` and `rlm wait` from another terminal: one process executes the run, the others stop it or wait for it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import CLEAN, RLM, WaitingRun, rlm, waiting_run
from tests.scripts import Asked, repl, write_script

pytestmark = pytest.mark.kill
SLEEPS = "import time\nprint('now')\ntime.sleep(3600)"
BUSY = "while True:\n    pass"


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start the program, with pipes for its output."""
    pipe = subprocess.PIPE
    return subprocess.Popen([str(RLM), *arguments], cwd=folder, env=CLEAN, stdout=pipe, stderr=pipe, text=True)


def started(folder: Path, *arguments: str, says: str) -> "subprocess.Popen[str]":
    """Start the program; return once a line on stderr has these words."""
    process = start(folder, *arguments)
    assert process.stderr is not None
    while says not in process.stderr.readline():
        assert process.poll() is None
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return the exit status, stdout and the rest of stderr of a process, once it has ended."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def check_stopped_and_resumable(waiting: WaitingRun) -> None:
    """Check that the run was stopped in an orderly way, and resumes without paying twice for what was answered."""
    status, out, err = ended(waiting.process)
    assert status == 130 and json.loads(out)["status"] == "stopped" and "rlm resume t" in err
    waiting.answer_at_once()
    asked = Asked(waiting.model)
    assert rlm(waiting.folder, "resume", "t").stdout == "AB\n"
    assert (asked.prompts, asked.roots) == (["b"], [])


def test_a_run_is_stopped_from_another_terminal_and_resumes(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        [running] = json.loads(rlm(tmp_path, "list", "--running", "--json").stdout)
        assert (running["thread_id"], running["status"]) == ("t", "busy")
        assert "No run waits for a reviewer." in rlm(tmp_path, "list", "--waiting").stderr
        done = rlm(tmp_path, "stop", "--wait")
        assert (done.returncode, done.stdout) == (0, "")
        assert f"Process {waiting.process.pid} was asked to stop t." in done.stderr
        assert "t: stopped" in done.stderr and "rlm resume t" in done.stderr
        check_stopped_and_resumable(waiting)
    again = rlm(tmp_path, "stop", "t")
    assert again.returncode == 2 and "its status is answered" in again.stderr and "rlm resume t" in again.stderr
    assert "No run is being run by a process." in rlm(tmp_path, "list", "--running").stderr


def test_a_request_is_saved_at_once_and_met_within_seconds(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        done = rlm(tmp_path, "stop", "t", "--json")
        assert done.returncode == 0 and json.loads(done.stdout) == {"thread_id": "t", "status": "stopping"}
        assert waiting.process.wait(30) == 130
        check_stopped_and_resumable(waiting)


def test_every_run_of_the_home_is_stopped_at_once(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        model = write_script(tmp_path / "sleeps.py", [repl(SLEEPS)])
        other = started(tmp_path, "run", "Q?", "--model", model, "--thread", "other", says="running 3 lines of code")
        unclear = rlm(tmp_path, "stop")
        assert unclear.returncode == 2 and "2 runs are running: other, t." in unclear.stderr
        done = rlm(tmp_path, "stop", "--all", "--wait", "--json")
        assert json.loads(done.stdout) == [{"thread_id": name, "status": "stopped"} for name in ("other", "t")]
        assert ended(other)[0] == 130
        check_stopped_and_resumable(waiting)
    assert rlm(tmp_path, "stop", "--all").returncode == 2


@pytest.mark.parametrize("cell", [SLEEPS, BUSY], ids=["sleeps", "is busy"])
def test_a_run_whose_code_does_nothing_else_is_stopped(tmp_path: Path, cell: str) -> None:
    model = write_script(tmp_path / "m.py", [repl(cell)])
    process = started(tmp_path, "run", "Q?", "--model", model, "--thread", "t", says="of code")
    assert "t: stopped" in rlm(tmp_path, "stop", "--wait").stderr
    assert ended(process)[0] == 130


def test_a_run_that_waits_for_the_root_model_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("import asyncio\ndef root(messages): return asyncio.sleep(3600)\ndef sub(p): ...\n")
    model = f"scripted:{tmp_path / 'm.py'}"
    process = started(tmp_path, "run", "Q?", "--model", model, "--thread", "t", says="asking the root model")
    assert "t: stopped" in rlm(tmp_path, "stop", "--wait").stderr
    assert ended(process)[0] == 130


def test_waiting_ends_with_the_answer_and_exit_status_of_the_run(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        says = f"Process {waiting.process.pid} runs t."
        plain = started(tmp_path, "wait", "t", "-o", "answer.txt", says=says)
        document = started(tmp_path, "wait", "t", "--json", says=says)
        waiting.release()
        status, out, _ = ended(plain)
        assert (status, out, (tmp_path / "answer.txt").read_text()) == (0, "", "Alate\n")
        status, out, _ = ended(document)
        assert (status, json.loads(out)["answer"]) == (0, "Alate")
    at_once = rlm(tmp_path, "wait")
    assert (at_once.returncode, at_once.stdout) == (0, "Alate\n") and "answered" in at_once.stderr


def test_a_killed_process_is_noticed_by_those_who_wait(tmp_path: Path) -> None:
    with waiting_run(tmp_path) as waiting:
        watching = started(tmp_path, "wait", "t", "--json", says="runs t.")
        stopping = started(tmp_path, "stop", "t", "--wait", says="was asked to stop t.")
        os.kill(waiting.process.pid, signal.SIGKILL)
        status, out, err = ended(watching)
        assert (status, json.loads(out)["status"]) == (130, "stopped") and "rlm resume t" in err
        status, _, err = ended(stopping)
        assert status == 0 and "t: stopped" in err


def test_a_suspended_process_is_named_and_stops_the_run_when_it_wakes(tmp_path: Path) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        waiting.process.send_signal(signal.SIGSTOP)
        stopping = started(tmp_path, "stop", "--wait", says=f"`kill -CONT {waiting.process.pid}` wakes it.")
        assert "is suspended" in rlm(tmp_path, "stop", "t").stderr
        waiting.process.send_signal(signal.SIGCONT)
        assert ended(stopping)[0] == 0
        check_stopped_and_resumable(waiting)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_wait_leaves_the_run_going(tmp_path: Path, number: int) -> None:
    with waiting_run(tmp_path, "--json") as waiting:
        waiting.process.send_signal(signal.SIGSTOP)
        watching = started(tmp_path, "wait", says="is suspended")
        stopping = started(tmp_path, "stop", "--wait", "--json", says="is suspended")
        for process in (watching, stopping):
            process.send_signal(number)
        status, out, err = ended(watching)
        assert (status, out) == (130, "") and "No longer waiting: t goes on." in err
        status, out, _ = ended(stopping)
        assert (status, json.loads(out)) == (130, {"thread_id": "t", "status": "stopping"})
        assert waiting.process.poll() is None
