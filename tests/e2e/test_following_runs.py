"""`rlm show --follow` beside the process that executes the run."""

import json
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.program import CLEAN, RLM, WaitingRun, rlm, waiting_run
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.processes


@pytest.fixture
def waiting(tmp_path: Path) -> Generator[WaitingRun]:
    with waiting_run(tmp_path) as waiting:
        yield waiting


def follow(folder: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(RLM), "show", "t", "--follow", *flags],
        cwd=folder,
        env={**CLEAN, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(following: subprocess.Popen[str], text: str) -> None:
    """Read what is printed on stderr until a line with this text."""
    assert following.stderr
    read = ""
    for line in following.stderr:
        read += line
        if text in line:
            return
    raise AssertionError(read)


def test_a_run_of_another_process_is_followed_to_its_answer(waiting: WaitingRun) -> None:
    assert "A process runs it now. Follow it: " in rlm(waiting.folder, "show", "t").stderr
    following = follow(waiting.folder)
    read_until(following, "1 of 2 sub-calls answered · 1 in flight")
    waiting.release()
    out, err = following.communicate(timeout=60)
    assert following.returncode == 0
    heading, begun, ended = out.split("── turn 1 · ")
    assert "Status    busy" in heading and begun.startswith("runs") and "llm_query('b')" in begun
    assert ended.startswith("ok") and ended.endswith("── answer\nAlate\n") and "llm_query" not in ended
    assert "answered · 1 turn" in err


def test_with_json_progress_is_on_stderr_and_the_document_on_stdout(waiting: WaitingRun) -> None:
    following = follow(waiting.folder, "--json")
    read_until(following, "1 of 2 sub-calls answered")
    waiting.release()
    out, err = following.communicate(timeout=60)
    assert (following.returncode, json.loads(out)["answer"]) == (0, "Alate")
    assert "Turn 1 ran in" in err


def test_a_killed_holder_is_noticed(waiting: WaitingRun) -> None:
    following = follow(waiting.folder)
    read_until(following, "in flight")
    waiting.process.send_signal(signal.SIGKILL)
    _, err = following.communicate(timeout=60)
    assert following.returncode == 0
    assert "stopped · 1 turn" in err and "rlm resume t" in err
    assert "No process runs it. Go on: " in rlm(waiting.folder, "show", "t").stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_following_and_not_the_run(waiting: WaitingRun, number: signal.Signals) -> None:
    following = follow(waiting.folder)
    read_until(following, "in flight")
    following.send_signal(number)
    _, err = following.communicate(timeout=60)
    assert following.returncode == 130
    assert "The run itself was not stopped" in err and "rlm show t --follow" in err
    waiting.release()
    assert waiting.process.wait(timeout=60) == 0


def test_it_ends_when_nobody_reads_its_output(waiting: WaitingRun) -> None:
    following = follow(waiting.folder)
    read_until(following, "in flight")
    assert following.stdout and following.stderr
    following.stdout.close()
    assert following.wait(timeout=60) == 0
    following.stderr.close()
    assert waiting.process.poll() is None


def test_turns_stay_above_the_panel_on_a_terminal(waiting: WaitingRun) -> None:
    terminal = Terminal(waiting.folder, "show", "t", "--follow")
    terminal.shows("1 of 2 sub-calls answered")
    terminal.shows("since its last step")
    waiting.release()
    assert terminal.ended() == 0
    words = terminal.words
    assert words.index("── turn 1 · runs") < words.index("1 of 2 sub-calls") < words.index("── turn 1 · ok")
    assert words.index("── turn 1 · ok") < words.index("Alate") < words.index("answered · 1 turn")
