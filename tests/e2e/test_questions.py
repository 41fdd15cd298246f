"""`rlm run --questions` as a program: stopped and killed, detached, on a terminal, reviewed, and out of budget."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import CLEAN, RLM, rlm
from tests.e2e.terminal import Terminal
from tests.scripts import repl

NUMBER = 8
CONCURRENCY = 4


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., list[str]]:
    """Write eight questions and an input; return the command line that asks them of a model with this code."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("An input of one line.\n")
    lines = [json.dumps({"id": f"q{number}", "question": f"Question {number}?"}) for number in range(NUMBER)]
    (tmp_path / "q.jsonl").write_text("\n".join(lines))

    def command(code: str = "FINAL(llm_query('{number} ' + str(context)))", sub: str = "return prompt") -> list[str]:
        script = f"""
import asyncio, re, os

def asked(what):
    with open({str(tmp_path / "asked")!r}, "a") as log:
        log.write(what + "\\n")

def root(messages):
    number = re.search(r"Question (\\d+)\\?", "".join(m["content"] for m in messages))[1]
    return {repl(code)!r}.replace("{{number}}", number)

async def sub(prompt):
    prompt = prompt.split()[0]
    asked(prompt)
    {sub}
"""
        (tmp_path / "m.py").write_text(script)
        limits = ("--concurrency", str(CONCURRENCY), "--thread", "t")
        return ["run", "--questions", "q.jsonl", "docs/", "--model", f"scripted:{tmp_path / 'm.py'}", *limits]

    return command


FROM_THE_FOURTH = "prompt not in '012'"


def waits(folder: Path, when: str = "True") -> str:
    """Return code of a model that waits for the file `go`."""
    return f"while {when} and not os.path.exists({str(folder / 'go')!r}): await asyncio.sleep(0.05)\n    "


@contextmanager
def started(folder: Path, command: list[str]) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(RLM), *command], cwd=folder, env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def asked(folder: Path) -> list[str]:
    log = folder / "asked"
    return log.read_text().split() if log.exists() else []


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


def lines_of(text: str) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in map(json.loads, text.splitlines())}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_the_same_command_goes_on_and_asks_nothing_twice_that_was_answered(
    batch: Callable[..., list[str]], tmp_path: Path, how: signal.Signals
) -> None:
    stuck = batch(sub=f"{waits(tmp_path, FROM_THE_FOURTH)}return prompt")
    with started(tmp_path, stuck) as process:
        assert process.stdout is not None
        ended = [json.loads(process.stdout.readline())["id"] for _ in range(3)]
        until(lambda: len(asked(tmp_path)) == 3 + CONCURRENCY)
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    assert sorted(ended) == ["q0", "q1", "q2"] and "Traceback" not in err
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert {line["status"] for line in lines_of(out).values()} == {"stopped"}
        assert "Go on: " in err
    (tmp_path / "asked").unlink()
    (tmp_path / "go").touch()
    done = rlm(tmp_path, *stuck)
    assert done.returncode == 0, done.stderr
    assert {name: line["answer"] for name, line in lines_of(done.stdout).items()} == {
        f"q{number}": str(number) for number in range(NUMBER)
    }
    assert sorted(asked(tmp_path)) == ["3", "4", "5", "6", "7"]
    assert "8 answered (3 before)" in done.stderr
    again = rlm(tmp_path, *stuck, "-o", "all.jsonl")
    assert again.returncode == 0 and again.stdout == "" and len(asked(tmp_path)) == 5
    assert len(lines_of((tmp_path / "all.jsonl").read_text())) == NUMBER


def test_a_detached_batch_writes_its_file_and_keeps_a_log(batch: Callable[..., list[str]], tmp_path: Path) -> None:
    done = rlm(tmp_path, *batch(), "--detach", "--json", "-o", "out.jsonl")
    begun = json.loads(done.stdout)
    assert done.returncode == 0 and begun["thread_ids"] == [f"t-q{number}" for number in range(NUMBER)]
    until((tmp_path / "out.jsonl").exists)
    assert len(lines_of((tmp_path / "out.jsonl").read_text())) == NUMBER
    [log] = (tmp_path / ".rlm/logs").iterdir()
    until(lambda: f"{NUMBER} of {NUMBER} ended: {NUMBER} answered" in log.read_text())


def test_waiting_questions_are_reviewed_and_the_same_command_has_all_answers(
    batch: Callable[..., list[str]], tmp_path: Path
) -> None:
    gated = [*batch("import socket\nFINAL(str(context))"), "--approve", "code:imports"]
    lines = (tmp_path / "q.jsonl").read_text().splitlines()
    (tmp_path / "q.jsonl").write_text("\n".join(lines[:2]))
    done = rlm(tmp_path, *gated)
    assert done.returncode == 3 and "2 waiting for approval" in done.stderr
    assert "Decide: " in done.stderr and all(line["interrupts"] for line in lines_of(done.stdout).values())
    for name in ("t-q0", "t-q1"):
        while rlm(tmp_path, "review", name, "--approve").returncode == 3:
            pass
    done = rlm(tmp_path, *gated)
    assert done.returncode == 0 and "2 answered (2 before)" in done.stderr


def test_the_limit_is_exact_and_the_printed_command_goes_on(batch: Callable[..., list[str]], tmp_path: Path) -> None:
    command = batch("print(llm_query_batched([str(i) for i in range(6)]))\nFINAL('{number}')")
    done = rlm(tmp_path, *command, "--max-calls", "20")
    assert done.returncode == 4
    lines = lines_of(done.stdout)
    assert len(lines) == NUMBER and sum(line["usage"]["model_calls"] for line in lines.values()) <= 20
    assert "--max-calls 40" in done.stderr.partition("Go on: ")[2]
    done = rlm(tmp_path, *command, "--max-calls", "400")
    assert done.returncode == 0 and f"{NUMBER} answered" in done.stderr


def test_a_terminal_shows_a_table_and_the_lines_stay_whole(batch: Callable[..., list[str]], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *batch(sub=f"{waits(tmp_path)}return prompt"))
    try:
        terminal.shows(f"0 of {NUMBER} ended · {CONCURRENCY} running")
        terminal.shows("turn 1 of 30 · running its code")
        (tmp_path / "go").touch()
        assert terminal.ended() == 0
    finally:
        terminal.process.kill()
    shown = [line for one in terminal.words.split("\n") if (line := one.strip()).startswith('{"id"')]
    assert len(lines_of("\n".join(shown))) == NUMBER
    assert f"{NUMBER} of {NUMBER} ended: {NUMBER} answered" in terminal.words


def test_nothing_is_saved_when_a_line_is_bad(batch: Callable[..., list[str]], tmp_path: Path) -> None:
    command = batch()
    with (tmp_path / "q.jsonl").open("a") as file:
        file.write('\n{"id": "q0", "question": "Again?"}\n')
    done = rlm(tmp_path, *command)
    assert (done.returncode, done.stdout) == (2, "") and "line 9: the id q0 is that of line 1" in done.stderr
    assert not (tmp_path / ".rlm").exists() and not asked(tmp_path)
