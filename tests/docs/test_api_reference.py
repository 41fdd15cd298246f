"""`docs/api` is what the docstrings of the public API say, and they say something about every name."""

import re
import subprocess
import sys
from pathlib import Path

import griffe
import pytest

import durable_rlm
from tests.e2e.program import CLEAN
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer
from tools.api_reference import FOLDER, PAGES, Reference, described, gaps, load, signature

SOURCE = '''
class Dog:
    """A dog."""

    legs: int = 4
    name: str
    """Its name."""
    _age: int

    def bark(self, *words: str, loud: bool = False) -> str: ...

    def sit(self) -> None:
        """Sit down."""
'''


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    return load()


def test_the_pages_are_what_the_docstrings_say(package: griffe.Module) -> None:
    committed = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    made = Reference(package).pages()
    assert set(committed) == set(made), "`make api` writes them"
    assert [name for name in made if committed[name] != made[name]] == [], "`make api` writes them"


def test_each_exported_name_is_on_one_page(package: griffe.Module) -> None:
    names = [name for _, listed in PAGES.values() for name in listed.split()]
    assert sorted(name for name in names if "." not in name) == sorted(durable_rlm.__all__)
    assert len({name.rpartition(".")[2] for name in names}) == len(names)


@pytest.mark.parametrize("name", [name for _, listed in PAGES.values() for name in listed.split()])
def test_nothing_public_is_without_a_description(package: griffe.Module, name: str) -> None:
    assert list(gaps(described(package, name))) == []


def test_a_missing_docstring_is_found() -> None:
    dog = griffe.visit("pets", filepath=Path("pets.py"), code=SOURCE)["Dog"]
    assert list(gaps(dog)) == ["pets.Dog.legs", "pets.Dog.bark"]
    assert signature(dog["bark"]) == "def bark(*words: str, loud: bool = False) -> str"


def test_links_to_names_lead_to_their_headings() -> None:
    pages = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    headings = {
        f"{name}#{re.sub(r'[^a-z0-9_-]', '', heading.lower().replace(' ', '-'))}"
        for name, text in pages.items()
        for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    links = {link for text in pages.values() for link in re.findall(r"\]\(([\w-]+\.md#[^)]*)\)", text)}
    assert len(links) > 50
    assert links - headings == set()


def test_the_example_runs(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```", (FOLDER / "README.md").read_text(), re.DOTALL | re.M)
    assert len([line for line in program.splitlines() if line]) <= 10
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "a.txt").write_text("It ends in May.")
    code = "FINAL(llm_query('When does it end? ' + context[0].text))"
    with ScriptedServer(lambda _: repl(code), lambda prompt: prompt.split()[-1]) as server:
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=CLEAN | {"RLM_BASE_URL": server.base_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"answered May\. 0\.\d+", first)
    assert second == "When does it end? It ends in May. → May."
