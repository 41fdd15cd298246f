"""Packaging: bounds of requirements, extras, names of the command, locks, and the built wheel and sdist."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from durable_rlm.studio.doctor.software import TESTED_PYTHONS

ROOT = Path(__file__).parents[2]
LOCKS = {file.stem: file for file in sorted((ROOT / "requirements").glob("*.txt"))}
ALL, PRODUCT = LOCKS["test"], LOCKS["demo"]
PARTS = ("graph", "kernel", "matching", "nodes", "state", "studio")
PRIVATE = [
    *("langgraph", "langgraph-checkpoint-sqlite", "langgraph-api", "langchain-core", "langchain-openai", "openai"),
    *("jupyter-client", "ipykernel", "ipython", "pyzmq", "traitlets", "cloudpickle", "aiosqlite"),
]
"""Packages whose private parts are used."""


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}


def names(requirements: list[Requirement]) -> set[str]:
    return {one.name.replace("_", "-") for one in requirements}


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the pinned versions by package; a package may have one for each Python."""
    found: dict[str, set[str]] = {}
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.M):
        found.setdefault(name, set()).add(pinned)
    return found


def hashes(lock: Path) -> dict[tuple[str, str], set[str]]:
    """Return the hashes by package and version."""
    blocks = re.split(r"\n(?=\w)", lock.read_text())
    heads = [re.match(r"([\w.-]+)==(\S+)", block) for block in blocks]
    return {
        (head[1], head[2]): set(re.findall(r"sha256:\w+", block))
        for head, block in zip(heads, blocks, strict=True)
        if head
    }


@pytest.mark.parametrize("name", PRIVATE)
def test_a_package_whose_private_parts_are_used_has_an_upper_bound(name: str) -> None:
    [required] = [one for one in (*REQUIRED, *EXTRAS["server"]) if names([one]) == {name}]
    bounds = required.specifier
    assert any(one.operator in ("<", "<=", "~=", "==") for one in bounds), f"{name} has no upper bound"
    assert version(name) in bounds, "the pinned release is within its bounds"
    assert "999" not in bounds


def test_an_installation_without_extras_does_not_include_the_server() -> None:
    assert "langgraph-api" not in names(REQUIRED) and "aiosqlite" in names(REQUIRED)
    assert {"langgraph-api", "forbiddenfruit", "setuptools", "ruff", "pytest"}.isdisjoint(pins(PRODUCT))


def test_the_extra_all_consists_of_all_extras_but_the_server() -> None:
    [itself] = EXTRAS["all"]
    assert (itself.name, itself.extras) == (PROJECT["name"], EXTRAS.keys() - {"all", "server"})
    assert names(EXTRAS["pandas"]) == {"pandas"}


def test_the_pythons_that_are_named_are_those_that_the_doctor_calls_tested() -> None:
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r"Python :: \d+\.\d+$", line)]
    assert named == [f"{major}.{minor}" for major, minor in TESTED_PYTHONS]


def test_the_command_has_two_names() -> None:
    scripts = PROJECT["scripts"]
    assert set(scripts) == {"rlm", "durable-rlm"} and len(set(scripts.values())) == 1


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_lock_has_hashes_and_no_urls(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text and "file:" not in text
    assert hashes(lock) and all(hashes(lock).values())
    lines = [line for line in text.splitlines() if not re.match(r"[\w.-]+==\S+|    --hash=sha256:[0-9a-f]{64}", line)]
    assert lines == []


def test_the_packages_of_the_demo_are_some_of_the_packages_of_the_tests() -> None:
    everything, product = pins(ALL), pins(PRODUCT)
    assert len(product) < len(everything)
    assert {name: found for name, found in product.items() if everything.get(name) != found} == {}
    assert hashes(PRODUCT).items() <= hashes(ALL).items()


def test_the_demo_installs_the_requirements_of_the_product_and_no_extra() -> None:
    pinned = set(pins(PRODUCT))
    assert names(REQUIRED) <= pinned
    assert not pinned & set().union(
        *(names(EXTRAS[name]) for name in ("code", "documents", "pandas", "search", "server", "tables"))
    ) - names(REQUIRED)


@pytest.mark.parametrize("extra", ["code", "documents", "pandas", "search", "server", "tables"])
def test_an_extra_has_a_lock_of_its_own(extra: str) -> None:
    assert names(REQUIRED) | names(EXTRAS[extra]) <= set(pins(LOCKS[extra]))


@pytest.fixture(scope="module")
def checkout_without_links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout as git writes it without symbolic links: each link is a file with its target."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if not source.is_symlink() and not source.exists():
            continue  # deleted and not committed yet
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.write_text(str(source.readlink()))
        else:
            shutil.copy(source, target)
    return folder


@pytest.fixture(scope="module")
def built(checkout_without_links: Path) -> tuple[list[str], list[str]]:
    """Build the wheel and the sdist without links, and return the names in them."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    subprocess.run(command, cwd=checkout_without_links, check=True, capture_output=True)
    [wheel], [sdist] = ((checkout_without_links / "dist").glob(ending) for ending in ("*.whl", "*.tar.gz"))
    with zipfile.ZipFile(wheel) as opened, tarfile.open(sdist) as archive:
        return opened.namelist(), [name.partition("/")[2] for name in archive.getnames()]


def test_a_checkout_without_links_builds_the_whole_package(
    built: tuple[list[str], list[str]], checkout_without_links: Path
) -> None:
    wheel, sdist = built
    sources = [
        path.relative_to(checkout_without_links).as_posix()
        for part in PARTS
        for path in (checkout_without_links / part).rglob("*")
        if path.is_file()
    ]
    assert len(sources) > 200 and {f"durable_rlm/{name}" for name in sources} <= set(wheel)
    assert {"durable_rlm/__init__.py", "durable_rlm/__main__.py", "durable_rlm/py.typed"} <= set(wheel)
    outside = {name for name in wheel if not name.startswith(("durable_rlm/", "durable_rlm-"))}
    assert not outside
    assert {*sources, "pyproject.toml", "README.md", "LICENSE", "tools/editable_build.py"} <= set(sdist)
    assert not [name for name in sdist if name.startswith(("tests", "bench"))]


def test_an_editable_install_is_refused_with_one_sentence_when_links_are_plain_files(
    checkout_without_links: Path, tmp_path: Path
) -> None:
    options = ["--no-deps", "--no-build-isolation", "--target", str(tmp_path / "site"), "-e", "."]
    command = [sys.executable, "-m", "pip", "install", *options]
    refused = subprocess.run(command, cwd=checkout_without_links, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "core.symlinks=true" in refused.stdout + refused.stderr
    demo = subprocess.run(["make", "demo"], cwd=checkout_without_links, capture_output=True, text=True)
    assert demo.returncode != 0 and "core.symlinks=true" in demo.stdout and "WSL" in demo.stdout
    assert not (checkout_without_links / ".venv").exists(), "it ends before anything is installed"
