"""A folder's `rlm.toml`, which may be a stranger's: harmless settings apply, the others need the user's agreement."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state import agreements
from durable_rlm.state.base_urls import takes_provider_key
from durable_rlm.state.errors import NotAgreed, UsageError
from durable_rlm.state.folder_settings import file_digest, rule_of
from durable_rlm.state.settings import RunSettings, resolve, resolve_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


def agree() -> None:
    """Agree to the folder's file as it is now."""
    agreements.agree("file", file_digest(Path("rlm.toml")), Path("rlm.toml"))


def refusal(toml: str, flags: dict[str, Any] | None = None) -> UsageError:
    """Return the error about a file."""
    Path("rlm.toml").write_text(toml)
    with pytest.raises(UsageError) as refused:
        resolve_settings(flags or {})
    assert refused.value.exit_code == 2
    return refused.value


RESERVED = {
    'model = "openai:m"': ("--model openai:m", "RLM_MODEL"),
    'sub_model = "openai:m"': ("--sub-model openai:m", "RLM_SUB_MODEL"),
    'then = "openai:m@2"': ("--then openai:m@2", "RLM_THEN"),
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
    "option = { temperature = 0.5 }": ("--option K=V", "RLM_OPTION"),
    'sub_option = { "body.provider" = 1 }': ("--sub-option K=V", "RLM_SUB_OPTION"),
    'price = "0,0"': ("--price 0,0", "RLM_PRICE"),
    "price = [0, 0]": ("--price 0,0", "RLM_PRICE"),
    'approve = ["code"]': ("--approve code", "RLM_APPROVE"),
    'allow_imports = ["os", "sys"]': ("--allow-imports os,sys", "RLM_ALLOW_IMPORTS"),
    "kernels = 2": ("--kernels 2", "RLM_KERNELS"),
    'encoding = "koi8-r"': ("--encoding koi8-r", "RLM_ENCODING"),
    "hidden = true": ("--hidden", "RLM_HIDDEN"),
    'password = ["file:secret.json"]': ("--password file:secret.json", "RLM_PASSWORD"),
    'instructions = "obey.md"': ("--instructions obey.md", "RLM_INSTRUCTIONS"),
    'schema = "../secret.json"': ("--schema ../secret.json", "RLM_SCHEMA"),
    'answer_schema = "../secret.json"': ("--schema ../secret.json", "RLM_SCHEMA"),
    "max_turns = 31": ("--max-turns 31", "RLM_MAX_TURNS"),
    "max_depth = 2": ("--max-depth 2", "RLM_MAX_DEPTH"),
    "max_calls = 2001": ("--max-calls 2001", "RLM_MAX_CALLS"),
    "concurrency = 33": ("--concurrency 33", "RLM_CONCURRENCY"),
    "cell_timeout = 301": ("--cell-timeout 301", "RLM_CELL_TIMEOUT"),
    "kernel_idle = 901": ("--kernel-idle 901", "RLM_KERNEL_IDLE"),
    'memory = "5G"': ("--memory 5G", "RLM_MEMORY"),
    'notify = ["touch pwned"]': ("--notify 'touch pwned'", "RLM_NOTIFY"),
    'notify_key = "env:OPENAI_API_KEY"': ("--notify-key env:OPENAI_API_KEY", "RLM_NOTIFY_KEY"),
}


@pytest.mark.parametrize("toml", RESERVED)
def test_a_setting_that_is_not_harmless_is_refused_with_its_flag_until_the_user_agrees(toml: str, folder: Path) -> None:
    (folder.parent / "secret.json").write_text('{"type": "string"}')
    refused = refusal(toml)
    flag, variable = RESERVED[toml]
    assert isinstance(refused, NotAgreed) and f"yourself: {flag}, or {variable} in" in refused.hint
    assert "./rlm.toml sets" in refused.message and "a folder's file may not say" in refused.message
    assert "`rlm home trust ./rlm.toml`" in refused.hint and "--trust" in refused.hint
    agree()
    assert resolve_settings({}) != RunSettings()
    # The agreement is to the file as it was.
    assert isinstance(refusal(f"{toml}\n# changed"), NotAgreed)


@pytest.mark.parametrize(
    ("toml", "flag"),
    [
        ("tracing = true", "--tracing"),
        ("option = { header = { x = 'env:OPENAI_API_KEY' } }", "--option K=V"),
        ("sub_option = ['header.x=env:HOME']", "--sub-option"),
    ],
)
def test_traces_and_variables_of_the_user_are_never_for_a_file_to_give_away(toml: str, flag: str) -> None:
    assert flag in refusal(toml).hint
    agree()
    assert flag in refusal(toml).hint


def test_trusting_a_call_agrees_to_the_file_for_that_call() -> None:
    Path("rlm.toml").write_text('model = "openai:m"')
    with agreements.trusting():
        assert resolve_settings({}).model == "openai:m"
    assert isinstance(refusal('model = "openai:m"'), NotAgreed)


def test_an_agreement_covers_the_scripts_that_the_file_names(folder: Path) -> None:
    (folder / "m.py").write_text("theirs = 1")
    (folder / "rlm.toml").write_text('model = "scripted:m.py"')
    agree()
    assert resolve_settings({}).model == f"scripted:{folder / 'm.py'}"
    (folder / "m.py").write_text("theirs = 2")
    assert isinstance(refusal('model = "scripted:m.py"'), NotAgreed)


@pytest.mark.parametrize("script", ["/dev/zero", "pipe", "large.py"])
def test_a_script_that_the_file_names_is_read_within_limits(script: str, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with (folder / "large.py").open("wb") as large:
        large.truncate(10 << 30)
    said = refusal(f'model = "scripted:{script}"').message
    assert "which programs run as you" in said or "large.py is larger than" in said


def test_an_address_that_only_the_file_names_gets_no_providers_key_even_when_agreed_to() -> None:
    Path("rlm.toml").write_text('base_url = "http://127.0.0.1:9/v1"')
    agree()
    only_there = resolve_settings({})
    assert not takes_provider_key(only_there.base_url)
    # It is saved with the run: a resume does not send the key either.
    assert not takes_provider_key(RunSettings.model_validate(only_there.frozen()).sub_spec.base_url)
    assert takes_provider_key(resolve_settings({"base_url": "http://127.0.0.1:9/v1"}).base_url)


def test_the_files_own_settings_are_known_beside_all() -> None:
    Path("rlm.toml").write_text('mode = "direct"\nmax_turns = 3\nmax_calls = 7\n')
    found = resolve({"max_calls": 9})
    assert found.settings.max_calls == 9 and found.of_folder == {"mode": "direct", "max_turns": 3}


def test_a_schema_outside_the_folder_cannot_be_reached_by_a_link(folder: Path) -> None:
    (folder.parent / "secret.json").write_text("{}")
    (folder / "schema.json").symlink_to("../secret.json")
    assert "which files outside of it are read" in refusal('schema = "schema.json"').message


def test_a_schema_that_is_no_ordinary_file_or_too_large_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")
    assert "which files outside of it are read" in refusal('schema = "pipe.json"').message
    with (folder / "large.json").open("wb") as large:
        large.truncate(10 << 30)
    assert "larger than 10 MB" in refusal('schema = "large.json"').message


def test_harmless_settings_are_taken_from_the_file(folder: Path) -> None:
    (folder / "schema.json").write_text('{"type": "string"}')
    (folder / "rlm.toml").write_text(
        'mode = "auto"\nmax_turns = 20\nmax_depth = 0\nmax_cost = 2.5\nmemory = "1G"\nschema = "schema.json"\n'
    )
    settings = resolve_settings({})
    assert (settings.mode, settings.max_turns, settings.max_depth, settings.max_cost) == ("auto", 20, 0, 2.5)
    assert (settings.memory, settings.answer_schema) == (1 << 30, {"type": "string"})


def test_every_setting_declares_whether_a_folders_file_may_set_it(folder: Path) -> None:
    rules = {name: rule_of(RunSettings, name) for name in RunSettings.model_fields}
    assert {name for name, rule in rules.items() if rule == "may"} == {"mode", "answer_schema", "require_citations"}
    # Each that is not for the file alone is tried above.
    tried = {toml.partition(" ")[0].lower() for toml in RESERVED}
    no_default = {"max_tokens", "max_cost", "max_time", "strict_budget", "max_home_size"}
    assert {name for name, rule in rules.items() if rule != "may"} - tried == no_default
    for name in no_default:
        value = {"strict_budget": "true", "max_home_size": 2 << 20}.get(name, 2)
        (folder / "rlm.toml").write_text(f"{name} = {value}\n")
        assert getattr(resolve_settings({}), name) != RunSettings.model_fields[name].default


def test_a_setting_without_a_declaration_is_an_error() -> None:
    class Later(RunSettings):
        new: int = 3

    with pytest.raises(LookupError, match="new does not say"):
        rule_of(Later, "new")


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
