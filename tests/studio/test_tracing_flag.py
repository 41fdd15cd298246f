"""Tracing by the command line: on for one command, by its flag or by RLM_TRACING."""

from pathlib import Path

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.graph.tracing import SWITCHES
from tests.studio.conftest import Fake, Rlm

COMMANDS = {
    "run": ("run", "Q?", "--model", "m"),
    "resume": ("resume", "t"),
    "review": ("review", "t", "--approve"),
    "fork": ("fork", "t", "--step", "3"),
}


@pytest.fixture(autouse=True)
def _shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()
    for name in (*SWITCHES, "RLM_TRACING"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_runs_something_is_traced_only_when_the_user_turns_it_on(
    command: tuple[str, ...], rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    said = rlm(*command).err
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    warned = rlm(*command).err
    assert runner.tracing == [False, False]
    assert "traced" not in said and warned.count("LANGSMITH_TRACING is set, but nothing is traced") == 1
    said = rlm(*command, "--tracing").err
    monkeypatch.setenv("RLM_TRACING", "yes")
    said += rlm(*command).err
    assert runner.tracing[2:] == [True, True] and "traced" not in said


@pytest.mark.parametrize("value", ["", "0", "false", "False", "no"])
def test_a_variable_that_turns_tracing_off_gives_no_warning(
    value: str, rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", value)
    monkeypatch.setenv("RLM_TRACING", value)
    assert "traced" not in rlm(*COMMANDS["run"]).err and runner.tracing == [False]


def test_a_variable_with_an_unknown_value_is_refused(rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    monkeypatch.setenv("RLM_TRACING", "maybe")
    done = rlm(*COMMANDS["run"])
    assert done.code == 2 and "RLM_TRACING=1" in done.err and runner.asked == []


def test_the_demo_is_never_traced(rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    monkeypatch.setenv("RLM_TRACING", "1")
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    assert rlm("demo", "--plain").code == 0 and runner.tracing == [False]
