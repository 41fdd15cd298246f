"""Files and names in pages for contributors: the files exist, and define what the pages say they define."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "tests/README.md")]
PATH = re.compile(r"`((?:graph|nodes|state|kernel|studio|tests|bench|docs|tools)/[\w./-]+)`")
NAME_AND_PATH = re.compile(r"`([\w.]+)` \(`([\w/]+\.py)`")
ROW = re.compile(r"^\| (?P<subject>.+?) \| `(?P<file>[\w/]+\.py)` \| (?P<names>.+) \|$", re.M)


def defined(file: Path) -> set[str]:
    """Return the names that a module defines: classes, functions, variables; methods and fields as `Class.name`."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                found |= {
                    name,
                    *(f"{name}.{one.name}" for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)),
                }
                found |= {
                    f"{name}.{one.target.id}"
                    for one in body
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                }
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
            case _:
                pass
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    names = [name for name in PATH.findall(page.read_text()) if "NAME" not in name]
    assert [name for name in names if not (ROOT / name).exists() and not (page.parent / name).exists()] == []


def test_each_row_of_the_table_of_places_names_the_file_that_defines_its_name() -> None:
    rows = list(ROW.finditer((ROOT / "CONTRIBUTING.md").read_text()))
    assert len(rows) == 21
    for row in rows:
        [first] = re.findall(r"^`([\w.]+)`", row["names"])
        assert first in defined(ROOT / row["file"]), row["subject"]


def test_a_name_followed_by_a_file_is_defined_in_that_file() -> None:
    pairs = NAME_AND_PATH.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(pairs) > 20
    assert [(name, file) for name, file in pairs if name not in defined(ROOT / file)] == []
