"""Odd surroundings of a process: long paths for temporary files, few open files, a locale without UTF-8."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from durable_rlm.kernel import process_limits
from durable_rlm.kernel.process_limits import LEAST_FILES, MOST_PATH, ensure_open_files, short_folder
from durable_rlm.state.errors import KernelStartFailed, UsageError
from tests.scripts import repl, write_script


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files with a path in which no socket fits."""
    place = tmp_path / ("x" * 200)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return place


def test_sockets_are_beside_a_folder_whose_path_is_too_long_for_them(long: Path) -> None:
    folder = Path(short_folder())
    assert len(str(folder.parent)) <= MOST_PATH and folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    assert list(long.iterdir()) == []


def test_without_any_short_path_the_error_says_what_to_do(long: Path) -> None:
    with pytest.raises(KernelStartFailed, match="too long") as refused:
        short_folder([])
    assert "TMPDIR" in refused.value.hint


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Limits of open files as a process has them; the last ones are in force."""
    found = [(32, 32)]

    def set_limits(_: int, new: tuple[int, int]) -> None:
        found.append(new)

    monkeypatch.setattr(process_limits.resource, "getrlimit", lambda _kind=0: found[-1])
    monkeypatch.setattr(process_limits.resource, "setrlimit", set_limits)
    return found


@pytest.mark.parametrize("hard", [LEAST_FILES, 4096, resource.RLIM_INFINITY])
def test_a_low_limit_of_open_files_is_raised_where_that_is_allowed(limits: list[tuple[int, int]], hard: int) -> None:
    limits.append((32, hard))
    ensure_open_files()
    assert limits[-1][0] >= LEAST_FILES and limits[-1][1] == hard


def test_too_few_open_files_are_refused_in_words(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(UsageError, match="lets a process open 32 files, and a run needs 128") as refused:
        ensure_open_files()
    assert "ulimit -n" in refused.value.hint


RLM = str(Path(sys.executable).with_name("rlm"))


def rlm(script: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command after the lines of a shell script."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    command = ["sh", "-c", f'{script}\nexec "$@"', "sh", RLM, *arguments]
    return subprocess.run(
        command, env={**clean, **environment}, cwd=folder, capture_output=True, check=False, timeout=120,
        encoding="utf-8", errors="replace",
    )  # fmt: skip


@pytest.fixture
def asks(tmp_path: Path) -> tuple[str, ...]:
    write_script(tmp_path / "m.py", [repl("FINAL(llm_query('gr\u00fc\u00dfe \u6f22'))")])
    return ("run", "W\u00e4r?", "--model", "scripted:m.py", "--home", "home")


@pytest.mark.processes
def test_a_run_is_answered_with_a_long_folder_for_temporary_files(tmp_path: Path, asks: tuple[str, ...]) -> None:
    place = tmp_path / ("x" * 200)
    place.mkdir()
    done = rlm("", tmp_path, *asks, TMPDIR=str(place))
    assert (done.returncode, done.stdout) == (0, "GR\u00dcSSE \u6f22\n"), done


@pytest.mark.processes
def test_a_run_is_answered_and_read_in_the_c_locale(tmp_path: Path, asks: tuple[str, ...]) -> None:
    done = rlm("", tmp_path, *asks, LANG="C")
    assert (done.returncode, done.stdout) == (0, "GR\u00dcSSE \u6f22\n"), done
    for locale in ({"LANG": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        for command in (("list",), ("show",), ("calls",), ("show", "--json")):
            done = rlm("", tmp_path, *command, "--home", "home", **locale)
            assert done.returncode == 0 and "Traceback" not in done.stderr, done
            if command[0] != "calls":
                assert ("Wär?" if locale == {"LANG": "C"} else "W\\u00e4r?") in done.stdout, done
            if command[-1] == "--json":
                assert json.loads(done.stdout)["answer"] == "GR\u00dcSSE \u6f22"


@pytest.mark.processes
@pytest.mark.parametrize("files", [10, 32, 64])
def test_with_few_open_files_runs_are_read_and_new_ones_refused_before_anything_is_paid(
    tmp_path: Path, asks: tuple[str, ...], files: int
) -> None:
    assert rlm("", tmp_path, *asks).returncode == 0
    refused = rlm(f"ulimit -n {files}", tmp_path, *asks, "--thread", "other")
    assert refused.returncode != 0 and "Traceback" not in refused.stderr and "ulimit -n" in refused.stderr, refused
    assert "asking the root model" not in refused.stderr
    for command in (("list",), ("show",), ("verify",)):
        done = rlm(f"ulimit -n {files}", tmp_path, *command, "--home", "home")
        assert "Traceback" not in done.stderr and (done.returncode == 0 or files < 32), done
