"""`rlm fork`, `rlm vars` and `rlm diff`: their arguments, refusals, output and next commands."""

import asyncio
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.exit_status import EXIT_CODES
from durable_rlm.graph.run import Run
from durable_rlm.state.model_specs import MODEL_SETTINGS
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.studio.conftest import HOSTILE, Fake, FakeRunner, Rlm
from tests.studio.test_safe_text import hostile

NASTY = "".join(HOSTILE.values()).encode(errors="ignore").decode()
CELLS = [
    f"limit = 3\nnasty = {NASTY!r}\nlines = (n for n in 'abc')\nprint(nasty)",
    "picked = llm_query_batched(['one', 'two'])\nprint(*range(50), sep='\\n')",
    "limit = 4\nFINAL({'limit': limit, 'nasty': nasty})",
]
ENDED = 5
"""The step after the first cell."""
NOTHING = {"code": None, "set": {}, "answers": {}, "question": None, "fresh": False}
LIMITS = ("max_turns", "max_calls", "max_tokens", "max_cost", "max_time", "strict_budget", "max_home_size")
NO_LIMITS = dict.fromkeys((*LIMITS, *MODEL_SETTINGS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the answered run `main`, and `other`, a fork of it."""
    folder = tmp_path_factory.mktemp("home")
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])

    async def fill() -> None:
        async with Runner.open(folder, kernels=MemoryKernels()) as runner:
            assert (await runner.run(f"What?{NASTY}", thread="main", model=model)).status == "answered"
            await runner.fork("main", ENDED, into="other", set={"limit": 9, "more": NASTY})
            assert (await runner.resume("other")).status == "answered"

    asyncio.run(fill())
    return folder


@pytest.fixture
def faked(fake: Fake, tmp_path: Path) -> FakeRunner:
    """A fake runner, in a home that seems to have runs."""
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()
    return fake(Run("the-fork", "answered", answer="A"))


# -- rlm fork


def test_a_fork_is_created_and_resumed(rlm: Rlm, faked: FakeRunner) -> None:
    done = rlm("fork", "t", "--step", "7")
    (_, given, named), resumed = faked.asked
    assert (done.code, done.out) == (0, "A\n") and given == ("t", 7)
    assert named == {"into": None, **NOTHING, **NO_LIMITS}
    assert resumed == ("resume", ("the-fork",), {})
    assert "Forked t at step 7." in done.err


def test_the_changes_of_a_fork_reach_the_runner(rlm: Rlm, faked: FakeRunner, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1\nprint(x)\n")
    (tmp_path / "a=b.txt").write_text("two lines\nof text\n")
    arguments = [
        "--code",
        "code.py",
        "--set",
        "limit=10",
        "--set",
        'city="Röm=e"',
        "--set",
        " deep ={'a': []}".replace("'", '"'),
    ]
    arguments += ["--answer", "3:abc=a=b.txt", "--question", "Why?", "--fresh", "--thread", "mine", "--max-cost", "2.5"]
    assert rlm("fork", "t", "--step", "7", *arguments).code == 0
    (_, given, named), _ = faked.asked
    assert given == ("t", 7) and named == {
        **NO_LIMITS,
        **{"into": "mine", "question": "Why?", "fresh": True, "max_cost": 2.5, "code": "x = 1\nprint(x)\n"},
        **{"set": {"limit": 10, "city": "Röm=e", "deep": {"a": []}}, "answers": {"3:abc": "two lines\nof text"}},
    }


def test_code_and_answers_are_read_from_standard_input_too(
    rlm: Rlm, faked: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y = 2\n"))
    assert rlm("fork", "t", "--step", "7", "--code", "-").code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n\n"))
    assert rlm("fork", "t", "--step", "7", "--answer", "1:a=-").code == 0
    assert faked.asked[0][2]["code"] == "y = 2\n" and faked.asked[2][2]["answers"] == {"1:a": "typed\n"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("z = 3\n"))
    both = rlm("fork", "t", "--step", "7", "--code", "-", "--answer", "1:a=-")
    assert both.code == 2 and "standard input" in both.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--step"),
        (["--step", "x"], "--step"),
        (["--step", "7", "--set", "limit"], "NAME=JSON"),
        (["--step", "7", "--set", "=1"], "NAME=JSON"),
        (["--step", "7", "--set", "city=Rome"], "'city=\"Rome\"'"),
        (["--step", "7", "--set", "n=NaN"], "NaN"),
        (["--step", "7", "--set", "n=1", "--set", "n=2"], "twice"),
        (["--step", "7", "--set", "n=" + "[" * 100_000], "not JSON"),
        (["--step", "7", "--answer", "3:abc"], "CALL=FILE"),
        (["--step", "7", "--answer", "3:abc=nowhere"], "nowhere"),
        (["--step", "7", "--code", "nowhere.py"], "nowhere.py"),
        (["--step", "7", "--code", "binary"], "UTF-8"),
        (["--step", "7", "--code", "wrong.py"], "line 2"),
        (["--step", "7", "--code", "empty.py"], "empty"),
    ],
)
def test_unreadable_changes_are_refused_before_the_home_is_opened(
    rlm: Rlm, faked: FakeRunner, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "wrong.py").write_text("x = 1\nif x\n")
    (tmp_path / "empty.py").write_text("\n")
    plain = rlm("fork", "t", *arguments)
    assert plain.code == 2 and said in plain.err and "Traceback" not in plain.err
    error = json.loads(rlm("fork", "t", *arguments, "--json").out)["error"]
    assert error["type"] == "UsageError" and said in error["message"] + error["hint"]
    assert faked.asked == [] and faked.homes == []


def test_ipython_syntax_is_accepted_as_code(rlm: Rlm, faked: FakeRunner, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("%time x = 1\ny = await f()\n")
    assert rlm("fork", "t", "--step", "7", "--code", "code.py").code == 0


@pytest.mark.parametrize("status", EXIT_CODES)
def test_the_exit_status_is_that_of_the_resumed_fork(rlm: Rlm, fake: Fake, faked: FakeRunner, status: Any) -> None:
    run = Run("f", status, answer="A" if status == "answered" else None)
    fake(run)
    done = rlm("fork", "t", "--step", "7", "--json")
    assert done.code == EXIT_CODES[status] and json.loads(done.out) == json.loads(json.dumps(run.to_json()))


def test_a_fork_that_is_not_run_prints_its_name_and_the_next_commands(rlm: Rlm, home: Path) -> None:
    made = rlm("fork", "main", "--step", str(ENDED), "--no-run", "--thread", "made", "--home", str(home))
    assert (made.code, made.out) == (0, "made\n")
    assert f"rlm resume made --home {home}" in made.err and "rlm vars made" in made.err
    document = json.loads(rlm("fork", "made", "--step", str(ENDED), "--no-run", "--json", "--home", str(home)).out)
    assert set(document) == set(Run("t", "stopped").to_json()) and document["status"] == "stopped"
    taken = rlm("fork", "main", "--step", str(ENDED), "--no-run", "--thread", "made", "--home", str(home))
    assert taken.code == 2 and "exists" in taken.err
    assert rlm("fork", "main", "--step", "999", "--no-run", "--home", str(home)).code == 2
    assert rlm("fork", "main", "--step", str(ENDED), "--no-run", "--set", "FINAL=1", "--home", str(home)).code == 2


def test_forks_are_listed_and_shown_with_their_parent(rlm: Rlm, home: Path) -> None:
    lines = rlm("list", "--home", str(home)).out.splitlines()
    assert lines[0].split()[:3] == ["THREAD", "FORK", "OF"]
    assert any(re.match(r"other +main +answered ", line) for line in lines)
    assert any(re.match(r"main {5,}answered ", line) for line in lines)
    shown = rlm("show", "other", "--home", str(home)).out
    assert re.search(r"^Fork of +main$", shown, re.M) and "A person set variables after this turn: limit = 9" in shown
    assert hostile(shown) == []
    steps = rlm("steps", "other", "--home", str(home)).out
    assert re.search(r" 6 +1 +edit +.* set limit, more$", steps, re.M)


def test_calls_are_listed_with_keys_that_are_long_enough(rlm: Rlm, home: Path) -> None:
    table = rlm("calls", "main", "--home", str(home)).out.splitlines()[1:]
    keys = [call["key"] for call in json.loads(rlm("calls", "main", "--json", "--home", str(home)).out)]
    shown = [line.split()[0] for line in table]
    assert [key.startswith(short) for key, short in zip(keys, shown, strict=True)] == [True, True]
    assert all(sum(key.startswith(short) for key in keys) == 1 for short in shown)


# -- rlm vars


def test_variables_are_printed_as_a_table_and_as_json(rlm: Rlm, home: Path) -> None:
    table = rlm("vars", "main", "--home", str(home)).out
    lines = table.splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "SIZE", "RESTORABLE", "PREVIEW"] and hostile(table) == []
    assert any(re.match(r"limit +int +yes +4$", line) for line in lines)
    assert any(re.match(r"lines +generator +no: generator", line) for line in lines)
    document = json.loads(rlm("vars", "main", "--step", str(ENDED), "--json", "--home", str(home)).out)
    assert document["limit"] == {"type": "int", "size": None, "preview": "3", "restorable": True, "why_not": None}
    assert list(document) == sorted(document) and "picked" not in document
    assert (
        json.loads(rlm("vars", "other", "--step", str(ENDED + 1), "--json", "--home", str(home)).out)["limit"][
            "preview"
        ]
        == "9"
    )


def test_a_step_without_variables_is_reported(rlm: Rlm, home: Path) -> None:
    none = rlm("vars", "main", "--step", "2", "--home", str(home))
    assert (none.code, none.out) == (0, "") and "no variables yet" in none.err
    assert rlm("vars", "main", "--step", "2", "--json", "--home", str(home)).out == "{}\n"
    assert rlm("vars", "main", "--step", "99", "--home", str(home)).code == 2


# -- rlm diff


def test_diff_prints_the_differences(rlm: Rlm, home: Path) -> None:
    steps = json.loads(rlm("steps", "main", "--json", "--home", str(home)).out)
    shown = rlm("diff", "main", str(ENDED), str(len(steps)), "--home", str(home)).out
    assert hostile(shown) == [] and shown.startswith(f"main step {ENDED} → main step {len(steps)}\n")
    for part in (
        "  + picked: list, size 2 = ['ONE', 'TWO']",
        "  - limit: int = 3\n  + limit: int = 4",
        "── turn 2 · added · ok",
        "── calls · 0 the same\n  + 2 calls only here\n      turn 2: one\n",
        "── cost\n  - 1 model call · ",
    ):
        assert part in shown, part
    assert "  + picked = llm_query_batched(['one', 'two'])" in shown and "  + … 26 more lines" in shown
    assert '+   "limit": 4' in shown.partition("── answer")[2]
    assert "  + 49\n" in rlm("diff", "main", str(ENDED), str(len(steps)), "--full", "--home", str(home)).out
    assert "Nothing differs." in rlm("diff", "main", "8", "8", "--home", str(home)).out


def test_either_step_of_a_diff_may_be_of_another_run(rlm: Rlm, home: Path) -> None:
    documents = [
        json.loads(rlm("diff", *places, "--json", "--home", str(home)).out)
        for places in (["main", "5", "other@6"], ["other", "main@5", "6"], ["main@5", "other@6"])
    ]
    assert documents[0] == documents[1] == documents[2]
    assert documents[0]["from"] == {"thread_id": "main", "step": 5}
    assert set(documents[0]["variables"]["added"]) == {"more"} and set(documents[0]["variables"]["changed"]) == {
        "limit"
    }
    assert set(documents[0]) == {
        *("from", "to", "question", "input", "status", "variables", "turns", "answer"),
        *("first_difference", "edits", "calls", "cost"),
    }
    assert {one["name"]: (one["turn"], one["from"]) for one in documents[0]["edits"]} == {
        **{"limit": (1, None), "more": (1, None)}
    }
    shown = rlm("diff", "main@5", "other@6", "--home", str(home)).out
    assert "── variables that a person set\n  + after turn 1: limit = " in shown


@pytest.mark.parametrize(
    "places", [["main", "8"], ["main", "8", "x"], ["main", "8", "@"], ["main", "8", "-1"], ["main@8", "9"]]
)
def test_a_malformed_step_is_refused(rlm: Rlm, home: Path, places: list[str]) -> None:
    done = rlm("diff", *places, "--home", str(home))
    assert done.code == 2 and done.out == ""
