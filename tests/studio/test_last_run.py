"""Commands without THREAD: they use the run of the home that was touched last, and name it on stderr."""

import asyncio
import io
import itertools
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.state.db.checksums import register_function
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, change
from tests.graph.sub_rlms.conftest import tree_script
from tests.studio.conftest import Fake, Rlm
from tests.studio.test_maintenance import Terminal

SAID = "Thread tree, the last one touched: top of the tree?"
CELLS = {
    "top": ["limit = 1\nprint(limit)", "FINAL(rlm_query('child: 1'))"],
    "child:": ["FINAL(llm_query('short'))"],
    "plain": ["limit = 2", "FINAL(limit)"],
}
STEP = 5
"""The step after the first cell of either run."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the runs `plain`, and after it `tree`, which has a sub-RLM. Its clock advances with each reading."""
    folder = tmp_path_factory.mktemp("saved")
    model = tree_script(folder / "m.py", CELLS)
    clock = itertools.count(1_000_000_000)

    async def fill() -> None:
        kernels = MemoryKernels()
        async with Runner.open(folder / "home", kernels=kernels, clock=lambda: float(next(clock))) as runner:
            await runner.run("plain question?", thread="plain", model=model)
            run = await runner.run("top of\n the tree?", thread="tree", model=model, max_depth=2)
            assert run.status == "answered"

    asyncio.run(fill())
    return folder / "home"


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / ".rlm"))


def touch(home: Path, condition: str) -> None:
    """Touch a run after all others, as one of its processes would."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        updated = "(SELECT max(updated) + 1 FROM threads)"
        assert connection.execute(f"UPDATE threads SET updated = {updated} WHERE {condition}").rowcount == 1
        connection.commit()


@pytest.mark.parametrize(
    "command", ["resume", "show", "steps", "calls", "vars", "verify", "show --step 5", "steps --json"]
)
def test_the_run_touched_last_is_used_and_named(rlm: Rlm, home: Path, command: str) -> None:
    name, *more = command.split()
    left_out, named = rlm(name, *more), rlm(name, "tree", *more)
    assert (left_out.code, left_out.out) == (named.code, named.out) == (0, named.out)
    assert left_out.err.splitlines()[0] == SAID and SAID not in named.err


def test_the_run_touched_last_is_used_and_not_the_one_created_last(rlm: Rlm, home: Path) -> None:
    touch(home, "thread_id = 'plain'")
    assert rlm("resume").err.startswith("Thread plain, the last one touched: plain question?\n")


def test_reading_a_run_does_not_touch_it(rlm: Rlm, home: Path) -> None:
    for command in (["show", "plain"], ["verify", "plain"], ["resume", "plain"]):
        assert rlm(*command).code == 0
        assert rlm("steps").err.splitlines()[0] == SAID


def test_a_sub_rlm_is_never_the_last_run(rlm: Rlm, home: Path) -> None:
    touch(home, "thread_id NOT IN ('plain', 'tree')")
    assert rlm("show").err.splitlines()[0] == SAID


def test_a_new_fork_is_used_by_the_next_command(rlm: Rlm, home: Path) -> None:
    made = rlm("fork", "--step", str(STEP), "--no-run", "--thread", "aside", "--set", "limit=7")
    assert made.code == 0 and made.err.splitlines()[0] == SAID
    assert json.loads(rlm("vars", "--json").out)["limit"]["preview"] == "7"


def test_review_needs_no_thread(rlm: Rlm, home: Path) -> None:
    done = rlm("review", "--approve")
    assert done.code == 2 and "Nothing waits for approval: tree is answered." in done.err
    assert done.err.splitlines()[0] == SAID and "Its answer: `rlm resume tree`" in done.err


def test_a_damaged_run_is_not_used_because_of_its_damaged_time(rlm: Rlm, home: Path) -> None:
    change(home, "UPDATE threads SET updated = 9e99 WHERE thread_id = 'plain'")
    assert rlm("show").err.splitlines()[0] == SAID


@pytest.mark.parametrize("command", ["resume", "review", "show", "steps", "calls", "vars", "verify", "delete"])
def test_without_a_saved_run_the_error_says_what_to_do(rlm: Rlm, tmp_path: Path, command: str) -> None:
    done = rlm(command)
    assert done.code == 2 and "No run is saved in .rlm." in done.err and "`rlm demo`" in done.err
    assert list(tmp_path.iterdir()) == []


def test_after_all_runs_are_deleted_there_is_no_last_run(rlm: Rlm, home: Path) -> None:
    rlm("delete", "tree")
    rlm("delete", "plain")
    assert rlm("show").code == rlm("diff", "1", "2").code == 2


# -- diff


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        (["3", "5"], ["tree", "3", "5"]),
        (["3", "plain@5"], ["tree", "3", "plain@5"]),
    ],
)
def test_steps_without_a_thread_belong_to_the_last_run(
    rlm: Rlm, home: Path, short: list[str], whole: list[str]
) -> None:
    left_out, named = rlm("diff", *short, "--json"), rlm("diff", *whole, "--json")
    assert json.loads(left_out.out) == json.loads(named.out) and left_out.code == named.code == 0
    assert left_out.err.splitlines() == [SAID] and named.err == ""


def test_two_steps_with_their_threads_need_no_last_run(rlm: Rlm, home: Path) -> None:
    done = rlm("diff", "plain@3", "tree@5", "--json")
    assert done.code == 0 and done.err == ""
    assert json.loads(done.out)["from"] == {"thread_id": "plain", "step": 3}


def test_a_step_that_could_belong_to_either_run_is_refused_with_the_choices(rlm: Rlm, home: Path) -> None:
    done = rlm("diff", "plain@3", "5")
    assert done.code == 2 and "not clear of which run step 5 is" in done.err
    assert "`rlm diff plain 3 5`" in done.err and rlm("diff", "plain", "3", "5").code == 0


# -- delete


@pytest.mark.parametrize("more", [[], ["--yes"], ["--json"]])
def test_a_run_that_was_not_named_is_not_deleted_without_a_confirmation(rlm: Rlm, home: Path, more: list[str]) -> None:
    done = rlm("delete", *more)
    assert done.code == 2 and "`rlm delete tree --yes`" in done.err + done.out
    assert len(json.loads(rlm("list", "--json").out)) == 3


def test_delete_with_yes_at_a_terminal_requires_the_thread(
    rlm: Rlm, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.studio.commands.delete.at_terminal", lambda: True)
    assert rlm("delete", "--yes").code == 2 and len(json.loads(rlm("list", "--json").out)) == 3


@pytest.mark.parametrize(("typed", "left"), [("y\n", ["plain"]), ("n\n", ["plain", "tree"])])
def test_delete_at_a_terminal_asks_about_the_last_run(
    rlm: Rlm, home: Path, monkeypatch: pytest.MonkeyPatch, typed: str, left: list[str]
) -> None:
    stdin: Any = Terminal(io.StringIO(typed))
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("durable_rlm.studio.commands.delete.at_terminal", lambda: True)
    done = rlm("delete")
    assert done.err.splitlines()[0] == SAID and "Delete it for good?" in done.err
    runs = json.loads(rlm("list", "--json").out)
    assert sorted(run["thread_id"] for run in runs if run["thread_id"] in ("plain", "tree")) == left


# -- errors about the last run


def test_errors_name_the_run_that_was_used(rlm: Rlm, home: Path, fake: Fake) -> None:
    done = rlm("show", "--step", "99")
    assert done.code == 2 and "`rlm steps tree` lists them" in done.err
