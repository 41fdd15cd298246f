"""Agreement of the documentation with the code: settings, names of the REPL, links, files, and marked tests."""

import re
from pathlib import Path

import pytest

from durable_rlm.nodes.prompts.messages import REPL_NAMES
from durable_rlm.state.setting_specs import SETTINGS
from durable_rlm.state.settings import RunSettings
from tests.conftest import LONG, PROCESSES, SLOW

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_table_of_settings_equals_their_specification() -> None:
    rows = [f"| `{one.flag}` | {one.help} | {one.default or 'must be given'} |" for one in SETTINGS.values()]
    table = "\n".join(["| flag | meaning | default |", "|---|---|---|", *rows])
    assert table in (ROOT / "docs" / "command-line.md").read_text()
    assert set(SETTINGS) == {info.alias or name for name, info in RunSettings.model_fields.items()}


def test_every_name_of_the_repl_is_documented() -> None:
    page = (ROOT / "docs" / "repl.md").read_text()
    assert [name for name in REPL_NAMES if f"`{name.split('[')[0]}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(r"`((?:graph|nodes|state|kernel|studio|bench|docs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_the_top_level_has_exactly_the_expected_entries() -> None:
    wanted = {"graph", "nodes", "state", "kernel", "matching", "studio", "tests", "bench", "docs"}
    wanted |= {
        "requirements",
        "tools",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "langgraph.json",
        "pyproject.toml",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
    }
    built = {"build", "dist", "__pycache__"}
    assert {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")} - built == wanted


@pytest.mark.parametrize("listed", [*SLOW, *LONG, *PROCESSES])
def test_each_test_in_the_lists_of_marked_tests_exists(listed: str) -> None:
    file, _, name = listed.partition("::")
    assert (ROOT / file).exists()
    assert not name or f"def {name.partition('[')[0]}" in (ROOT / file).read_text()
