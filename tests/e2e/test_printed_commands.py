"""Every command printed by runs, resumes and errors works when pasted into a shell in the same folder."""

import json
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.damage import change
from tests.e2e.printed import commands_in, paste, paste_all
from tests.e2e.program import CLEAN, RLM
from tests.e2e.warm import warm_program
from tests.scripts import repl, write_script

ENV = CLEAN | {"PATH": "/usr/bin:/bin", "COLUMNS": "60"}
ELSEWHERE = " --home 'my runs'"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder with the program in its `.venv`, a model, and the answered run `t` in its home."""
    folder = tmp_path_factory.mktemp("warm")
    write_script(folder / "m.py", [repl("x = llm_query(context[:5])\nprint(x)"), repl("FINAL(x + llm_query('b'))")])
    (folder / "input.txt").write_text("hello world")
    with warm_program(folder):
        done = paste(".venv/bin/rlm run 'What is it?' input.txt --model scripted:m.py --thread t", folder, ENV)
        assert done.returncode == 0, done.stderr
        yield folder


@pytest.fixture
def folder(warm: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(warm / ".rlm", tmp_path / ".rlm")
    for name in (".venv", "input.txt"):
        (tmp_path / name).symlink_to(warm / name)
    shutil.copy(warm / "m.py", tmp_path / "m.py")
    return tmp_path


@pytest.mark.parametrize(
    ("how", "home", "status", "shown"),
    [
        ("", "", 0, 2),
        ("--max-turns 1", ELSEWHERE, 4, 1),
        ("--approve code", ELSEWHERE, 3, 2),
        ("--approve calls", "", 3, 2),
        ("--model scripted:bad.py", ELSEWHERE, 1, 1),
    ],
    ids=["answered", "budget", "paused before code", "paused at a call", "failed"],
)
def test_commands_printed_at_the_end_of_a_run_work(folder: Path, how: str, home: str, status: int, shown: int) -> None:
    (folder / "bad.py").write_text("def root(m): raise OSError('gone')\ndef sub(p): return ''\n")
    model = "" if "--model" in how else "--model scripted:m.py"
    done = paste(f".venv/bin/rlm run 'Which contracts?' input.txt {model} {how}{home}", folder, ENV)
    assert done.returncode == status, done.stderr
    found = commands_in(done.stderr)
    assert len(found) >= shown and all(one.startswith(".venv/bin/rlm ") for one in found), done.stderr
    assert all(" which-contracts-" in one for one in found), "each names the run"
    assert all(one.endswith(home) and one.count("--home") == bool(home) for one in found)
    ended = paste_all(done.stderr, folder, ENV)
    assert {one.returncode for one in ended.values()} <= {0, status if status != 4 else 0}


@pytest.mark.slow
def test_commands_printed_by_a_resumed_run_work(folder: Path) -> None:
    started = paste(".venv/bin/rlm run Which? input.txt --model scripted:m.py --approve all", folder, ENV)
    said, turns = started.stderr, 0
    while decide := [one for one in commands_in(said) if " review " in one]:
        paste_all(said, folder, ENV)
        said, turns = paste(f"{decide[0]} --approve", folder, ENV).stderr, turns + 1
    assert turns > 3 and "answered" in said
    assert len(paste_all(said, folder, ENV)) == 2


@pytest.mark.parametrize(
    "command",
    [
        "show nobody",
        "show t --step 99",
        "show --step 99",
        "run 'Something else?' --model scripted:m.py --thread t",
        "run 'What is it?' m.py --model scripted:m.py --thread t",
        "run ' ' --model scripted:m.py",
        "review t",
        "review --approve",
        "fork t --step 4 --answer 9:9=input.txt",
        "fork t --step 5 --answer 9:9=input.txt",
        "diff t@3 4",
        "diff x 4",
        "delete",
        "show t --no-such-flag",
        "no-such-command",
        "run",
    ],
)
def test_commands_printed_by_an_error_work(folder: Path, command: str) -> None:
    plain = paste(f".venv/bin/rlm {command}", folder, ENV)
    document = paste(f".venv/bin/rlm {command} --json", folder, ENV)
    assert plain.returncode == document.returncode == 2, plain.stderr
    error = json.loads(document.stdout)["error"]
    hint = f"{error['message']}\n{error['hint']}"
    assert commands_in(hint) == commands_in(plain.stderr) != []
    paste_all(plain.stderr, folder, ENV)


def test_commands_printed_for_an_empty_home_work(folder: Path) -> None:
    for command in ("resume", "show", "list", "diff 1 2"):
        done = paste(f".venv/bin/rlm {command} --home nowhere", folder, ENV)
        assert commands_in(done.stderr) == [".venv/bin/rlm demo --home nowhere"], done.stderr


@pytest.mark.slow
def test_commands_printed_by_verify_delete_and_gc_work(folder: Path) -> None:
    made = paste(".venv/bin/rlm fork t --step 5 --no-run --thread 'a fork'", folder, ENV)
    assert len(paste_all(made.stderr, folder, ENV)) == 3
    paste(".venv/bin/rlm run Which? input.txt --model scripted:m.py --approve code --thread waits", folder, ENV)
    for looking in ("list", "steps waits", "show waits"):
        done = paste(f".venv/bin/rlm {looking}", folder, ENV)
        assert ".venv/bin/rlm review waits" in commands_in(done.stdout + done.stderr), looking
    change(folder / ".rlm", "UPDATE checkpoints SET checkpoint = x'00' WHERE rowid = (SELECT max(rowid) FROM "
           "checkpoints WHERE thread_id = 't')")  # fmt: skip
    verified = paste(".venv/bin/rlm verify t", folder, ENV)
    assert verified.returncode == 1 and len(paste_all(verified.stderr, folder, ENV)) == 1
    resumed = paste(".venv/bin/rlm resume t", folder, ENV)
    assert resumed.returncode == 1 and len(paste_all(resumed.stderr, folder, ENV)) >= 2
    collected = paste(".venv/bin/rlm gc", folder, ENV)
    assert collected.returncode == 1 and len(paste_all(collected.stderr, folder, ENV)) == 3
    deleted = paste(".venv/bin/rlm delete 'a fork'", folder, ENV)
    assert [one.returncode for one in paste_all(deleted.stderr, folder, ENV).values()] == [0]


def test_printed_commands_work_from_wherever_the_program_was_called(folder: Path) -> None:
    (folder / ".venv").unlink()
    (folder / ".venv").symlink_to(RLM.parent.parent)
    done = paste(".venv/bin/rlm show t --step 99 --home ./.rlm", folder, ENV)
    assert commands_in(done.stderr) == [".venv/bin/rlm steps t"]
    [looked] = paste_all(done.stderr, folder, ENV).values()
    assert looked.returncode == 0 and "finalize" in looked.stdout
    on_the_path = ENV | {"PATH": f"{RLM.parent}:/usr/bin:/bin"}
    assert commands_in(paste("rlm show t --step 99", folder, on_the_path).stderr) == ["rlm steps t"]
    module = paste(f"{RLM.with_name('python')} -m durable_rlm show t --step 99", folder, ENV)
    assert commands_in(module.stderr) == [f"{RLM.with_name('python')} -m durable_rlm steps t"]


# -- the helper


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Look: rlm show t · rlm calls t\n", ["rlm show t", "rlm calls t"]),
        ("Go on: /a/b/rlm resume 'a b' --home 'x y'\nNo: command", ["/a/b/rlm resume 'a b' --home 'x y'"]),
        ("See `./rlm list`, or `rlm show x`.", ["./rlm list", "rlm show x"]),
        ("  .venv/bin/rlm list --json | jq .\n", [".venv/bin/rlm list --json | jq ."]),
        ("One waits. Decide: rlm review t", ["rlm review t"]),
        ("the rlm program, rlm itself", []),
        ("Then: .venv/bin/python -m durable_rlm gc", [".venv/bin/python -m durable_rlm gc"]),
    ],
)
def test_commands_are_found_in_printed_text(text: str, found: list[str]) -> None:
    assert commands_in(text) == found
