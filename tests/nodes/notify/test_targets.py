"""Targets of notifications: read from variables when they are used, and named without their secrets."""

from pathlib import Path

import pytest

from durable_rlm.nodes.notify.failures import SendingFailed
from durable_rlm.nodes.notify.targets import Resolved, check_targets, described, resolved
from durable_rlm.state.errors import UsageError


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("https://h/x?y", Resolved(url="https://h/x?y", secret=True)),
        ("https://user:pass@h/", Resolved(url="https://user:pass@h/", secret=True)),
        (" send 'two words' ", Resolved(words=("send", "two words"), secret=True)),
    ],
)
def test_a_variable_has_an_address_or_a_command(value: str, found: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", value)
    assert resolved("env:HOOK") == found


@pytest.mark.parametrize("value", ["http://", "http://[t0p/", "http://h:99999999/", "env:HOOK", "'open", "  "])
def test_a_variable_with_anything_else_is_reported_by_its_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", value)
    with pytest.raises(SendingFailed) as failed:
        resolved("env:HOOK")
    assert failed.value.then == "elsewhere" and "HOOK" in str(failed.value) and "t0p" not in str(failed.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("env:HOOK", "env:HOOK"),
        ("https://hooks.example.com/services/T0/SECRET?key=SECRET", "https://hooks.example.com"),
        ("http://127.0.0.1:8000/SECRET", "http://127.0.0.1:8000"),
        ("notify-send --token SECRET", "notify-send"),
        ("http://[SECRET", "a target that cannot be read"),
    ],
)
def test_a_target_is_named_without_paths_queries_and_arguments(target: str, words: str) -> None:
    assert described(target) == words


@pytest.mark.parametrize("target", ["no-such-program x", "./no-such-program", "env:NOT_SET", "http://127.0.0.1:9/"])
def test_a_run_is_refused_whose_notifications_could_never_be_sent(target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--notify"):
        check_targets([target], "env:NO_KEY", tmp_path)


def test_a_program_beside_the_home_and_one_in_the_path_are_found(tmp_path: Path) -> None:
    (tmp_path / "send.sh").touch(mode=0o755)
    check_targets(["./send.sh a b", "sh -c true"], "", tmp_path)
