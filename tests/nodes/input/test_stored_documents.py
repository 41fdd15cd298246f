"""Documents of a stored input as a page lists them: in the order of their texts, without reading these."""

from pathlib import Path

import pytest

from durable_rlm.nodes.input.stored_documents import StoredInput
from durable_rlm.state.errors import StoredDataDamaged
from tests.cited_input import stored
from tests.kernel.documents import draft_of


def test_documents_have_their_facts(tmp_path: Path) -> None:
    draft = draft_of("größe\n", kind="PDF", name="a.pdf", pages=3, losses=["3 charts not shown"])
    found = StoredInput(*stored(tmp_path, {"a.pdf": draft, "b/c.txt": "x"}))
    first, second = found.documents
    assert (first.number, first.name, first.kind, first.pages, first.losses) == (
        *(0, "a.pdf", "PDF", 3),
        ("3 charts not shown",),
    )
    assert (first.size, first.chars, second.number, second.start) == (8, 6, 1, first.end)
    assert found.open(first).text == "größe\n"
    assert found.get("b/c.txt") == second
    assert found.get("c.txt") is None


def test_a_text_without_a_name_is_one_document(tmp_path: Path) -> None:
    found = StoredInput(*stored(tmp_path, {"": "some text"}))
    assert [(one.name, one.size, found.open(one).text) for one in found.documents] == [("", 9, "some text")]


def test_names_like_a_wrong_one_are_found_first_those_that_end_with_it(tmp_path: Path) -> None:
    found = StoredInput(*stored(tmp_path, {"x/lease.txt": "", "y/lease.txt": "", "z/least.txt": ""}))
    assert found.close_to("lease.txt") == ["x/lease.txt", "y/lease.txt"]
    assert found.close_to("z/laest.txt")[0] == "z/least.txt"
    assert found.close_to("q" * 100_000) == []


def test_an_input_that_is_gone_or_cut_is_damaged(tmp_path: Path) -> None:
    reference, blobs = stored(tmp_path, {"a": "text", "b": "text"})
    found = StoredInput(reference, blobs)
    blobs.path(reference["pack"]).write_bytes(b"text")
    _, second = found.documents
    with pytest.raises(StoredDataDamaged, match="cannot be read"):
        found.open(second)
    blobs.path(reference["index"]).unlink()
    with pytest.raises(StoredDataDamaged):
        StoredInput(reference, blobs)
