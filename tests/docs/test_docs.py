"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from durable_rlm.nodes.prompts.messages import REPL_NAMES
from durable_rlm.state.settings import RunSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_setting_is_documented_with_its_flag() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    flags = {"--" + (info.alias or name).replace("_", "-") for name, info in RunSettings.model_fields.items()}
    assert flags <= set(re.findall(r"`(--[a-z-]+)`", page))


def test_every_name_of_the_repl_is_documented() -> None:
    page = (ROOT / "docs" / "repl.md").read_text()
    assert [name for name in REPL_NAMES if f"`{name.split('[')[0]}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(r"`((?:graph|nodes|state|kernel|studio|bench|docs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_the_top_level_is_what_it_should_be() -> None:
    wanted = {"graph", "nodes", "state", "kernel", "studio", "tests", "bench", "docs"}
    wanted |= {"langgraph.json", "pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "LICENSE"}
    built = {"build", "dist", "__pycache__"}
    assert {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")} - built == wanted
