"""The files that keep a home out of the user's repository and backups, and homes that must not get them."""

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.studio.main import main
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

MARKS = (".gitignore", "CACHEDIR.TAG")
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"


async def answer(home: Path, model: str, thread: str = "t") -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        run = await runner.run("Why?", "the text", thread=thread, model=model)
        assert run.status == "answered", run.error


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_script(tmp_path_factory.mktemp("model") / "m.py", [repl("FINAL(context and 'so')")])


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
async def test_git_ignores_the_home_of_a_run_in_a_repository(tmp_path: Path, model: str) -> None:
    def git(*arguments: str) -> str:
        settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout

    git("init")
    (tmp_path / "own.txt").write_text("the user's")
    await answer(tmp_path / ".rlm", model)
    assert git("status", "--porcelain") == "?? own.txt\n"


async def test_a_new_home_is_marked_for_git_and_for_backups(tmp_path: Path, model: str) -> None:
    home = tmp_path / "home"
    await answer(home, model)
    assert (home / ".gitignore").read_text() == "*\n"
    assert (home / "CACHEDIR.TAG").read_text().splitlines()[0] == SIGNATURE
    assert {(home / name).stat().st_mode & 0o777 for name in MARKS} == {0o600}


async def test_an_older_home_is_marked_when_a_run_is_saved_and_not_when_it_is_read(tmp_path: Path, model: str) -> None:
    home = tmp_path / "home"
    await answer(home, model)
    for name in MARKS:
        (home / name).unlink()
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.read("t")).status == "answered"
        assert (await runner.resume("t")).answer == "so"
    assert not any((home / name).exists() for name in MARKS)
    await answer(home, model, "another")
    assert all((home / name).exists() for name in MARKS)


@pytest.mark.parametrize("command", [("list",), ("show", "t"), ("verify", "t"), ("gc", "--dry-run")], ids=" ".join)
def test_a_command_that_only_reads_creates_no_home(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(command)
    assert list(tmp_path.iterdir()) == []


async def test_a_gitignore_of_the_user_is_not_changed(tmp_path: Path, model: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitignore").write_text("!checkpoints.sqlite\n")
    await answer(home, model)
    assert (home / ".gitignore").read_text() == "!checkpoints.sqlite\n"
    assert (home / "CACHEDIR.TAG").exists()


async def test_a_home_in_a_folder_with_other_files_is_not_marked(tmp_path: Path, model: str) -> None:
    (tmp_path / "thesis.tex").write_text("the user's")
    await answer(tmp_path, model)
    assert not any((tmp_path / name).exists() for name in MARKS)


async def test_a_home_in_which_the_marks_cannot_be_written_works_without_them(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuses(path: Any, *given: Any, **named: Any) -> int:
        if str(path).endswith(MARKS):
            raise OSError(errno.EROFS, "Read-only file system", path)
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "open", refuses)
    await answer(tmp_path / "home", model)
    assert not any((tmp_path / "home" / name).exists() for name in MARKS)


async def test_a_copy_of_the_file_alone_is_a_home_as_of_the_end_of_a_run_and_verify_names_what_is_missing(
    tmp_path: Path, model: str
) -> None:
    """A run that ends moves the write-ahead log into the file; another run of the process may be under way."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    copy.mkdir()
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        assert (await runner.run("Why?", "the text", model=model, thread="first")).status == "answered"
        assert (home / "checkpoints.sqlite-wal").stat().st_size == 0
        shutil.copy(home / "checkpoints.sqlite", copy)
        shutil.copytree(home / "blobs", copy / "blobs")
        assert (await runner.run("Why?", "another", model=model, thread="second")).status == "answered"
    async with Runner.open(copy, kernels=MemoryKernels()) as runner:
        assert [run["thread_id"] for run in await runner.queries.runs()] == ["first"]
        assert (await runner.verify("first")).ok and (await runner.resume("first")).answer == "so"
    shutil.rmtree(copy / "blobs")
    async with Runner.open(copy, kernels=MemoryKernels()) as runner:
        report = await runner.verify("first")
        assert {problem.fault for problem in report.problems} == {"is missing"}
        assert any("the input" in lost for problem in report.problems for lost in problem.needed_by)
