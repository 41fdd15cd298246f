"""`rlm review` and approval on the terminal of a run, over a fake runner."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.state.errors import UsageError
from durable_rlm.studio.approval.requests import waiting_of
from tests.studio.approval.requests_shown import answer, calls, code, interrupt, paused, spend
from tests.studio.conftest import Done, Fake, FakeRunner, Rlm

ANSWERED = Run("t", "answered", answer="A")
APPROVED = [{"type": "approve"}]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path) -> None:
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type a text at a terminal with `typed(text)`."""

    def types(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        for module in ("cli.run_loop", "commands.review"):
            monkeypatch.setattr(f"durable_rlm.studio.{module}.at_terminal", lambda: True)

    return types


def decided(runner: FakeRunner) -> list[tuple[Any, dict[str, Any]]]:
    """Return each decision that was sent, and the request that it is bound to."""
    return [(given[1], named) for name, given, named in runner.asked if name == "decide"]


def bound_to(run: Run) -> dict[str, Any]:
    [one] = waiting_of(run)
    return {"interrupt": one.id, "shown": one.shown, "unsandboxed": False}


# -- by flags


def test_an_approval_by_flag_resumes_the_run_and_prints_the_answer(rlm: Rlm, fake: Fake) -> None:
    waits = paused(interrupt(code("print('x')")))
    runner = fake(waits, ANSWERED)
    done = rlm("review", "t", "--approve")
    assert (done.code, done.out) == (0, "A\n") and "print('x')" in done.err
    assert decided(runner) == [(APPROVED, bound_to(waits))]


@pytest.mark.parametrize(
    ("flags", "decision"),
    [
        (["--reject", "no"], {"type": "reject", "message": "no"}),
        (["--respond", "42"], {"type": "respond", "message": "42"}),
        (
            ["--edit", "better.py"],
            {"type": "edit", "edited_action": {"name": "execute_code", "args": {"code": "x = 1\n"}}},
        ),
        (["--edit", "-"], {"type": "edit", "edited_action": {"name": "execute_code", "args": {"code": "x = 2\n"}}}),
    ],
)
def test_each_decision_has_a_flag(
    rlm: Rlm, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], decision: Any
) -> None:
    (tmp_path / "better.py").write_text("x = 1\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("x = 2\n"))
    runner = fake(paused(interrupt(code("x"))), ANSWERED)
    assert rlm("review", "t", *flags).code == 0
    assert decided(runner)[0][0] == [decision]


def test_json_prints_the_run_before_and_after(rlm: Rlm, fake: Fake) -> None:
    waits = paused(interrupt(code("x")))
    runner = fake(waits, waits, ANSWERED)
    before = rlm("review", "t", "--json")
    assert before.code == 3 and json.loads(before.out) == waits.to_json() and decided(runner) == []
    after = rlm("review", "t", "--json", "--approve")
    assert after.code == 0 and json.loads(after.out)["answer"] == "A"


def test_without_a_flag_or_a_terminal_requests_are_shown_and_stay_undecided(rlm: Rlm, fake: Fake) -> None:
    runner = fake(paused(interrupt(code("print('x')"), answer("y"))))
    done = rlm("review", "t", "--home", ".rlm")
    assert done.code == 3 and "1 │ print('x')" in done.out and "│ y" in done.out and decided(runner) == []
    assert "Decide: rlm review t\n" in done.err


def test_a_flag_decides_all_requests_of_one_interrupt_once(rlm: Rlm, fake: Fake) -> None:
    first, then = paused(interrupt(code("a"), code("b"))), paused(interrupt(code("c"), name="i2"))
    runner = fake(first, then)
    done = rlm("review", "t", "--approve")
    assert done.code == 3 and "rlm review t" in done.err
    assert decided(runner) == [(APPROVED * 2, bound_to(first))]
    fake(first, then)
    assert rlm("review", "t", "--reject", "no").code == 3


def test_an_edit_by_flag_needs_a_single_request(rlm: Rlm, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "e.py").write_text("x")
    runner = fake(paused(interrupt(code("a"), code("b"))))
    done = rlm("review", "t", "--edit", "e.py")
    assert done.code == 2 and "2 things at once" in done.err and decided(runner) == []


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--approve", "--reject", "no"], "exclude"),
        (["--reject", " "], "--reject is empty"),
        (["--respond", ""], "--respond is empty"),
        (["--edit", "nowhere.py"], "cannot be read"),
        (["--respond", "no"], "respond"),
        (["--edit", "bad.json"], "not JSON"),
        (["--interrupt", "nosuch", "--approve"], "nosuch"),
        (["--interrupt", "nosuch"], "i1, to spend more"),
    ],
)
def test_invalid_flags_exit_with_2_and_decide_nothing(
    rlm: Rlm, fake: Fake, tmp_path: Path, flags: list[str], why: str
) -> None:
    (tmp_path / "bad.json").write_text("{")
    runner = fake(paused(interrupt(spend())))
    done = rlm("review", "t", *flags)
    assert done.code == 2 and why in done.err and decided(runner) == []


def test_one_of_several_interrupts_must_be_named(rlm: Rlm, fake: Fake) -> None:
    several = paused(interrupt(code("a")), interrupt(calls("p"), name="i2"))
    runner = fake(several)
    for more in ([], ["--approve"], ["--json", "--approve"]):
        done = rlm("review", "t", *more)
        assert done.code == 2
        assert "i1, to run the code of turn 3; i2, to make 1 sub-call in turn 3" in done.err + done.out
    assert rlm("review", "t", "--json").code == 3 and decided(runner) == []
    runner = fake(several, ANSWERED)
    assert rlm("review", "t", "--approve", "--interrupt", "i2").code == 0
    assert decided(runner)[0][1]["interrupt"] == "i2"


@pytest.mark.parametrize(
    ("status", "how"),
    [("answered", "is answered"), ("stopped", "stopped"), ("failed", "failed"), ("budget", "budget"), ("busy", "run")],
)
def test_a_run_that_does_not_wait_is_reported_with_its_status(rlm: Rlm, fake: Fake, status: Any, how: str) -> None:
    fake(Run("t", status))
    done = rlm("review", "t", "--approve")
    assert done.code == 2 and how in done.err and ("rlm resume t" in done.err or "rlm show t" in done.err)
    assert json.loads(rlm("review", "t", "--json").out)["error"]["type"] == "UsageError"


# -- requests that have changed meanwhile


def test_a_decision_on_what_another_program_has_shown_is_bound_to_it(rlm: Rlm, fake: Fake) -> None:
    waits = paused(interrupt(code("good")))
    runner = fake(waits, ANSWERED)
    [one] = waiting_of(waits)
    assert rlm("review", "t", "--approve", "--shown", one.shown).code == 0
    assert decided(runner) == [(APPROVED, bound_to(waits))]


def test_a_decision_on_what_is_shown_no_longer_exits_with_2_and_says_what_waits_now(rlm: Rlm, fake: Fake) -> None:
    runner = fake(paused(interrupt(code("evil"))))
    done = rlm("review", "t", "--approve", "--shown", "0" * 64)
    assert done.code == 2 and "has changed since it was shown" in done.err and decided(runner) == []
    assert "to run the code of turn 3" in done.err and "evil" not in done.err
    # It changes between the look and the decision.
    good = paused(interrupt(code("good")))
    runner = fake(good, UsageError("It is not what waits now."), paused(interrupt(code("evil"))))
    done = rlm("review", "t", "--approve", "--shown", waiting_of(good)[0].shown)
    assert done.code == 2 and "It is not what waits now." in done.err and len(decided(runner)) == 1


@pytest.mark.parametrize("flags", [["--shown", "0" * 64], ["--detach"]])
def test_flags_of_a_decision_are_refused_without_one(rlm: Rlm, fake: Fake, flags: list[str]) -> None:
    runner = fake(paused(interrupt(code("x"))))
    done = rlm("review", "t", *flags)
    assert done.code == 2 and "decision" in done.err and decided(runner) == []


def test_by_flag_a_changed_request_is_refused_and_shown_again(rlm: Rlm, fake: Fake) -> None:
    runner = fake(paused(interrupt(code("good"))), UsageError("It is not what waits."), paused(interrupt(code("evil"))))
    done = rlm("review", "t", "--approve")
    assert done.code == 3 and len(decided(runner)) == 1
    after = done.err.partition("Nothing was decided. It is not what waits.")[2]
    assert "Something else waits than what you were shown." in after and "evil" in after


def test_by_flag_a_refused_decision_on_an_unchanged_request_exits_with_2(rlm: Rlm, fake: Fake) -> None:
    waits = paused(interrupt(code("good")))
    fake(waits, UsageError("It does not fit."), waits)
    done = rlm("review", "t", "--approve")
    assert done.code == 2 and "It does not fit." in done.err
    fake(waits, UsageError("Nothing waits."), ANSWERED)
    assert rlm("review", "t", "--approve").code == 2


def test_at_a_terminal_a_changed_request_is_shown_and_asked_again(rlm: Rlm, fake: Fake, typed: Any) -> None:
    typed("a\nr\nno\n")
    evil = paused(interrupt(code("evil"), name="i2"))
    runner = fake(paused(interrupt(code("good"))), UsageError("It is not what waits."), evil, ANSWERED)
    done = rlm("review", "t")
    assert done.code == 0 and done.err.index("Something else waits") < done.err.index("evil")
    assert decided(runner)[1] == ([{"type": "reject", "message": "no"}], bound_to(evil))


# -- asking on the terminal of the run


def test_a_run_asks_on_its_terminal_and_resumes(rlm: Rlm, fake: Fake, typed: Any) -> None:
    typed("a\nr\nno\n")
    first, then = paused(interrupt(code("a"))), paused(interrupt(answer("b"), name="i2"))
    runner = fake(first, then, ANSWERED)
    done = rlm("run", "Q?", "--model", "m", "--approve", "all")
    assert (done.code, done.out) == (0, "A\n")
    assert decided(runner) == [(APPROVED, bound_to(first)), ([{"type": "reject", "message": "no"}], bound_to(then))]


@pytest.mark.parametrize("command", [["run", "Q?", "--model", "m"], ["resume", "t"], ["fork", "t", "--step", "1"]])
def test_a_skipped_request_leaves_the_run_waiting_with_the_command_to_decide(
    rlm: Rlm, fake: Fake, typed: Any, command: list[str]
) -> None:
    typed("s\n")
    runner = fake(paused(interrupt(code("a"))))
    done = rlm(*command, "--home", ".rlm")
    assert done.code == 3 and "Decide: rlm review t\n" in done.err and decided(runner) == []
    assert "Waits for approval to run the code of turn 3" in done.err


def test_a_run_does_not_ask_with_json_or_without_a_terminal(
    rlm: Rlm, fake: Fake, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = fake(paused(interrupt(code("print()"))))

    def left(done: Done) -> None:
        assert done.code == 3 and "rlm review t" in done.err and "print()" not in done.err

    left(rlm("run", "Q?", "--model", "m"))
    typed("a\n")
    left(rlm("run", "Q?", "--model", "m", "--json"))
    left(rlm("resume", "t", "--json"))
    assert decided(runner) == []


def test_a_reviewer_reads_that_nothing_confines_the_code_before_the_question(rlm: Rlm, fake: Fake, typed: Any) -> None:
    fake(paused(interrupt(code("x = 1"))))
    typed("s\n")
    done = rlm("review", "t", "--unsandboxed")
    assert done.code == 3 and done.err.count("NOT SANDBOXED") == 1
    assert done.err.index("NOT SANDBOXED") < done.err.index("[a]pprove")


def test_an_unsandboxed_run_gives_one_warning(rlm: Rlm, fake: Fake, typed: Any) -> None:
    typed("a\n")
    fake(paused(interrupt(code("a"))), ANSWERED)
    done = rlm("run", "Q?", "--model", "m", "--unsandboxed")
    assert done.code == 0 and done.err.count("NOT SANDBOXED") == 1
    typed("a\n")
    runner = fake(paused(interrupt(code("a"))), ANSWERED)
    done = rlm("review", "t", "--unsandboxed")
    assert done.code == 0 and done.err.count("NOT SANDBOXED") == 1 and decided(runner)[0][1]["unsandboxed"] is True


# -- gates


@pytest.mark.parametrize(
    "given",
    [["--approve", "code", "--approve", "calls>10"], ["--approve", "code,calls>10"], ["--approve", " code , calls>10"]],
)
def test_gates_reach_the_run_in_every_form_of_the_flag(rlm: Rlm, fake: Fake, given: list[str]) -> None:
    runner = fake(ANSWERED)
    assert rlm("run", "Q?", "--model", "m", *given, "--allow-imports", "a", "--allow-imports", "b,c").code == 0
    from durable_rlm.state.settings import resolve_settings

    named = {name: value for name, value in runner.asked[0][2].items() if name not in ("thread",)}
    settings = resolve_settings(named)
    assert settings.approve == ("code", "calls>10") and set(settings.allow_imports) >= {"a", "b", "c"}


def test_an_unknown_gate_exits_with_2_and_lists_the_known_ones(
    rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner = fake(ANSWERED)
    done = rlm("run", "Q?", "--model", "m", "--approve", "everything")
    assert done.code == 2 and "'everything'" in done.err and "calls>N" in done.err and "final" in done.err
    monkeypatch.setenv("RLM_APPROVE", "code,sometimes")
    assert "'sometimes'" in rlm("run", "Q?", "--model", "m").err
    assert runner.asked == []
