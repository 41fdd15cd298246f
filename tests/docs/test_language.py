"""The words of `docs/glossary.md` in docstrings, comments, test names, assertion messages and pages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = [
    *(
        "graph",
        "kernel",
        "matching",
        "nodes",
        "state",
        "studio",
        "tests/contract",
        "tests/docs",
        "tests/e2e",
        "tests/graph",
    ),
    *("tests/kernel", "tests/kill", "tests/nodes", "tests/sandbox", "tests/servers", "tests/state", "tests/studio"),
]
"""Folders whose prose is checked. Strings of code are data and are not checked, such as the patterns below."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"),
    *sorted((ROOT / "docs" / "api").glob("*.md")),
]
RIDDLES = re.compile(r"(What|Whether|How|Where|Who|Whoever|Whose|Which)\b", re.I)
"""First words of docstrings and test names that name no subject matter."""
NOT_USED = re.compile(
    r"\b(?i:heeds?|heeded|whoever|for want of|(goes|go|gone|going|went) on with|how it stands"
    r"|what came of (it|them)|sittings?|the desk|lanes?|told|seals?|sealed|onlookers?)\b"
    r"|(?<!here )\b(is|are) none\b"
)
"""The glossary's second table, as far as a pattern can tell."""
SAVED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^' ]*'")
"""Names of code, columns and keys keep their words."""


def docstrings(source: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of modules, classes and functions, and the strings under attributes, with their lines."""
    for node in ast.walk(ast.parse(source.read_text())):
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield child.lineno, text
                case _:
                    pass


def comments(source: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def sentences_of_test_names(source: Path) -> Iterator[tuple[int, str]]:
    """Yield the names of test functions as sentences, with their lines."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ")


def assertion_messages(source: Path) -> Iterator[tuple[int, str]]:
    """Yield the messages of assertions, with their lines."""
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.Assert(msg=ast.Constant(value=str(text))):
                yield node.lineno, text
            case _:
                pass


@pytest.mark.parametrize("part", CODE)
def test_a_docstring_and_a_test_name_begin_with_their_subject_matter(part: str) -> None:
    found = [
        f"{source.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for source in sorted((ROOT / part).rglob("*.py"))
        for line, text in [*docstrings(source), *sentences_of_test_names(source)]
        if RIDDLES.match(text.strip())
    ]
    assert found == []


@pytest.mark.parametrize("part", CODE)
def test_prose_in_code_uses_the_words_of_the_glossary(part: str) -> None:
    found = [
        f"{source.relative_to(ROOT)}:{line}: {hit.group()}"
        for source in sorted((ROOT / part).rglob("*.py"))
        for prose in (docstrings, comments, sentences_of_test_names, assertion_messages)
        for line, text in prose(source)
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
