"""The summary at the end of a run: the facts, and commands that can be pasted."""

from pathlib import Path

import pytest

from durable_rlm.graph.exit_status import RunStatus
from durable_rlm.graph.run import Run
from durable_rlm.state.run_state import RestoreRecord
from durable_rlm.studio.cli.summary import as_flags, brought_back, command_line, ended, what_next
from durable_rlm.studio.invocation import Invocation
from durable_rlm.studio.terminal.escape import sentence, short_id
from tests.studio.approval.requests_shown import calls, code, interrupt, paused

UUID = "1f2e3d4c-51f1-40ed-b9b8-ff86a7f17ae2"
HERE = Invocation(Path(".rlm"))


def test_the_summary_line_gives_the_status_and_the_usage() -> None:
    usage = {"model_calls": 131, "reused_calls": 7, "input_tokens": 80_000, "output_tokens": 4_120, "cost_usd": 0.5}
    run = Run(UUID, "answered", turns=6, usage=usage)  # pyright: ignore[reportArgumentType]
    assert ended(run, 11.24) == (
        f"answered · 6 turns · 131 model calls + 7 reused · 84,120 tokens · $0.5000 · 11 s · thread {UUID}"
    )
    assert ended(Run("t", "busy"), 1.5) == "busy · thread t", "what it has taken is not known here"
    assert ended(run, 11.24, 50).startswith("answered · 6 turns · 50 sub-RLMs · 131 model calls")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("answered", "Look: rlm show 1f2e3d4c · rlm calls 1f2e3d4c"),
        ("stopped", "Go on: rlm resume 1f2e3d4c"),
        ("failed", "Go on: rlm resume 1f2e3d4c"),
        ("busy", "Follow it: rlm show 1f2e3d4c --follow"),
        ("paused", "Waits for approval."),
    ],
)
def test_each_status_has_its_next_command(status: RunStatus, line: str) -> None:
    assert what_next(Run(UUID, status), HERE, {})[0] == line


def test_a_waiting_request_is_named_with_the_command_that_decides_it() -> None:
    lines = what_next(paused(interrupt(code("a"), calls("p"))), HERE, {})
    assert lines == [
        "Waits for approval to run the code of turn 3, make 1 sub-call in turn 3.",
        "Decide: rlm review t",
        "Look: rlm show t",
    ]


def test_a_spent_budget_names_the_limit_to_raise() -> None:
    error = {"type": "BudgetSpent", "message": "the budget is spent; raise it with --max-calls", "hint": ""}
    lines = what_next(Run("named", "budget", error=error), HERE, {"max_calls": 40})
    assert lines[0] == "Go on: rlm resume named --max-calls 40"
    assert as_flags({"max_cost": 1.5}) == ["--max-cost", "1.5"]
    assert as_flags({"max_tokens": 12_500_000}) == ["--max-tokens", "12500000"]
    assert as_flags({}) == []


def test_a_full_home_names_the_size_to_allow() -> None:
    error = {"type": "HomeFull", "message": "The home is full.", "hint": "Make room."}
    lines = what_next(Run("named", "budget", error=error), HERE, {"max_home_size": 40 << 30})
    assert lines[0] == "Go on: rlm resume named --max-home-size 40G"
    assert as_flags({"max_home_size": 1.5 * (1 << 20)}) == ["--max-home-size", "2M"]
    assert as_flags({"max_home_size": 4e15}) == ["--max-home-size", "3725291G"]


def test_printed_commands_are_quoted_for_a_shell() -> None:
    elsewhere = Invocation(Path("/my runs"))
    assert command_line(elsewhere, "resume", "a b") == "rlm resume 'a b' --home '/my runs'"


def test_a_generated_name_is_shortened_and_a_given_one_is_not() -> None:
    assert (short_id(UUID), short_id("contracts-of-2024")) == ("1f2e3d4c", "contracts-of-2024")


def test_messages_become_sentences() -> None:
    assert [sentence(text) for text in ("It failed", "Really?", "", "x\x1b", "openai:m is gone (404)")] == [
        *("It failed.", "Really?", "", "x\\x1b.", "openai:m is gone (404).")
    ]


def test_the_note_on_restored_variables_is_a_sentence() -> None:
    restore = RestoreRecord(restored=[], rebuilt=[], lost={}, cells=0, notes=["turn 2 differs"], diverged=[])
    assert brought_back(restore)[-1] == "Turn 2 differs."
