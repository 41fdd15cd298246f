"""`--detach`: a run goes on in a process of its own once it has begun, whatever becomes of the terminal."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import CLEAN, RLM, rlm, waiting_model
from tests.e2e.terminal import Terminal
from tests.scripts import Asked, repl, write_script

pytestmark = pytest.mark.kill
ROOT = Path(__file__).parents[2]
_NAME = "ä/../x y\u202e"


class _Held:
    """A detached run of the thread `_NAME`, whose second sub-call waits in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = waiting_model(folder)
        self.command = ["run", "Q?", "--model", self.model, "--thread", _NAME, "--detach", "--json"]
        self.process: psutil.Process | None = None

    def begun(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        (self.folder / "asked").read_bytes()

    def ended(self) -> None:
        assert self.process
        _wait([self.process])

    def release(self) -> None:
        (self.folder / "gate").write_text("late")
        self.ended()

    @property
    def log(self) -> str:
        [log] = (self.folder / ".rlm" / "logs").iterdir()
        assert log.stat().st_mode & 0o777 == 0o600 and log.parent.stat().st_mode & 0o777 == 0o700
        return log.read_text()


def _wait(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


@contextmanager
def _held(folder: Path) -> Generator[_Held]:
    held = _Held(folder)
    try:
        yield held
    finally:
        if held.process and held.process.is_running():
            held.process.kill()


def _saved(folder: Path, thread: str = _NAME) -> dict[str, Any]:
    """Return what `rlm resume` prints of a run that has ended, having asked no model."""
    asked = Asked(write_script(folder / "m.py", []))
    done = rlm(folder, "resume", thread, "--json")
    assert len(asked) == 0
    return json.loads(done.stdout)


def test_a_decision_that_is_detached_returns_once_the_run_goes_on_and_the_run_ends_by_itself(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])

    async def waiting() -> Run:
        async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
            return await runner.run("Q?", model=model, thread="t", approve=["code"])

    [request] = asyncio.run(waiting()).interrupts
    decision = ["--approve", "--interrupt", request["id"], "--shown", request["value"]["shown"]]
    done = rlm(tmp_path, "review", "t", *decision, "--detach", "--json")
    begun = json.loads(done.stdout)
    assert done.returncode == 0 and begun["thread_id"] == "t" and "FINAL(1)" in done.stderr
    with contextlib.suppress(psutil.NoSuchProcess):
        _wait([psutil.Process(begun["pid"])])
    assert _saved(tmp_path, "t")["answer"] == 1


def test_a_detached_run_holds_no_stream_of_its_caller_and_says_in_its_log_what_it_did(tmp_path: Path) -> None:
    reading, other = os.pipe()
    with _held(tmp_path) as held:
        # All three are read to their ends, which come while the run waits.
        done = subprocess.run(
            [str(RLM), *held.command],
            cwd=tmp_path,
            env=CLEAN,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            pass_fds=[other],
        )
        os.close(other)
        assert os.read(reading, 1) == b""
        os.close(reading)
        printed = json.loads(done.stdout)
        assert list(printed) == ["thread_id", "pid"] and printed["thread_id"] == _NAME
        assert str(printed["pid"]) in done.stderr and "\u202e" not in done.stderr
        held.begun(printed["pid"])
        [listed] = json.loads(rlm(tmp_path, "list", "--json").stdout)
        assert (listed["thread_id"], listed["status"]) == (_NAME, "busy")
        again = rlm(tmp_path, "resume", _NAME, "--detach")
        assert again.returncode == 5 and "busy" in again.stderr
        held.release()
        assert _saved(tmp_path)["answer"] == "Alate"
        *_, ended, _look = held.log.splitlines()
        assert "answered · 1 turn" in ended and ended[:2] == "20" and ended[19:21] == "Z "
        assert "\u202e" not in held.log and held.log.count("Process") == 1, "the busy one wrote nothing"


def test_a_detached_run_goes_on_when_its_terminal_is_closed(tmp_path: Path) -> None:
    with _held(tmp_path) as held:
        terminal = Terminal(tmp_path, *held.command)
        terminal.shows('"pid"')
        assert terminal.ended() == 0
        held.begun(json.loads(terminal.words.partition("{")[2].partition("}")[0].join("{}"))["pid"])
        assert held.process and held.process.terminal() is None
        held.release()
        assert _saved(tmp_path)["answer"] == "Alate"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda one: one.name)
async def test_a_detached_run_that_is_stopped_or_killed_pays_for_nothing_twice(
    tmp_path: Path, number: signal.Signals
) -> None:
    with _held(tmp_path) as held:
        held.begun(json.loads(rlm(tmp_path, *held.command).stdout)["pid"])
        assert held.process
        below = held.process.children(recursive=True)
        held.process.send_signal(number)
        held.ended()
        _wait(below)
        assert ("stopped" in held.log) == (number != signal.SIGKILL)
    asked = Asked(write_script(tmp_path / "m.py", [], sub="return {'b': 'B'}[prompt]"))
    async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
        run = await runner.resume(_NAME)
    assert (run.status, run.answer) == ("answered", "AB")
    assert (asked.prompts, len(asked.roots)) == (["b"], 0)


def test_a_detached_run_that_is_refused_ends_and_says_the_same_as_one_that_stays(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])
    assert rlm(tmp_path, "run", "Q?", "--model", model, "--thread", "t").returncode == 0
    for command in (
        ["run", "Q?", "missing", "--model", model, "--json"],
        ["run", "Other?", "--model", model, "--thread", "t"],
        ["fork", "t", "--step", "99"],
    ):
        detached, stays = rlm(tmp_path, *command, "--detach"), rlm(tmp_path, *command)
        assert detached.returncode == stays.returncode == 2
        assert (detached.stdout, detached.stderr) == (stays.stdout, stays.stderr)
    both = rlm(tmp_path, "fork", "t", "--step", "1", "--no-run", "--detach")
    assert both.returncode == 2 and "--no-run" in both.stderr
    answered = rlm(tmp_path, "resume", "t", "--detach")
    assert (answered.returncode, answered.stdout) == (0, "1\n"), "there is nothing to detach"
    assert not (tmp_path / ".rlm" / "logs").exists()


@contextmanager
def _reading_stdin(folder: Path) -> Generator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    """Detach a run that has begun to read an input without an end. Yield the command, and the processes below it."""
    model = write_script(folder / "m.py", [])
    command = [str(RLM), "run", "Q?", "-", "--model", model, "--detach"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=CLEAN, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        # More than a pipe holds: written once it is being read.
        for _ in range(64):
            process.stdin.write(b"word " * 1_000)
        yield process, psutil.Process(process.pid).children(recursive=True)


def test_a_signal_before_the_run_has_begun_reaches_the_process_that_reads_the_input(tmp_path: Path) -> None:
    with _reading_stdin(tmp_path) as (process, below):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stdout and process.stderr
        assert b"Stopped before the run began" in process.stderr.read() and process.stdout.read() == b""
        assert below
        _wait(below)
    assert json.loads(rlm(tmp_path, "list", "--json").stdout) == []


def test_a_detached_process_that_is_killed_before_its_run_has_begun_is_an_error(tmp_path: Path) -> None:
    with _reading_stdin(tmp_path) as (process, below):
        below[0].kill()
        assert process.wait(timeout=30) == 1
        assert process.stderr and b"SIGKILL" in process.stderr.read()


def test_a_detached_run_reads_stdin_first_writes_its_file_and_is_not_asked_about_at_the_terminal(
    tmp_path: Path,
) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(llm_query(context))")])
    flags = ("--model", model, "--thread", "t", "--approve", "calls>0", "-o", "answer.txt", "--unsandboxed", "--detach")
    done = rlm(tmp_path, "run", "Q?", "-", *flags, given="text")
    assert (done.returncode, done.stdout) == (0, "t\n")
    assert "NOT SANDBOXED" in done.stderr and "Read 1 document" in done.stderr
    _wait_of(done)
    log = tmp_path / ".rlm" / "logs" / "t.log"
    assert "paused" in log.read_text() and "review t" in log.read_text()
    done = rlm(tmp_path, "review", "t", "--approve", "-o", "answer.txt")
    assert done.returncode == 0 and (tmp_path / "answer.txt").read_text() == "TEXT\n"
    forked = rlm(tmp_path, "fork", "t", "--step", "1", "--thread", "f", "--detach", "-o", "fork.txt")
    assert (forked.returncode, forked.stdout) == (0, "f\n")
    _wait_of(forked)
    assert "t.log" in {one.name for one in log.parent.iterdir()}
    assert rlm(tmp_path, "delete", "t", "--yes").returncode == 0 and not log.exists()


def _wait_of(done: subprocess.CompletedProcess[str]) -> None:
    pid = int(done.stderr.partition("process ")[2].partition(".")[0])
    if psutil.pid_exists(pid):
        _wait([psutil.Process(pid)])


def test_a_terminal_that_is_closed_while_the_command_prints_the_name_of_the_run_does_not_stop_it(
    tmp_path: Path,
) -> None:
    reading, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, b"x")
    os.set_blocking(full, True)
    command = [str(RLM), *(held := _Held(tmp_path)).command]
    # Nobody reads what it prints, so that it hangs at the name of the run.
    process = subprocess.Popen(command, cwd=tmp_path, env=CLEAN, stdout=full, stderr=subprocess.DEVNULL)
    try:
        os.close(full)
        (tmp_path / "asked").read_bytes()
        [below] = psutil.Process(process.pid).children()
        held.process = below
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == -signal.SIGHUP
        held.release()
        assert _saved(tmp_path)["answer"] == "Alate"
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        if held.process and held.process.is_running():
            held.process.kill()


def test_a_program_that_calls_the_command_line_goes_on_once(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL('done')")])
    program = f"""
import signal
from durable_rlm.studio.main import main
try:
    main(["run", "Q?", "--model", {model!r}, "--thread", "t", "--detach"])
except SystemExit as ended:
    print("ended", ended.code, flush=True)
handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
assert handlers == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=True, timeout=60
    )
    _wait_of(done)
    assert done.stdout == "t\nended 0\n"
    assert _saved(tmp_path, "t")["answer"] == "done"


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("bash")), reason="the script of docs/jobs.md needs both")
def test_the_script_of_the_documentation_resumes_the_stopped_runs_of_a_home_and_no_others(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "jobs.md").read_text().partition("## After a restart of the machine")[2]
    [script] = re.findall(r"```bash\n(#!.*?)```", section, re.DOTALL)
    names = ["it's\n$(touch x)", "-dashed", "ü\u202e"]
    # The root model is asked again: each run was stopped before its first turn.
    model = write_script(tmp_path / "m.py", [repl("FINAL('done')")])
    answered = rlm(tmp_path, "run", "Q?", "--model", model, "--thread", "answered")
    assert answered.returncode == 0
    for name in names:
        made = rlm(tmp_path, "fork", "answered", "--step", "1", f"--thread={name}", "--no-run")
        assert made.returncode == 0, made.stderr
    asked = Asked(model)
    environment = CLEAN | {"PATH": f"{RLM.parent}:{os.environ['PATH']}", "RLM_HOME": str(tmp_path / ".rlm")}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=120, capture_output=True)
    listed = json.loads(rlm(tmp_path, "list", "--json").stdout)
    assert {run["thread_id"]: run["status"] for run in listed} == dict.fromkeys(["answered", *names], "answered")
    assert len(asked) <= len(names) and not (tmp_path / "x").exists()
