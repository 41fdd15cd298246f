"""A folder's `rlm.toml`, which may be a stranger's: harmless settings apply, the others need the user's own flag."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.state.settings import RunSettings, resolve_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refusal(toml: str, flags: dict[str, Any] | None = None) -> UsageError:
    """Return the error about a file."""
    Path("rlm.toml").write_text(toml)
    with pytest.raises(UsageError) as refused:
        resolve_settings(flags or {})
    assert refused.value.exit_code == 2
    return refused.value


RESERVED = {
    'base_url = "http://127.0.0.1:9/v1"': ("--base-url http://127.0.0.1:9/v1", "RLM_BASE_URL"),
    'Base_URL = "http://x"': ("--base-url http://x", "RLM_BASE_URL"),
    'kernel_env = "venv"': ("--kernel-env venv", "RLM_KERNEL_ENV"),
    'kernel_provisioner = "theirs"': ("--kernel-provisioner theirs", "RLM_KERNEL_PROVISIONER"),
    "unsandboxed = true": ("--unsandboxed", "RLM_UNSANDBOXED"),
    'model = "scripted:m.py"': ("--model scripted:m.py", "RLM_MODEL"),
    'sub_model = "scripted:m.py"': ("--sub-model scripted:m.py", "RLM_SUB_MODEL"),
    'sub_base_url = "http://127.0.0.1:9/v1"': ("--sub-base-url http://127.0.0.1:9/v1", "RLM_SUB_BASE_URL"),
    'sub_price = "0,0"': ("--sub-price 0,0", "RLM_SUB_PRICE"),
    'then_base_url = "http://127.0.0.1:9/v1"': ("--then-base-url http://127.0.0.1:9/v1", "RLM_THEN_BASE_URL"),
    'then = "scripted:m.py@2"': ("--then scripted:m.py@2", "RLM_THEN"),
    'option = { header = { x = "y" } }': ("--option K=V", "RLM_OPTION"),
    'sub_option = { "body.provider" = 1 }': ("--sub-option K=V", "RLM_SUB_OPTION"),
    'price = "0,0"': ("--price 0,0", "RLM_PRICE"),
    "price = [0, 0]": ("--price 0,0", "RLM_PRICE"),
    'allow_imports = ["os", "sys"]': ("--allow-imports os,sys", "RLM_ALLOW_IMPORTS"),
    "tracing = true": ("--tracing", "RLM_TRACING"),
    'instructions = "obey.md"': ("--instructions obey.md", "RLM_INSTRUCTIONS"),
    'schema = "../secret.json"': ("--schema ../secret.json", "RLM_SCHEMA"),
    'answer_schema = "../secret.json"': ("--schema ../secret.json", "RLM_SCHEMA"),
}


@pytest.mark.parametrize("toml", RESERVED)
def test_settings_for_keys_programs_and_guards_are_refused_with_their_flag(toml: str, folder: Path) -> None:
    (folder.parent / "secret.json").write_text('{"key": "sk-1"}')
    refused = refusal(toml)
    flag, variable = RESERVED[toml]
    assert f"yourself: {flag}, or {variable} in" in refused.hint
    assert "./rlm.toml sets" in refused.message and "a folder's file may not say" in refused.message


def test_a_schema_outside_the_folder_cannot_be_reached_by_a_link(folder: Path) -> None:
    (folder.parent / "secret.json").write_text("{}")
    (folder / "schema.json").symlink_to("../secret.json")
    assert "which files outside of it are read" in refusal('schema = "schema.json"').message


def test_harmless_settings_are_taken_from_the_file(folder: Path) -> None:
    (folder / "schema.json").write_text('{"type": "string"}')
    (folder / "rlm.toml").write_text(
        'model = "openai:m"\nmode = "auto"\nmax_turns = 50\nmax_cost = 2.5\nmemory = "1G"\n'
        'approve = ["code"]\nschema = "schema.json"\n[option]\ntemperature = 0\n'
    )
    settings = resolve_settings({})
    assert (settings.model, settings.mode, settings.max_turns, settings.max_cost) == ("openai:m", "auto", 50, 2.5)
    assert (settings.memory, settings.approve, settings.answer_schema) == (1 << 30, ("code",), {"type": "string"})
    assert settings.option == {"temperature": 0.0}


def test_every_setting_is_either_taken_or_refused(folder: Path) -> None:
    """A new setting has to be added to one of the two lists."""
    taken = {"mode", "max_turns", "max_depth", "max_calls", "max_tokens", "max_cost", "max_time", "concurrency"}
    taken |= {"kernels", "cell_timeout", "kernel_idle", "memory", "approve", "strict_budget"}
    refused = {toml.partition(" ")[0].lower() for toml in RESERVED} - {"tracing", "schema"}
    assert taken | refused == set(RunSettings.model_fields) and not taken & refused
    for name in taken:
        value = {"mode": '"auto"', "approve": '["code"]', "memory": '"1G"', "strict_budget": "true"}.get(name, "2")
        (folder / "rlm.toml").write_text(f"{name} = {value}\n")
        assert getattr(resolve_settings({}), name) != RunSettings.model_fields[name].default


@pytest.mark.parametrize("toml", ['base_url = ""', "unsandboxed = false", 'kernel_env = ""', "allow_imports = []"])
def test_a_setting_that_changes_nothing_is_not_refused(toml: str, folder: Path) -> None:
    (folder / "rlm.toml").write_text(toml)
    assert resolve_settings({}) == RunSettings()


def test_a_setting_that_the_user_overrides_is_not_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rlm.toml").write_text(
        'base_url = "http://theirs"\nmodel = "scripted:theirs.py"\nunsandboxed = true\nschema = "/etc/passwd"\n'
    )
    (folder / "mine.json").write_text('{"type": "number"}')
    monkeypatch.setenv("RLM_MODEL", "openai:mine")
    monkeypatch.setenv("RLM_SCHEMA", "mine.json")
    settings = resolve_settings({"base_url": "http://mine", "unsandboxed": False})
    assert (settings.base_url, settings.model, settings.unsandboxed) == ("http://mine", "openai:mine", False)
    assert settings.answer_schema == {"type": "number"}
    # An empty variable sets nothing, an empty flag sets an empty value.
    monkeypatch.setenv("RLM_BASE_URL", "")
    assert "sets base_url" in refusal('base_url = "http://theirs"').message
    assert resolve_settings({"base_url": ""}).base_url == ""


def test_a_refused_value_is_printed_so_that_it_can_be_pasted_and_is_escaped() -> None:
    hostile = "http://x/$(id)'; id #\\n\\u001b[2J\\u202e"
    refused = refusal(f'base_url = "{hostile}"')
    assert refused.hint.isprintable() and refused.hint.isascii()
    said = re.search(r"--base-url .*(?=, or RLM_BASE_URL)", refused.hint)
    assert said and shlex.split(said[0]) == ["--base-url", "http://x/$(id)'; id #\\n\\x1b[2J\\u202e"]
    assert len(refusal(f'kernel_env = "{"x" * 100_000}"').hint) < 500


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("max_turn = 3", "no setting named max_turn, which ./rlm.toml sets. Is it max_turns?"),
        ('"base-url" = "http://x"', "no setting named base-url.*Is it base_url?"),
        ("[tool.something]\na = 1", "no setting named tool"),
        ('"\\u001b[2J" = 1', r"no setting named \\x1b\[2J"),
    ],
)
def test_an_unknown_setting_is_named(toml: str, said: str) -> None:
    assert re.search(said, str(refusal(toml)))


@pytest.mark.parametrize(
    "body", [b"max_turns = = 3", b"\xff\xfe", b"a = " + b"[" * 100_000], ids=["TOML", "UTF", "deep"]
)
def test_an_unreadable_file_is_reported_in_one_sentence(body: bytes, folder: Path) -> None:
    (folder / "rlm.toml").write_bytes(body)
    with pytest.raises(UsageError, match=r"rlm\.toml is not valid TOML"):
        resolve_settings({})
