"""The display of many questions: a table on a terminal, plain lines elsewhere."""

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from durable_rlm.graph.run import Run
from durable_rlm.studio.questions.display import LiveTable, PlainLines
from durable_rlm.studio.questions.progress import BatchProgress, counts, totals
from tests.clock import Clock
from tests.studio.conftest import HOSTILE
from tests.studio.questions.conftest import USAGE, answered

RETRY: Mapping[str, Any] = {"event": "retry", "model": "openai:m", "reason": "server (503)", "seconds": 20.0}
BEGUN: Mapping[str, Any] = {"event": "begun", "thread_id": ""}


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


def turn(number: int = 1) -> dict[str, Any]:
    return {"event": "turn", "turn": number, "of": 30, "last": False}


def table(progress: BatchProgress, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines of the table on a terminal of this size."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, markup=False)
    console.print(LiveTable(progress, console).draw())
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue()).splitlines()


def test_the_table_shows_counts_each_running_question_totals_and_the_time_left(clock: Clock) -> None:
    progress = BatchProgress(10, clock)
    progress.update("", BEGUN)
    for number in range(5):
        progress.update(f"q{number}", turn())
    clock.now += 20
    for number in range(3):
        progress.ended(f"q{number}", answered(f"q{number}") if number else Run("q0", "failed", usage=USAGE))
    progress.update("q3", {"event": "code", "turn": 1, "code": "x"})
    calls = {"posted": 40, "answered": 12, "failed": 0, "reused": 0, "in_flight": 8, "usage": USAGE}
    progress.update("q3", {"event": "calls", "turn": 1, **calls})
    lines = table(progress, width=100)
    assert "3 of 10 ended: 2 answered · 1 failed · 2 running" in lines[0]
    row = "q3 turn 1 of 30 · 12 of 40 sub-calls answered · 8 in flight 20 s · 2 calls"
    assert " ".join(lines[2].split()) == row
    assert "q4" in lines[3] and "asking the root model" in lines[3]
    assert lines[4].strip() == "20 s · 8 model calls · 480 tokens · $1.00 · about 47 s left"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_terminals_of_any_width_whatever_the_ids_are(clock: Clock, width: int) -> None:
    progress = BatchProgress(300, clock)
    progress.update("", BEGUN)
    for place, text in enumerate([*HOSTILE.values(), "漢字" * 100, "a" * 400] * 3):
        progress.update(f"{place}{text}", turn())
    lines = table(progress, width=width, height=20)
    assert all(len(line) <= width for line in lines) and len(lines) <= 18
    assert "and 24 more" in "\n".join(lines)
    assert not set("\n".join(lines)) & set("\u202e\u200b\x9b\r\x07\ud800")


def test_reading_of_the_shared_input_is_shown_first(clock: Clock) -> None:
    progress = BatchProgress(10, clock)
    assert "Starting" in table(progress)[0]
    progress.update("", {"event": "input", "documents": 84, "bytes": 3_200_000, "name": "x", "done": False})
    assert "Reading 84 documents, 3.2 MB" in table(progress)[0]


def test_a_question_that_has_ended_leaves_only_numbers(clock: Clock) -> None:
    progress = BatchProgress(5_000, clock)
    for number in range(5_000):
        progress.update(str(number), turn())
        progress.ended(str(number), answered(str(number)))
    assert not progress.running and progress.usage()["model_calls"] == 10_000
    assert counts(progress) == "5,000 of 5,000 ended: 5,000 answered"


def test_a_notice_about_a_question_that_has_ended_does_not_make_it_run(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = BatchProgress(2, clock)
    display = PlainLines(progress)
    display.update("a", turn())
    display.ended("a", answered("a"))
    for name in "ab":
        display.update(name, {"event": "notice", "text": "Not sent."})
    display.ended("b", answered("b"))
    assert not progress.running and counts(progress) == "2 of 2 ended: 2 answered (1 before)"
    assert capsys.readouterr().err.splitlines()[1:] == ["a: Not sent.", "b: Not sent."]


def test_a_cost_is_shown_only_when_all_of_it_is_known(clock: Clock) -> None:
    progress = BatchProgress(3, clock)
    progress.ended("a", answered("a"))
    assert "$0.2500" in totals(progress)
    unpriced: Any = {**USAGE, "cost_usd": None}
    progress.ended("b", Run("b", "answered", usage=unpriced))
    assert "$" not in totals(progress)


def test_plain_lines_report_each_end_and_the_whole_every_few_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = BatchProgress(4, clock)
    display = PlainLines(progress)
    display.update("", {"event": "input", "documents": 2, "bytes": 10, "name": "", "done": True, "notes": ["x: left"]})
    display.update("", BEGUN)
    for name in "abc":
        display.update(name, turn())
    display.ended("a", answered("a"))
    error = {"type": "ModelFailed", "message": "The server\x1b[2J is gone.", "hint": ""}
    display.ended("b", Run("b", "failed", usage=USAGE, turns=1, error=error))
    display.ended("d", answered("d"))
    clock.now += 3
    display.update("c", turn(2))
    display.update("c", turn(3))
    display.update("c", {"event": "notice", "text": "A \u202enotice."})
    assert capsys.readouterr().err.splitlines() == [
        "Read 2 documents, 10 bytes of text.",
        "  x: left",
        "a: answered · 1 turn · 2 model calls · 120 tokens · $0.2500 (1 of 4)",
        "b: failed · 1 turn · 2 model calls · 120 tokens · $0.2500 · The server\\x1b[2J is gone. (2 of 4)",
        "3 of 4 ended: 2 answered (1 before) · 1 failed · 1 running · 3.0 s · 6 model calls · 360 tokens · $0.7500",
        "c: A \\u202enotice.",
    ]


def test_plain_lines_say_how_many_questions_repeat_a_request_and_why(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainLines(BatchProgress(4, clock))
    display.update("", BEGUN)
    for name in "abc":
        display.update(name, turn())
    clock.now += 3
    display.update("a", RETRY)
    clock.now += 3
    display.update("b", RETRY)
    clock.now += 60
    display.update("b", turn(2))
    said = [line.split(" · ")[1] for line in capsys.readouterr().err.splitlines()]
    again = "3 running, {} repeat a request (openai:m: server (503))"
    assert said == [again.format(1), again.format(2), "3 running"]


def test_no_time_left_is_estimated_from_answers_that_were_only_read(clock: Clock) -> None:
    progress = BatchProgress(200, clock)
    for number in range(150):
        progress.ended(str(number), answered(str(number)))
    clock.now += 2
    assert progress.seconds_left is None
