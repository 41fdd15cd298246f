"""Settings: a flag overrides the environment, which overrides rlm.toml."""

from pathlib import Path

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.state.setting_files import MOST_INSTRUCTIONS
from durable_rlm.state.settings import RunSettings, parse_size, resolve_settings


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.chdir(tmp_path)


def test_a_flag_overrides_the_environment_which_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rlm.toml").write_text('max_turns = 3\nmax_calls = 30\nmode = "auto"\nmax_cost = 2.5\n')
    monkeypatch.setenv("RLM_MAX_TURNS", "4")
    monkeypatch.setenv("RLM_MAX_CALLS", "40")
    settings = resolve_settings({"max_turns": 5, "max_calls": None})
    assert (settings.max_turns, settings.max_calls, settings.mode, settings.max_cost) == (5, 40, "auto", 2.5)


def test_each_setting_has_a_variable_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.json").write_text('{"type": "string"}')
    # A variable that another program may use.
    monkeypatch.setenv("SCHEMA", "public")
    assert resolve_settings({}).answer_schema is None
    monkeypatch.setenv("RLM_SCHEMA", "s.json")
    assert resolve_settings({}).answer_schema == {"type": "string"}


def test_instructions_are_a_text_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "i.md").write_bytes("\ufeffDates are day/month. \N{SNOWMAN}\n".encode())
    assert resolve_settings({}).instructions == ""
    assert resolve_settings({"instructions": "i.md"}).instructions == "i.md"
    assert resolve_settings({"instructions": Path("i.md")}).instructions == "Dates are day/month. \N{SNOWMAN}\n"
    monkeypatch.setenv("RLM_INSTRUCTIONS", "i.md")
    assert resolve_settings({}).instructions == "Dates are day/month. \N{SNOWMAN}\n"
    assert resolve_settings({"instructions": ""}).instructions == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read i.md: No such file"),
        (b"\xff\xfeA\x00", "i.md is not a text in UTF-8"),
        (b"\x7fELF\x00\x01", "i.md has control characters"),
        (b"x" * (MOST_INSTRUCTIONS + 1), "i.md has more than 32,768 characters"),
        ("\N{SNOWMAN}" * (MOST_INSTRUCTIONS + 1), "i.md has more than 32,768 characters"),
        (b"\xff" * 10_000_000, "i.md has more than 32,768 characters"),
    ],
    ids=["missing", "UTF-16", "binary", "long", "long, of many bytes", "very long"],
)
def test_a_file_that_holds_no_instructions_is_named(content: bytes | str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "i.md").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError, match=f"--instructions: {said}"):
        resolve_settings({"instructions": Path("i.md")})


def test_the_longest_instructions_are_taken(tmp_path: Path) -> None:
    (tmp_path / "i.md").write_bytes(("\ufeff" + "\U0001f600" * MOST_INSTRUCTIONS).encode())
    assert len(resolve_settings({"instructions": Path("i.md")}).instructions) == MOST_INSTRUCTIONS
    with pytest.raises(UsageError, match="the text has more than 32,768 characters"):
        resolve_settings({"instructions": "x" * (MOST_INSTRUCTIONS + 1)})


def test_saved_settings_are_read_back_unchanged() -> None:
    settings = resolve_settings({"model": "a:b", "price": "1,2", "memory": "512M", "instructions": "Be brief."})
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
