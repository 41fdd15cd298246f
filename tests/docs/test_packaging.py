"""What is installed is what is promised: bounds, extras, names of the command, and two locks that agree."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ALL, PRODUCT = ROOT / ".requirements.lock", ROOT / ".requirements-product.lock"
PRIVATE = [
    *("langgraph", "langgraph-checkpoint-sqlite", "langgraph-api", "langchain-core", "langchain-openai", "openai"),
    *("jupyter-client", "ipykernel", "aiosqlite"),
]
"""Packages whose private parts are used."""


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}


def names(requirements: list[Requirement]) -> set[str]:
    return {one.name.replace("_", "-") for one in requirements}


def pins(lock: Path) -> dict[str, set[str]]:
    """The pinned versions by package; a package may have one for each Python."""
    found: dict[str, set[str]] = {}
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.M):
        found.setdefault(name, set()).add(pinned)
    return found


def hashes(lock: Path) -> dict[tuple[str, str], set[str]]:
    """The hashes by package and version."""
    blocks = re.split(r"\n(?=\w)", lock.read_text())
    heads = [re.match(r"([\w.-]+)==(\S+)", block) for block in blocks]
    return {
        (head[1], head[2]): set(re.findall(r"sha256:\w+", block))
        for head, block in zip(heads, blocks, strict=True)
        if head
    }


@pytest.mark.parametrize("name", PRIVATE)
def test_a_release_that_may_change_what_is_private_is_not_taken(name: str) -> None:
    [required] = [one for one in (*REQUIRED, *EXTRAS["server"]) if names([one]) == {name}]
    bounds = required.specifier
    assert any(one.operator in ("<", "<=", "~=", "==") for one in bounds), f"{name} has no upper bound"
    assert version(name) in bounds, "the pinned release is within its bounds"
    assert "999" not in bounds


def test_the_server_is_no_part_of_what_everybody_installs() -> None:
    assert "langgraph-api" not in names(REQUIRED) and "aiosqlite" in names(REQUIRED)
    assert {"langgraph-api", "forbiddenfruit", "setuptools", "ruff", "pytest"}.isdisjoint(pins(PRODUCT))


def test_all_is_documents_and_pandas() -> None:
    [itself] = EXTRAS["all"]
    assert (itself.name, itself.extras) == (PROJECT["name"], {"documents", "pandas"})
    assert names(EXTRAS["pandas"]) == {"pandas"}


def test_the_command_has_two_names() -> None:
    scripts = PROJECT["scripts"]
    assert set(scripts) == {"rlm", "durable-rlm"} and len(set(scripts.values())) == 1


@pytest.mark.parametrize("lock", [ALL, PRODUCT], ids=lambda lock: lock.name)
def test_a_lock_holds_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text and "file:" not in text
    assert hashes(lock) and all(hashes(lock).values())
    lines = [line for line in text.splitlines() if not re.match(r"[\w.-]+==\S+|    --hash=sha256:[0-9a-f]{64}", line)]
    assert lines == []


def test_what_the_demo_installs_is_some_of_what_tests_install() -> None:
    everything, product = pins(ALL), pins(PRODUCT)
    assert len(product) < len(everything)
    assert {name: found for name, found in product.items() if everything.get(name) != found} == {}
    assert hashes(PRODUCT).items() <= hashes(ALL).items()


def test_the_demo_installs_all_that_the_product_requires() -> None:
    assert names(REQUIRED) | names(EXTRAS["documents"]) <= set(pins(PRODUCT))
