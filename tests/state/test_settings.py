"""Settings: a flag overrides the environment, which overrides rlm.toml."""

from pathlib import Path

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.state.settings import RunSettings, parse_size, resolve_settings


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.chdir(tmp_path)


def test_a_flag_overrides_the_environment_which_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rlm.toml").write_text('max_turns = 3\nmax_calls = 30\nmodel = "a:b"\nmax_cost = 2.5\n')
    monkeypatch.setenv("RLM_MAX_TURNS", "4")
    monkeypatch.setenv("RLM_MAX_CALLS", "40")
    settings = resolve_settings({"max_turns": 5, "max_calls": None})
    assert (settings.max_turns, settings.max_calls, settings.model, settings.max_cost) == (5, 40, "a:b", 2.5)


def test_each_setting_has_a_variable_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.json").write_text('{"type": "string"}')
    # A variable that another program may use.
    monkeypatch.setenv("SCHEMA", "public")
    assert resolve_settings({}).answer_schema is None
    monkeypatch.setenv("RLM_SCHEMA", "s.json")
    assert resolve_settings({}).answer_schema == {"type": "string"}


def test_saved_settings_are_read_back_unchanged() -> None:
    settings = resolve_settings({"model": "a:b", "price": "1,2", "memory": "512M"})
    assert RunSettings.model_validate(settings.frozen()) == settings


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"max_turns": 0}, "--max-turns"),
        ({"price": "cheap"}, "IN,OUT"),
        ({"memory": "lots"}, "512M or 4G"),
        ({"schema": "/no/such/file"}, "cannot read the schema"),
        ({"colour": "red"}, "no setting named colour"),
    ],
)
def test_an_invalid_setting_is_named(flags: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_settings(dict(flags))


def test_an_invalid_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "rlm.toml").write_text("max_turns = = 3")
    with pytest.raises(UsageError, match=r"rlm\.toml"):
        resolve_settings({})


@pytest.mark.parametrize(("text", "size"), [("4G", 4 << 30), ("512M", 512 << 20), ("1.5k", 1536), ("77", 77)])
def test_sizes_are_parsed_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_script_is_found_from_another_folder(tmp_path: Path) -> None:
    assert resolve_settings({"model": "scripted:m.py"}).model == f"scripted:{tmp_path / 'm.py'}"
    assert resolve_settings({"model": "openai:m.py"}).model == "openai:m.py"
