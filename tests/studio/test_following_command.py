"""`rlm show --follow` for runs that no process executes, and the words for those that one does."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from durable_rlm import Runner
from durable_rlm.graph.following import CellCounts, Look
from durable_rlm.state.records import as_usage
from durable_rlm.state.usage import UsageTotals
from durable_rlm.studio.progress.followed import FollowedProgress
from durable_rlm.studio.progress.lines import BETWEEN, PlainDisplay
from durable_rlm.studio.progress.panel import LiveDisplay
from durable_rlm.studio.progress.state import Progress
from durable_rlm.studio.render.run import print_turn
from tests.clock import Clock
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import change
from tests.scripts import repl, write_script
from tests.studio.conftest import HOSTILE, Rlm
from tests.studio.test_progress import panel
from tests.studio.test_safe_text import hostile

NASTY = "".join(HOSTILE.values()).encode(errors="ignore").decode()
TURN: dict[str, Any] = {
    **{"turn": 3, "status": None, "code": ["x = 1"], "output": None, "error": None, "nudge": None, "notes": []},
    **{"seconds": None, "reply": "r", "thoughts": None},
}
USAGE = as_usage(UsageTotals(model_calls=5, input_tokens=1200, output_tokens=34, cost=0.0123))
LOOK = Look("t", "busy", "asking", 3, 30, last=False, turns=[], cell=CellCounts(), usage=USAGE, saved=100.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the runs `answered`, `paused` and `budget`."""
    folder = tmp_path_factory.mktemp("home")
    cells = [f"print({NASTY!r})", "FINAL({'done': 1})"]
    model = write_script(folder / "m.py", [repl(cell) for cell in cells])

    async def fill() -> None:
        async with Runner.open(folder, kernels=MemoryKernels()) as runner:
            await runner.run(f"What?{NASTY}", thread="answered", model=model)
            await runner.run("What?", thread="paused", model=model, approve=["code"])
            await runner.run("What?", thread="budget", model=model, max_turns=1)

    asyncio.run(fill())
    return folder


def without_times(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("Begun")]


def test_an_ended_run_is_shown_as_without_the_flag_and_summed_up(rlm: Rlm, home: Path) -> None:
    followed = rlm("show", "answered", "--follow", "--home", str(home))
    assert followed.code == 0 and not hostile(followed.out + followed.err)
    shown = rlm("show", "answered", "--home", str(home))
    assert without_times(followed.out) == without_times(shown.out)
    assert followed.err.startswith("answered · 2 turns") and "rlm calls answered" in followed.err


@pytest.mark.parametrize(
    ("thread", "words"),
    [
        ("paused", ["Waits for approval to run the code of turn 1.", "Decide: rlm review paused"]),
        ("budget", ["Go on: rlm resume budget", "--max-turns"]),
    ],
    ids=["paused", "budget"],
)
def test_the_next_command_is_named_when_a_run_cannot_go_on(rlm: Rlm, home: Path, thread: str, words: list[str]) -> None:
    followed = rlm("show", thread, "--follow", "--home", str(home))
    assert followed.code == 0
    assert all(word in followed.err for word in words), followed.err


def test_json_is_the_document_of_show(rlm: Rlm, home: Path) -> None:
    followed = rlm("show", "answered", "--follow", "--json", "--home", str(home))
    assert json.loads(followed.out) == json.loads(rlm("show", "answered", "--json", "--home", str(home)).out)
    assert followed.code == 0 and "answered · 2 turns" in followed.err


@pytest.mark.parametrize(
    "flags",
    [["--step", "1"], ["--input"], ["--coverage"], ["--citations"], ["--document", "a"], ["--page", "1"]],
    ids=lambda flags: flags[0],
)
def test_flags_about_something_else_are_refused(rlm: Rlm, home: Path, flags: list[str]) -> None:
    refused = rlm("show", "answered", "--follow", *flags, "--home", str(home))
    assert refused.code == 2 and "--full and --json only" in refused.err


def test_a_home_that_is_not_agreed_to_is_not_followed(rlm: Rlm, home: Path, tmp_path: Path) -> None:
    (tmp_path / ".rlm").symlink_to(home)
    refused = rlm("show", "answered", "--follow")
    assert refused.code == 2 and "cannot be followed" in refused.err and "rlm home trust" in refused.err


def test_a_run_whose_entry_is_damaged_is_shown_as_far_as_it_can_be_read(rlm: Rlm, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(1)")])

    async def fill() -> None:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            await runner.run("Q?", thread="t", model=model)

    asyncio.run(fill())
    change(tmp_path / "home", "UPDATE threads SET question = 'other' WHERE thread_id = 't'")
    followed = rlm("show", "t", "--follow", "--home", str(tmp_path / "home"))
    assert followed.code == 0 and "FINAL(1)" in followed.out
    assert "has changed on disk" in followed.err and "rlm verify" in followed.err


class Follower:
    """A plain display of looks, at a clock that stands still."""

    def __init__(self, *, whole: bool = False) -> None:
        self.clock = Clock()
        self.display = PlainDisplay(Progress(self.clock))
        self.progress = FollowedProgress(self.display, whole=whole, now=lambda: 107.0)


def counted(answered: int) -> Look:
    return replace(LOOK, doing="calling", cell=CellCounts(posted=9, answered=answered, in_flight=2))


def test_looks_become_lines_and_numbers_alone_one_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower()
    follower.progress.update(LOOK)
    follower.progress.update(LOOK)
    for answered in range(4):
        follower.clock.now += BETWEEN / 2
        follower.progress.update(counted(answered))
    for _ in range(3):
        follower.clock.now += BETWEEN
        follower.progress.tick()
    assert capsys.readouterr().err.splitlines() == [
        "Turn 3 of 30: asking the root model (5 model calls, 1,234 tokens, $0.0123 so far)",
        "Turn 3: 1 of 9 sub-calls answered · 2 in flight",
        "Turn 3: 3 of 9 sub-calls answered · 2 in flight",
    ]


def test_with_nothing_on_stdout_the_lines_say_how_turns_end(capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower(whole=True)
    follower.progress.update(replace(LOOK, doing="running", turns=[TURN]))
    ended = {**TURN, "status": "ok", "output": f"{NASTY}\nmore", "seconds": 2.0}
    follower.progress.update(replace(LOOK, turn=4, turns=[ended]))
    printed = capsys.readouterr().err
    assert not hostile(printed)
    lines = printed.splitlines()
    assert lines[0] == "Turn 3: running 1 line of code" and lines[1].startswith("Turn 3 ran in 2.0 s · ")
    assert lines[2].startswith("Turn 4 of 30: asking the root model")


def test_the_panel_shows_sub_rlms_and_the_time_since_the_last_step() -> None:
    clock = Clock()
    display = LiveDisplay(Progress(clock), Console())
    follower = FollowedProgress(display, whole=False, now=lambda: 142.0)
    cell = CellCounts(4, 1, 0, 3, {1: {"running": 2, "answered": 1, "stopped": 1}}, ("sub", 1, 5, f"Why?{NASTY}"))
    follower.update(replace(LOOK, doing="calling", turns=[TURN], cell=cell))
    shown = panel(display)
    assert "its code waits for sub-calls" in shown and "1 of 4 sub-calls answered · 3 in flight" in shown
    assert "sub-RLMs: 2 running · 1 answered · 1 failed" in shown and "sub in turn 5: Why?" in shown
    assert "42 s since its last step · 5 model calls" in shown
    assert "x = 1" not in shown and not hostile(shown)


def test_a_turn_that_was_printed_under_way_is_continued(capsys: pytest.CaptureFixture[str]) -> None:
    print_turn({**TURN, "under_way": "runs"})
    ended = {**TURN, "status": "ok", "output": "one", "seconds": 2.0, "notes": ["first"]}
    print_turn(ended, TURN)
    print_turn({**ended, "notes": ["first", "second"]}, ended)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        *("── turn 3 · runs", "x = 1", "── turn 3 · ok · 2.0 s", "one", "first"),
        *("── turn 3 · ok · 2.0 s", "second"),
    ]
    print_turn({**ended, "code": ["y = 2"]}, TURN)
    assert "y = 2" in capsys.readouterr().out, "the code of a reviewer, who has changed it"
