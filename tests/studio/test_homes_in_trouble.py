"""Every command over homes on a full disk, in read-only folders, and over what is no home."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.graph.saved_home import make_home
from tests.state.test_opening import TROUBLES
from tests.state.test_opening import read_only as read_only
from tests.studio.conftest import Done, Rlm

READING: Sequence[tuple[str, ...]] = (
    *(("list",), ("show", "hurt"), ("show", "hurt", "--step", "5"), ("steps", "hurt"), ("calls", "hurt")),
    *(("vars", "hurt"), ("vars", "hurt", "--step", "5"), ("diff", "hurt", "4", "8"), ("verify", "hurt")),
    *(("gc", "--dry-run"), ("resume", "hurt"), ("show",), ("verify",)),
)
WRITING: Sequence[tuple[str, ...]] = (
    *(("delete", "hurt"), ("gc",), ("fork", "hurt", "--step", "4", "--no-run")),
    ("run", "What?", "--model", "scripted:m.py"),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("saved"))


def failed_in_words(done: Done) -> bool:
    return done.code in (1, 2) and "Traceback" not in done.err and len(done.err.strip().splitlines()) <= 2


def without_ages(text: str) -> str:
    """Return a text without how long ago things were, which differs between two commands."""
    return re.sub(r"\d+ (s|min) ago", "some time ago", text)


def test_every_reading_command_works_in_a_read_only_home_and_others_say_that_they_cannot(
    rlm: Rlm, saved: Path, tmp_path: Path, read_only: Any
) -> None:
    (tmp_path / "m.py").write_text(
        "def root(messages): return '```repl\\nFINAL(1)\\n```'\ndef sub(prompt): return ''\n"
    )
    place = str(read_only(Path(shutil.copytree(saved, tmp_path / "home"))))
    for command in READING:
        usual, here = rlm(*command, "--home", str(saved)), rlm(*command, "--home", place)
        assert (here.code, without_ages(here.out)) == (usual.code, without_ages(usual.out)), (command, here)
        assert usual.code == 0, (command, usual)
    for command in WRITING:
        done = rlm(*command, "--home", place)
        assert failed_in_words(done) and ("written" in done.err or "Read-only" in done.err), (command, done)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_another_thing_than_a_home_is_refused_in_one_sentence_by_every_command(
    rlm: Rlm, saved: Path, tmp_path: Path, trouble: str
) -> None:
    home = Path(shutil.copytree(saved, tmp_path / "home"))
    make, _ = TROUBLES[trouble]
    make(home)
    for command in (*READING, *WRITING):
        done = rlm(*command, "--home", str(home))
        assert failed_in_words(done), (command, done)
        error = json.loads(rlm(*command, "--json", "--home", str(home)).out)["error"]
        assert error["message"].endswith(".") and "\n" not in error["message"], command


@pytest.mark.parametrize("name", ["checkpoints.sqlite-wal", "checkpoints.sqlite-shm"])
def test_a_file_in_place_of_the_log_is_no_trouble(rlm: Rlm, saved: Path, tmp_path: Path, name: str) -> None:
    home = Path(shutil.copytree(saved, tmp_path / ".rlm"))
    (home / name).write_bytes(b"not a log" * 9_000)
    assert all(rlm(*command).code == 0 for command in READING)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["a file", "an empty folder"])
def test_blobs_that_are_not_there_are_named_by_verify(rlm: Rlm, saved: Path, tmp_path: Path, make: Any) -> None:
    home = Path(shutil.copytree(saved, tmp_path / ".rlm"))
    shutil.rmtree(home / "blobs")
    make(home / "blobs")
    assert rlm("list").code == rlm("show", "hurt").code == 0
    done = rlm("verify", "hurt")
    assert done.code == 1 and "blobs/" in done.out and "Traceback" not in done.err


# -- permissions


def with_permissions_that_count(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the capabilities with which root passes over permissions."""
    command = [str(Path(sys.executable).with_name("rlm")), *arguments]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root needs setpriv to be refused anything")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.processes
def test_a_home_whose_permissions_allow_only_reading_is_read(saved: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(saved, tmp_path / "home"))
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for path in (*(path for path in home.rglob("*") if path.is_file()), *folders):
        path.chmod(0o500 if path.is_dir() else 0o400)
    for command in (("list",), ("show", "hurt"), ("verify", "hurt")):
        done = with_permissions_that_count(*command, "--home", str(home))
        assert done.returncode == 0 and "hurt" in done.stdout, done
    done = with_permissions_that_count("delete", "hurt", "--home", str(home))
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr, done
    (home / "checkpoints.sqlite").chmod(0)
    done = with_permissions_that_count("list", "--home", str(home))
    assert done.returncode == 1 and "cannot be read" in done.stderr and "Traceback" not in done.stderr, done
    home.chmod(0)
    for command in (("list",), ("show", "hurt")):
        done = with_permissions_that_count(*command, "--home", str(home))
        assert done.returncode == 2 and "not readable" in done.stderr and "Traceback" not in done.stderr, done
        done = with_permissions_that_count(*command, "--home", str(home / "below"))
        assert done.returncode == 1 and "Permission denied" in done.stderr and "Traceback" not in done.stderr, done
    for path in folders:
        path.chmod(0o700)
