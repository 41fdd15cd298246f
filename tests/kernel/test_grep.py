"""`grep`: lines in which an expression is found, with their places, in one document or many."""

import copy
import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside import grep as greps
from durable_rlm.kernel.inside.context import Documents
from tests.kernel.documents import document, draft_of, packed, text_document

TEXTS = {
    "src/a.py": "import os\r\ngrün = 1\r\n\r\nprint(grün)\r\n",
    "src/deep/b.py": "x = 1\ny = x\n",
    "old.txt": "one\rtwo x\rthree",
    "empty": "",
}


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    return Documents(*packed(tmp_path, [draft_of(text, name=name) for name, text in TEXTS.items()]))


def plainly(pattern: str, flags: int = 0) -> list[tuple[str, int, str]]:
    """Return the lines that `grep` has to find."""
    found: list[tuple[str, int, str]] = []
    for name, text in TEXTS.items():
        for number, whole in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
            if re.search(pattern, whole.removesuffix("\r"), flags):
                found.append((name, number, whole.removesuffix("\r")))
    return found


@pytest.mark.parametrize("pattern", ["x", "grün", "^$", "", "=", "1$", "^x|o", "(?i)ONE", "three", "import os", "none"])
def test_every_line_in_which_the_expression_is_found_is_a_tuple_with_its_place(
    documents: Documents, pattern: str
) -> None:
    found = list(documents.grep(pattern))
    assert found == plainly(pattern)
    for one in found:
        assert one.document[one.start : one.end] == one.line == one[2]
        assert (one.name, one.number, one.document.name) == (one[0], one[1], one[0])
        assert one.before == one.after == []


def test_a_pattern_that_means_itself_is_found_in_the_same_lines_as_an_expression(documents: Documents) -> None:
    for pattern in ("x", "grün", "o", " = ", "rt"):
        assert greps._PLAIN.fullmatch(pattern)
        as_expression = list(documents.grep(f"(?:{pattern})", context=1))
        found = list(documents.grep(pattern, context=1))
        assert found == as_expression
        assert [vars(one) for one in found] == [vars(one) for one in as_expression]


def test_lines_around_a_line_are_given_without_their_ends(documents: Documents) -> None:
    [line] = documents.grep("grün =", context=2)
    assert (line.before, line.after) == (["import os"], ["", "print(grün)"])
    [line] = documents.grep("two", context=1)
    assert (line.before, line.after) == (["one"], ["three"])


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("*.py", ["src/a.py", "src/deep/b.py"]),
        ("a.*", ["src/a.py"]),
        ("src/*/b.py", ["src/deep/b.py"]),
        ("**/b.py", ["src/deep/b.py"]),
        ("src/a.py", ["src/a.py"]),
        (["old.txt", "a.py*"], ["src/a.py", "old.txt"]),
        ("*.md", []),
    ],
)
def test_files_are_chosen_by_name_and_pattern(documents: Documents, files: Any, names: list[str]) -> None:
    found = [line.name for line in documents.grep("[ep]", files=files)] + [
        line.name for line in documents.grep("x =", files=files)
    ]
    assert list(dict.fromkeys(found)) == [name for name in names if name in found]
    assert {line.name for line in documents.grep("", files=files)} == set(names)


def test_documents_are_files_too_and_an_unknown_name_is_an_error_at_once(documents: Documents) -> None:
    assert [line.name for line in documents.grep("three", files=[documents[2]])] == ["old.txt"]
    with pytest.raises(KeyError, match=r"no document is named 'a\.py'"):
        documents.grep("x", files="a.py")
    with pytest.raises(re.error):
        documents.grep("(")


def test_lines_are_found_as_they_are_asked_for_and_at_most_so_many(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(list(documents.grep("", limit=3))) == 3
    monkeypatch.setattr(Documents, "__iter__", _one_then_fail)
    assert [line[2] for line in islice(documents.grep("os"), 1)] == ["import os"]


def _one_then_fail(documents: Documents) -> Any:
    yield documents[0]
    raise AssertionError("another document was read")


def test_one_document_and_one_text_are_searched_alike(tmp_path: Path) -> None:
    draft = draft_of("grün\nzwei\n", name="a.md")
    for one in (document(tmp_path / "many", draft), text_document(tmp_path / "one", draft)):
        [line] = one.grep("zwei", context=1)
        assert (line, line.start, line.end, line.before) == (("a.md", 2, "zwei"), 5, 9, ["grün"])
        assert str(line) == "a.md line 2: zwei" and line.document == one


def test_a_copy_of_a_line_has_its_place(documents: Documents) -> None:
    [line] = documents.grep("two", context=1)
    again = copy.copy(line)
    assert again == line and vars(again) == vars(line) and type(again) is greps.Line
