"""Targets of notifications as settings: what is saved with a run."""

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.state.settings import resolve_settings


@pytest.mark.parametrize("target", ["notify-send 'two words'", "http://127.0.0.1:8000/x?y=1", "HTTPS://h/", "env:HOOK"])
def test_commands_addresses_and_variables_are_saved_as_they_are_given(target: str) -> None:
    assert resolve_settings({"notify": [target, target]}).notify == (target,)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("https://me:t0p@h/x", "would be saved"),
        ("https://t0p:@h/x", "would be saved"),
        ("http:///t0p", "names a server"),
        ("http://h:0/t0p", "names a server"),
        ("ftp://h/t0p", "begins with http://"),
        ("send 't0p", "no closing quotation"),
        ("env:", "env:NAME"),
        ("env:A B", "env:NAME"),
        ("   ", "needs a program"),
        ("send \0", "is a text"),
        ("x" * 2001, "is a text"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_without_its_secrets(target: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        resolve_settings({"notify": [target]})
    assert "--notify" in str(refused.value) and why in str(refused.value) and "t0p" not in str(refused.value)


def test_there_are_ten_targets_at_most() -> None:
    assert len(resolve_settings({"notify": [f"send {n}" for n in range(10)]}).notify) == 10
    with pytest.raises(UsageError, match="more than 10"):
        resolve_settings({"notify": [f"send {n}" for n in range(11)]})


def test_a_key_is_a_variable_and_never_the_key_itself() -> None:
    assert resolve_settings({"notify_key": "env:KEY"}).notify_key == "env:KEY"
    with pytest.raises(UsageError) as refused:
        resolve_settings({"notify_key": "t0psecret"})
    assert "would be saved" in str(refused.value) and "t0p" not in str(refused.value)
