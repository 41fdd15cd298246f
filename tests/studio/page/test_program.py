"""Commands that the page calls: their JSON, their errors, and what they must not be able to do to it."""

import asyncio
import sys
from pathlib import Path

import pytest

from durable_rlm.studio.cli.page_beside import PageBeside
from durable_rlm.studio.page import program
from durable_rlm.studio.page.program import Outcome, Program
from durable_rlm.studio.serving.token import TOKEN_VARIABLE


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file to write: the program that is called instead of this one, a script for the shell."""
    path = tmp_path / "python"
    path.touch(mode=0o700)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


async def test_arguments_are_never_taken_for_options(tmp_path: Path) -> None:
    outcome = await Program(tmp_path / "home").call("resume", arguments=["--help"])
    assert outcome.error is not None
    assert "--help" in outcome.error[0]


async def test_no_module_of_the_folder_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of a stranger's folder is looked at there, and something is clicked."""
    monkeypatch.chdir(tmp_path)
    for name in ("typer", "json", "durable_rlm", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    outcome = await Program(tmp_path / "home").call("stop", arguments=["nothing"])
    assert outcome.error is not None
    assert not (tmp_path / "ran").exists()
    beside = PageBeside(tmp_path / "home")
    said: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    beside.begun("nothing", lambda text: loop.call_soon_threadsafe(said.put_nowait, text) and None)
    assert "could not be served" in await said.get()
    beside.end(stays=False)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("argument", ["a\0b", "x" * 3_000_000])
async def test_a_line_that_cannot_be_called_is_refused_in_words(tmp_path: Path, argument: str) -> None:
    outcome = await Program(tmp_path).call("run", arguments=[argument])
    assert outcome.error is not None
    assert outcome.error[0].startswith("`rlm run` cannot be called like this")


async def test_the_token_of_the_server_is_not_passed_on(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "secret-secret-secret")
    python.write_text(f'#!/bin/sh\necho "{{\\"thread_id\\": \\"${TOKEN_VARIABLE}\\"}}"\n')
    assert (await Program(tmp_path).call("list")).thread == ""


async def test_a_command_that_prints_no_json_has_its_last_words_as_its_error(tmp_path: Path, python: Path) -> None:
    python.write_text("#!/bin/sh\necho nonsense\necho 'It broke.' >&2\nexit 1\n")
    assert (await Program(tmp_path).call("list")).error == ("It broke.", "")


async def test_endless_output_is_read_and_dropped(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_MOST_OUTPUT", 1_000)
    python.write_text("#!/bin/sh\nhead -c 3000000 /dev/zero\necho 'Too much.' >&2\nexit 1\n")
    assert (await Program(tmp_path).call("list")).error == ("Too much.", "")


async def test_a_command_that_does_not_end_is_asked_to_and_can_take_its_run_along(tmp_path: Path, python: Path) -> None:
    asked = tmp_path / "asked"
    python.write_text(f"#!/bin/sh\ntrap 'touch {asked}; kill $!; exit 0' TERM\nsleep 60 > /dev/null 2>&1 & wait\n")
    outcome = await Program(tmp_path, patience=0.1).call("list")
    assert outcome.error is not None
    assert outcome.error[0].startswith("It has not ended within")
    assert asked.exists()


def test_a_run_that_waits_or_has_failed_is_not_an_error_of_the_command() -> None:
    assert Outcome(3, {"thread_id": "t", "error": None}).error is None
    assert Outcome(4, {"thread_id": "t", "error": None}).error is None
    assert Outcome(1, {"thread_id": "t", "error": {"message": "No.", "hint": ""}}).error == ("No.", "")
