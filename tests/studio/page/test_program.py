"""Commands that the page calls: their JSON, their errors, and what they must not be able to do to it."""

import sys
from pathlib import Path

import pytest

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


async def test_a_command_that_does_not_end_is_ended(tmp_path: Path, python: Path) -> None:
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    outcome = await Program(tmp_path, patience=0.1).call("list")
    assert outcome.error is not None
    assert outcome.error[0].startswith("It has not ended within")


def test_a_run_that_waits_or_has_failed_is_not_an_error_of_the_command() -> None:
    assert Outcome(3, {"thread_id": "t", "error": None}).error is None
    assert Outcome(4, {"thread_id": "t", "error": None}).error is None
    assert Outcome(1, {"thread_id": "t", "error": {"message": "No.", "hint": ""}}).error == ("No.", "")
