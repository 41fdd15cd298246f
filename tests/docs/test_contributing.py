"""CONTRIBUTING names files that exist, and things that are where it says they are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "tests/README.md")]
PLACE = re.compile(r"`((?:graph|nodes|state|kernel|studio|tests|bench|docs|tools)/[\w./-]+)`")
PLACED = re.compile(r"`([\w.]+)` \(`([\w/]+\.py)`")
ROW = re.compile(r"^\| (?P<what>.+?) \| `(?P<file>[\w/]+\.py)` \| (?P<names>.+) \|$", re.M)


def defined(file: Path) -> set[str]:
    """Names that a module defines: classes, functions, variables, and methods behind their class."""
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
    names = [name for name in PLACE.findall(page.read_text()) if "NAME" not in name]
    assert [name for name in names if not (ROOT / name).exists() and not (page.parent / name).exists()] == []


def test_what_is_looked_for_is_where_the_table_says() -> None:
    rows = list(ROW.finditer((ROOT / "CONTRIBUTING.md").read_text()))
    assert len(rows) == 20
    for row in rows:
        [first] = re.findall(r"^`([\w.]+)`", row["names"])
        assert first in defined(ROOT / row["file"]), row["what"]


def test_a_name_with_a_file_behind_it_is_defined_there() -> None:
    placed = PLACED.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(placed) > 20
    assert [(name, file) for name, file in placed if name not in defined(ROOT / file)] == []
