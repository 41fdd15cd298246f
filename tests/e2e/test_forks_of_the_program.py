"""`rlm fork` over real kernels: the requests that the model receives, for each kind of change."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import Asked, repl, write_script

RLM = str(Path(sys.executable).with_name("rlm"))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("RLM_", "OPENAI_"))}
CELLS = [
    "limit = 3\nwords = context.split()\nnumbers = (n for n in range(5))\nseen = [llm_query(word) for word in words]",
    "picked = llm_query_batched([f'{word}{limit}' for word in seen])\nprint(picked)",
    "FINAL(picked + [limit, next(numbers)])",
    "FINAL(['once more', limit, next(numbers)])",
]
ANSWER = ["A3", "B3", 3, 0]


def rlm(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RLM, *arguments], cwd=folder, env=CLEAN, input=given, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass
class Home:
    """A folder with the answered run `parent`."""

    folder: Path
    asked: Asked

    def step(self, kind: str, turn: int, thread: str = "parent") -> str:
        """Return the last step of a kind in a turn."""
        return self._look(
            "SELECT max(step) FROM steps WHERE thread_id = ? AND kind = ? AND turn = ?", thread, kind, turn
        )

    def key(self, turn: int) -> str:
        """Return the key of the first sub-call of a turn."""
        return self._look("SELECT key FROM calls WHERE kind = 'llm' AND turn = ? ORDER BY seq LIMIT 1", turn)

    def _look(self, query: str, *parameters: Any) -> str:
        with closing(sqlite3.connect(self.folder / ".rlm" / "checkpoints.sqlite")) as connection:
            return str(connection.execute(query, parameters).fetchone()[0])

    def fork(self, *arguments: str, given: str = "") -> dict[str, Any]:
        done = rlm(self.folder, "fork", "parent", *arguments, "--thread", "fork", "--json", given=given)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])
    done = rlm(folder, "run", "What?", "-", "--model", model, "--thread", "parent", "--json", given="a b")
    assert json.loads(done.stdout)["answer"] == ANSWER, done.stderr
    return folder


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Home:
    folder = shutil.copytree(original, tmp_path / "copy")
    # The run's model is the script at its old place; here it records the requests of each test alone.
    asked = Asked(write_script(original / "m.py", [repl(cell) for cell in CELLS]))
    return Home(folder, asked)


def test_a_fork_with_a_changed_variable_runs_on_with_it(home: Home) -> None:
    run = home.fork("--step", home.step("execute_code", 1), "--set", "limit=9", "--set", 'seen=["A", "new"]')
    assert run["answer"] == ["A9", "NEW9", 9, 0]
    assert home.asked.prompts == ["A9", "new9"] and len(home.asked.roots) == 2
    assert run["usage"]["model_calls"] == 4 and run["restore"]["lost"] == {}
    assert run["restore"]["rebuilt"] == ["numbers"], "a value that cannot be saved was rebuilt beside the changed one"
    shown = json.loads(rlm(home.folder, "vars", "fork", "--json").stdout)
    assert shown["limit"]["preview"] == "9" and shown["numbers"]["restorable"] is False
    differs = json.loads(
        rlm(
            home.folder,
            "diff",
            "parent",
            home.step("finalize", 3),
            f"fork@{home.step('finalize', 3, 'fork')}",
            "--json",
        ).stdout
    )
    assert set(differs["variables"]["changed"]) >= {"limit", "seen", "picked"}
    assert differs["answer"] == {"from": ANSWER, "to": run["answer"]}


def test_a_fork_with_changed_code_runs_it_and_reuses_recorded_answers(home: Home) -> None:
    code = "picked = llm_query_batched(['b3', 'A3'])\n%time picked.sort()\n"
    run = home.fork("--step", home.step("plan", 2), "--code", "-", given=code)
    assert run["answer"] == ["A3", "B3", 3, 0]
    assert home.asked.prompts == ["b3"], "one of its calls is recorded"
    [request] = home.asked.roots
    assert "%time picked.sort()" in request and "A person replaced the code of this turn" in request


def test_a_fork_with_a_changed_answer_uses_it_without_a_request(home: Home) -> None:
    (home.folder / "answer.txt").write_text("mine\n")
    run = home.fork("--step", home.step("sub_call", 2), "--answer", f"{home.key(2)[:12]}=answer.txt")
    assert run["answer"] == ["mine", "B3", 3, 0] and home.asked.prompts == []
    assert len(home.asked.roots) == 1 and "'mine', 'B3'" in home.asked.roots[0]
    answered = {
        call["prompt"]: call["model"] for call in json.loads(rlm(home.folder, "calls", "fork", "--json").stdout)
    }
    assert answered["A3"] == "person" and answered["B3"].startswith("scripted:")


def test_a_fork_with_a_new_question_adds_a_turn(home: Home) -> None:
    run = home.fork("--step", home.step("finalize", 3), "--question", "And now?")
    assert run["answer"] == ["once more", 3, 1] and run["turns"] == 4
    [request] = home.asked.roots
    assert "# Question\nAnd now?" in request and "Until then it was: What?" in request and home.asked.prompts == []


def test_a_fork_requests_nothing_recorded_unless_it_is_fresh(home: Home) -> None:
    step = home.step("execute_code", 1)
    again = home.fork("--step", step)
    assert again["answer"] == ANSWER and again["usage"]["model_calls"] == 0 and home.asked.roots == []
    fresh = rlm(home.folder, "fork", "parent", "--step", step, "--fresh", "--json")
    assert json.loads(fresh.stdout)["answer"] == ANSWER
    assert home.asked.prompts == ["A3", "B3"] and len(home.asked.roots) == 2


@pytest.mark.kill
def test_a_run_is_forked_while_another_process_executes_it(tmp_path: Path) -> None:
    wait = f"import time; open({str(tmp_path / 'asked')!r}, 'w').close(); time.sleep(60)"
    model = write_script(tmp_path / "m.py", [repl("x = llm_query('a')"), repl("FINAL(x + llm_query('b'))")], sub=wait)
    text = (tmp_path / "m.py").read_text().replace(wait, f"if prompt == 'b': {wait}\n    return prompt.upper()")
    (tmp_path / "m.py").write_text(text)
    running = subprocess.Popen(
        [RLM, "run", "Q?", "--model", model, "--thread", "parent"], cwd=tmp_path, env=CLEAN, stderr=subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "asked").exists():
            assert running.poll() is None
            time.sleep(0.01)
        write_script(
            tmp_path / "m.py", [repl("x = llm_query('a')"), repl("FINAL(x + llm_query('b'))")], sub="return 'B'"
        )
        steps = json.loads(rlm(tmp_path, "steps", "parent", "--json").stdout)
        fork = rlm(tmp_path, "fork", "parent", "--step", str(len(steps)), "--thread", "fork", "--json")
        assert json.loads(fork.stdout)["answer"] == "AB", fork.stderr
        listed = {run["thread_id"]: run["status"] for run in json.loads(rlm(tmp_path, "list", "--json").stdout)}
        assert listed == {"parent": "busy", "fork": "answered"}
    finally:
        running.kill()
        running.wait()
