"""`rlm run --max-time` ends the program in time, with its kernels, whatever it waits for."""

import contextlib
import json
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.program import CLEAN, RLM, rlm, waiting_run
from tests.scripts import Asked, repl, write_script

pytestmark = pytest.mark.kill
LIMIT, SOON = 1.5, 2.0
CELLS = {
    "sleeps": "import time\ntime.sleep(600)",
    "computes": "while True: pass",
    "stalls in C": "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    "swallows": "while True:\n    try:\n        import time; time.sleep(600)\n    except BaseException: pass",
    "waits for a child": "import subprocess\nsubprocess.run(['sleep', '600'])",
    "prints": "while True: print('x' * 10_000)",
}


@pytest.mark.parametrize("code", CELLS.values(), ids=CELLS)
def test_a_cell_is_ended_with_its_kernel_and_the_run_is_saved(tmp_path: Path, code: str) -> None:
    model = write_script(tmp_path / "m.py", [repl(code)])
    command = [str(RLM), "run", "Q?", "--model", model, "--thread", "t", "--json", "--max-time", str(LIMIT)]
    started: set[psutil.Process] = set()
    program = subprocess.Popen(command, cwd=tmp_path, env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    me = psutil.Process(program.pid)
    while program.poll() is None:
        started |= set(me.children(recursive=True)) if me.is_running() else set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(0.05)
    said = json.loads(program.communicate()[0])
    assert (program.returncode, said["status"], said["error"]["type"]) == (4, "budget", "BudgetSpent")
    assert "--max-time" in said["error"]["hint"], "it says how to go on"
    assert started and not [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    [run] = json.loads(rlm(tmp_path, "list", "--json").stdout)
    assert run["status"] == "budget"
    assert seconds_of(tmp_path) < LIMIT + SOON


def seconds_of(folder: Path) -> float:
    """Return the wall time that is saved of the run `t`."""
    import sqlite3

    with sqlite3.connect(f"file:{folder / '.rlm' / 'checkpoints.sqlite'}?mode=ro", uri=True) as connection:
        [[seconds]] = connection.execute("SELECT seconds FROM threads WHERE thread_id = 't'")
    return float(seconds)


@pytest.mark.parametrize("deaf", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_waiting_call_is_ended_and_the_run_resumes_where_it_was(tmp_path: Path, deaf: bool) -> None:
    with waiting_run(tmp_path, "--json", "--max-time", "3", deaf=deaf) as waiting:
        begun = time.monotonic()
        out, _ = waiting.process.communicate(timeout=30)
        assert time.monotonic() - begun < 3 + SOON + 0.5
        assert waiting.process.returncode == 4 and json.loads(out)["status"] == "budget"
        waiting.answer_at_once()
        asked = Asked(waiting.model)
    spent = rlm(tmp_path, "resume", "t")
    assert spent.returncode == 4 and "--max-time" in spent.stderr and len(asked) == 0
    again = rlm(tmp_path, "resume", "t", "--max-time", "60")
    assert (again.returncode, again.stdout.strip()) == (0, "AB") and asked.prompts == ["b"]


def test_an_input_that_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [])
    command = [str(RLM), "run", "Q?", "-", "--model", model, "--thread", "t", "--json", "--max-time", "1"]
    program = subprocess.Popen(
        command, cwd=tmp_path, env=CLEAN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.wait(timeout=30) == 4
    assert program.stdout and program.stdin and program.stderr
    assert json.loads(program.stdout.read())["error"]["type"] == "BudgetSpent"
    for pipe in (program.stdin, program.stdout, program.stderr):
        pipe.close()
    assert json.loads(rlm(tmp_path, "list", "--json").stdout) == []
