"""`rlm run --questions`: lines out, exit statuses, what is printed at the end, and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.graph.batch import QuestionsRefused
from durable_rlm.graph.run import Run
from durable_rlm.state.errors import InputError
from tests.studio.conftest import HOSTILE, Done, Rlm
from tests.studio.questions.conftest import USAGE, Install, answered

MODEL = ("--model", "scripted:m.py")


@pytest.fixture
def questions(tmp_path: Path, rlm: Rlm) -> Any:
    """Write a file of questions, and run the command over it."""

    def run(*more: str, ids: tuple[Any, ...] = ("a", "b", "c"), lines: str = "") -> Done:
        text = lines or "\n".join(json.dumps({"id": one, "question": f"Is it {one}?"}) for one in ids)
        (tmp_path / "q.jsonl").write_text(text)
        return rlm("run", "--questions", "q.jsonl", *MODEL, *more)

    return run


def ending(**statuses: str) -> Any:
    """Return an outcome by name; names that are not given are answered."""

    def outcome(name: str) -> Run:
        status: Any = statuses.get(name, "answered")
        error = {"type": "ModelFailed", "message": "It broke.", "hint": ""} if status in ("failed", "budget") else None
        return answered(name) if status == "answered" else Run(name, status, usage=USAGE, turns=1, error=error)

    return outcome


def lines_of(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["plain", "json"])
def test_each_question_gets_one_line_of_json_with_its_id_first(
    engine: Install, questions: Any, json_flag: tuple[str, ...]
) -> None:
    engine()
    done = questions(*json_flag, ids=("a", 7))
    first, second = lines_of(done)
    assert done.code == 0 and list(first)[:3] == ["id", "thread_id", "status"]
    assert (first["id"], first["answer"], first["usage"]["model_calls"]) == ("a", "yes", 2)
    assert (second["id"], second["thread_id"]) == (7, "7")


def test_all_arguments_are_paths(engine: Install, questions: Any) -> None:
    fake = engine()
    questions("docs/", "more.txt", "--max-calls", "50", "--thread", "nightly")
    [(asked, context, options)] = fake.asked
    assert ([one.id for one in asked], context) == (["a", "b", "c"], ["docs/", "more.txt"])
    assert (options["prefix"], options["max_calls"], options["max_cost"]) == ("nightly-", 50, None)
    questions()
    assert fake.asked[1][1] is None and fake.asked[1][2]["prefix"] == ""


def test_lines_keep_hostile_text_harmless_and_whole(engine: Install, questions: Any) -> None:
    text = "".join(HOSTILE.values()) + "\n"
    engine(lambda name: answered(name, text))
    done = questions(ids=("a",))
    [line] = lines_of(done)
    assert line["answer"] == text and done.out.count("\n") == 1 and "\x1b" not in done.out


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ({}, 0),
        ({"a": "failed"}, 1),
        ({"a": "failed", "b": "paused"}, 3),
        ({"a": "paused", "b": "budget", "c": "failed"}, 4),
        ({"a": "busy", "b": "failed"}, 5),
        ({"b": "stopped"}, 130),
    ],
    ids=["all answered", "failed", "waiting", "budget", "busy", "stopped"],
)
def test_the_exit_status_is_the_highest_of_all_questions(
    engine: Install, questions: Any, statuses: dict[str, str], code: int
) -> None:
    engine(ending(**statuses))
    done = questions()
    assert done.code == code and len(lines_of(done)) == 3


def test_the_summary_counts_names_what_needs_somebody_and_repeats_the_command(engine: Install, questions: Any) -> None:
    engine(ending(a="paused", b="failed", c="budget"))
    done = questions("docs", ids=("a", "b", "c", "d"))
    said = " ".join(done.err.split())
    assert "4 of 4 ended: 1 answered · 1 failed · 1 waiting for approval · 1 out of budget" in said
    assert "8 model calls · 480 tokens · $1.00" in said
    assert "Failed: b. It broke." in said and "Out of budget: c. It broke." in said
    assert "Waiting for approval: a. Decide: rlm review a" in said
    assert "Go on: rlm run --questions q.jsonl --model scripted:m.py docs" in said
    assert "This asks only what has no answer yet, and pays for nothing twice; decide first what waits." in said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--max-calls", "50"), "--max-calls 100"),
        (("--max-calls=50", "--hidden"), "--max-calls=100 --hidden"),
    ],
    ids=["two words", "one word"],
)
def test_a_limit_for_all_that_is_spent_is_raised_in_the_command_to_paste(
    engine: Install, questions: Any, given: tuple[str, ...], expected: str
) -> None:
    engine(ending(b="budget"))
    done = questions(*given)
    assert done.code == 4
    assert f"Go on: rlm run --questions q.jsonl --model scripted:m.py {expected}\n" in done.err


def test_a_limit_of_a_run_of_its_own_is_raised_for_that_run(engine: Install, questions: Any) -> None:
    engine(lambda name: Run(name, "budget", turns=30))
    done = questions("--max-calls", "50", ids=("many-turns",))
    assert "rlm resume many-turns --max-turns 60" in done.err
    assert "--max-calls 50\n" in done.err.partition("Go on: ")[2]


def test_ctrl_c_stops_all_and_waits_for_no_notification(engine: Install, questions: Any) -> None:
    fake = engine(ending(b="stopped", c="stopped"))
    fake.interrupted_at = "b"
    done = questions()
    assert done.code == 130 and fake.hurried and "Stopping. A second signal leaves at once." in done.err
    assert [line["status"] for line in lines_of(done)] == ["answered", "stopped", "stopped"]


def test_long_lists_are_shortened(engine: Install, questions: Any) -> None:
    engine(lambda name: Run(name, "paused"))
    assert "Waiting for approval: 0, 1, 2, 3, 4 and 15 more." in questions(ids=tuple(range(20))).err


def test_questions_answered_before_are_counted_and_not_listed(engine: Install, questions: Any) -> None:
    engine(before=("a", "b"))
    done = questions()
    assert "3 answered (2 before)" in done.err and len(lines_of(done)) == 3
    assert "c: answered" in done.err and "a: answered" not in done.err


def test_a_file_gets_every_line_at_the_end(engine: Install, questions: Any, tmp_path: Path) -> None:
    engine(ending(b="failed"))
    (tmp_path / "out.jsonl").write_text("old")
    done = questions("-o", "out.jsonl")
    assert (done.code, done.out) == (1, "") and "is in out.jsonl" in done.err
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(one["id"], one["status"]) for one in found] == [("a", "answered"), ("b", "failed"), ("c", "answered")]
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith(".")) == []


def test_a_file_stays_as_it_was_when_the_work_breaks_off(engine: Install, questions: Any, tmp_path: Path) -> None:
    engine(lambda name: InputError("It is gone.") if name == "c" else answered(name))
    (tmp_path / "out.jsonl").write_text("old")
    assert questions("-o", "out.jsonl").code == 2
    assert (tmp_path / "out.jsonl").read_text() == "old"


def test_a_file_stays_as_it_was_when_a_question_was_stopped(engine: Install, questions: Any, tmp_path: Path) -> None:
    engine(ending(b="stopped"))
    (tmp_path / "out.jsonl").write_text("old")
    done = questions("-o", "out.jsonl")
    assert done.code == 130 and "out.jsonl is not written" in done.err
    assert (tmp_path / "out.jsonl").read_text() == "old"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-o", "out.csv"), "the answers are JSON Lines"),
        (("-o", "q.jsonl"), "that is the file of the questions"),
        (("-o", "gone/out.jsonl"), "there is no folder"),
        (("--files", "out"), "--files is for one question"),
        (("--max-calls", "0"), "max-calls"),
    ],
    ids=["another form", "the questions", "no folder", "files", "a bad limit"],
)
def test_flags_that_cannot_be_used_are_refused_before_anything_begins(
    engine: Install, questions: Any, more: tuple[str, ...], message: str
) -> None:
    fake = engine()
    done = questions(*more)
    assert done.code == 2 and message in done.err and done.out == "" and not fake.asked


def test_standard_input_is_read_once(engine: Install, rlm: Rlm) -> None:
    fake = engine()
    done = rlm("run", "--questions", "-", "-", *MODEL)
    assert done.code == 2 and "cannot both be standard input" in done.err and not fake.asked


def test_bad_lines_are_one_error_that_lists_them_all(engine: Install, questions: Any) -> None:
    fake = engine()
    done = questions(lines='{"id": 1}\nnonsense\n{"id": "a", "question": "Q?"}')
    assert done.code == 2 and done.out == "" and not fake.asked
    assert "q.jsonl: 2 of 3 lines cannot be used:\n  line 1: it has no question\n  line 2: it is not JSON" in done.err
    error = json.loads(questions("--json", lines='{"id": 1}\nnonsense').out)["error"]
    assert error["type"] == "QuestionsUnusable" and "line 2" in error["message"] and '{"id"' in error["hint"]


def test_problems_that_the_engine_finds_have_line_numbers_too(engine: Install, questions: Any) -> None:
    problems = [("c", "its input has changed."), ("a", "the thread a asks something else: \x1b[2J")]
    refused = QuestionsRefused(problems, 3)
    engine(lambda name: refused)
    done = questions(lines="\n".join(f'\n{{"id": "{one}", "question": "Q?"}}' for one in "abc"))
    assert done.code == 2 and done.out == ""
    assert "line 2: the thread a asks something else: \\x1b[2J\n  line 6: its input has changed" in done.err
    assert "Nothing was asked." in done.err and "choose another --thread" in done.err and '{"id"' not in done.err


def test_a_question_beside_a_file_of_questions_is_said_to_be_no_path(engine: Install, questions: Any) -> None:
    fake = engine()
    done = questions("Which of them ends early?", lines='{"id": "a", "question": "Q?"}')
    assert done.code == 2 and not fake.asked
    assert "all arguments are paths, and there is no file or folder Which of them ends early?" in done.err


def test_a_model_is_needed(engine: Install, rlm: Rlm, tmp_path: Path) -> None:
    fake = engine()
    (tmp_path / "q.jsonl").write_text('{"id": 1, "question": "Q?"}')
    done = rlm("run", "--questions", "q.jsonl")
    assert done.code == 2 and "No model is named." in done.err and not fake.asked


def test_without_questions_a_question_is_required(rlm: Rlm) -> None:
    done = rlm("run", *MODEL)
    assert done.code == 2 and "Missing argument 'QUESTION'." in done.err
    assert json.loads(rlm("run", "--json").out)["error"]["type"] == "UsageError"


def test_a_warning_precedes_everything_when_nothing_confines_the_code(engine: Install, questions: Any) -> None:
    engine()
    assert questions("--unsandboxed").err.startswith("Warning: the model's code runs on this machine")


def test_a_table_too_large_for_a_line_is_named_with_the_command_that_writes_it(engine: Install, questions: Any) -> None:
    from durable_rlm.nodes.runtime.answers import LargeTable

    large = LargeTable({"table": {"rows": 5_000_000}})
    engine(lambda name: answered(name, large if name == "b" else "yes"))
    done = questions()
    assert done.code == 1 and "rlm resume b -o FILE.csv" in done.err and len(lines_of(done)) == 3
