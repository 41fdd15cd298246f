"""Uses of documents for what they are not: they work all the same, or raise errors that say what to write."""

import json
import re
from pathlib import Path

import pytest

from durable_rlm.kernel.inside.context import Documents
from durable_rlm.kernel.inside.wrong_uses import explanation, near
from tests.kernel.documents import draft_of, packed


@pytest.fixture
def docs(tmp_path: Path) -> Documents:
    names = ("src/app.py", "src/main.py", "README.md")
    return Documents(*packed(tmp_path, [draft_of(f"text of {name}: a lease", name=name) for name in names]))


def test_in_and_count_look_into_the_texts_and_a_name_is_in_the_documents_too(docs: Documents) -> None:
    assert "a lease" in docs
    assert "README.md" in docs
    assert "a loan" not in docs
    assert docs.count("a lease") == 3
    assert docs.count(docs[0]) == 1


def test_a_slice_that_must_be_of_characters_says_what_to_write(docs: Documents) -> None:
    with pytest.raises(IndexError, match=r"str\(context\)\[0:1000\]"):
        docs[:1000]
    assert len(docs[0:100]) == 3, "a loop in steps of a hundred documents goes past the end"
    assert len(docs[:]) == 3


@pytest.mark.parametrize("name", ["splitlines", "find", "lower"])
def test_a_method_of_str_on_documents_says_what_to_write(docs: Documents, name: str) -> None:
    with pytest.raises(AttributeError, match=rf"context\[0\]\.{name}\(…\).*str\(context\)\.{name}"):
        getattr(docs, name)
    with pytest.raises(AttributeError, match=r"but no [.]texts"):
        _ = docs.texts


@pytest.mark.parametrize(
    ("asked", "near_one"), [("app.py", "src/app.py"), ("lib/MAIN.py", "src/main.py"), ("READNE.md", "README.md")]
)
def test_an_unknown_document_suggests_near_names(docs: Documents, asked: str, near_one: str) -> None:
    with pytest.raises(KeyError, match=f"did you mean '{near_one}'"):
        docs[asked]


def test_functions_that_take_a_str_say_so_of_documents(docs: Documents) -> None:
    with pytest.raises(TypeError) as of_re:
        re.findall("lease", docs[0])  # type: ignore[arg-type]
    assert explanation(of_re.value, []) == "`re`, `json` and others take a str: write document.text."
    with pytest.raises(TypeError) as of_json:
        json.loads(docs)  # type: ignore[arg-type]
    assert "str(context)" in explanation(of_json.value, [])
    assert explanation(TypeError("expected a number"), []) == ""


def test_a_text_that_is_no_document_says_what_works_on_it() -> None:
    with pytest.raises(AttributeError) as of_str:
        "a text".search("words")  # type: ignore[attr-defined]
    assert "a plain text has not: use `re`" in explanation(of_str.value, [])
    with pytest.raises(AttributeError) as other:
        "a text".upperr()  # type: ignore[attr-defined]
    assert explanation(other.value, []) == ""


def test_an_unknown_name_suggests_near_ones() -> None:
    error = NameError("name 'llm_querry' is not defined", name="llm_querry")
    assert explanation(error, ["llm_query", "context"]) == "Did you mean 'llm_query'?"
    assert explanation(error, ["context"]) == ""


def test_errors_that_fight_back_explain_nothing() -> None:
    class Hostile(NameError):
        @property
        def name(self) -> str:  # type: ignore[override]
            raise RuntimeError

    assert explanation(Hostile(), ["x"]) == ""
    assert near("x" * 10_000_000, ["y" * 10_000_000]) == ""
