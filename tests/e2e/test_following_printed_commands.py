"""Printed commands answer a run however often it was killed, and a crash adds only the calls that it lost."""

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import CLEAN, RLM

pytestmark = pytest.mark.kill

CALLS = 60
MODEL = f"""
import os, pathlib, signal

KILLS = pathlib.Path(__file__).with_name("kills")
asked = 0

def root(messages):
    return '''```repl
answers = llm_query_batched([f"question {{n}}" for n in range({CALLS})])
FINAL(sum(map(bool, answers)))
```'''

async def sub(prompt):
    global asked
    asked += 1
    left = int(KILLS.read_text())
    if left and asked == 10:
        KILLS.write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return "yes"
"""
LIMITS = {"no limit": [], "tokens": ["--max-tokens", "14000"], "calls": ["--max-calls", "63"]}


def followed(folder: Path, done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Run the printed command that resumes the run, in a shell."""
    [command] = re.findall(r"^Go on: (.+)$", done.stderr, re.MULTILINE)
    environment = CLEAN | {"PATH": f"{RLM.parent}:{CLEAN['PATH']}"}
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def started(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in `folder`."""
    return subprocess.run(
        [str(RLM), *arguments], cwd=folder, env=CLEAN, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("kills", [0, 1, 3])
@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_a_killed_run_is_answered_by_the_printed_commands(tmp_path: Path, kills: int, limit: list[str]) -> None:
    (tmp_path / "kills").write_text(str(kills))
    (tmp_path / "model.py").write_text(MODEL)
    done = started(tmp_path, "run", "How many?", "--model", "scripted:model.py", "--thread", "t", *limit)
    for _ in range(kills):
        while done.returncode == 4:
            done = followed(tmp_path, done)
        # A shell reports 128 plus the signal's number, where one has run the command.
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), shlex.join(done.args) + done.stderr
        done = started(tmp_path, "resume", "t")
    steps = 0
    while done.returncode == 4:
        done = followed(tmp_path, done)
        steps += 1
    assert (done.returncode, done.stdout) == (0, f"{CALLS}\n"), done.stderr
    assert steps <= 1 + kills
    usage = json.loads(started(tmp_path, "resume", "t", "--json").stdout)["usage"]
    lost = usage["uncertain_calls"]
    assert (lost > 0) == (kills > 0)
    # A lost call is estimated at the tokens of its prompt, and a thousand tokens for an answer.
    assert lost * 1_000 < usage["estimated_tokens"] < lost * 1_100 or not kills
    assert (f"of {lost} lost call" in done.stderr) == (kills > 0)
