"""Docstrings, comments and pages are in the words of `docs/glossary.md`."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for part in ("graph", "kernel", "nodes", "state", "studio") for path in (ROOT / part).rglob("*.py")
)
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"),
]
RIDDLES = re.compile(r"(What|Whether|How|Where|Who|Whoever|Whose|Which)\b")
"""First words of docstrings that name no subject matter."""
NOT_USED = re.compile(
    r"\b(?i:heeds?|heeded|whoever|for want of|(goes|go|gone|going|went) on with|how it stands"
    r"|what came of (it|them)|sittings?|the desk|lanes?|told|seals?|sealed|onlookers?)\b"
    r"|(?<!here )\b(is|are) none\b"
)
"""The glossary's second table, as far as a pattern can tell."""
SAVED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^' ]*'")
"""Names of code, columns and keys keep their words."""


def docstrings(source: Path) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and the strings under attributes, with their lines."""
    for node in ast.walk(ast.parse(source.read_text())):
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield child.lineno, text
                case _:
                    pass


def comments(source: Path) -> Iterator[tuple[int, str]]:
    """Comments with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("part", ["graph", "kernel", "nodes", "state", "studio"])
def test_a_docstring_names_its_subject_matter_first(part: str) -> None:
    sources = [source for source in SOURCES if source.relative_to(ROOT).parts[0] == part]
    found = [
        f"{source.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for source in sources
        for line, text in docstrings(source)
        if RIDDLES.match(text.strip())
    ]
    assert found == []


@pytest.mark.parametrize("part", ["graph", "kernel", "nodes", "state", "studio"])
def test_prose_in_code_uses_the_words_of_the_glossary(part: str) -> None:
    sources = [source for source in SOURCES if source.relative_to(ROOT).parts[0] == part]
    found = [
        f"{source.relative_to(ROOT)}:{line}: {hit.group()}"
        for source in sources
        for line, text in [*docstrings(source), *comments(source)]
        if (hit := NOT_USED.search(SAVED.sub("", text)))
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_the_words_of_the_glossary(page: Path) -> None:
    text = re.sub(r"```.*?```", lambda block: "\n" * block.group().count("\n"), page.read_text(), flags=re.S)
    lines = enumerate(text.splitlines(), 1)
    assert [
        f"{page.name}:{n}: {hit.group()}" for n, line in lines if (hit := NOT_USED.search(SAVED.sub("", line)))
    ] == []
