"""The check of citations against the stored input: exactly the words of the document count, whatever a kernel says."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.results import PostedCitation
from durable_rlm.state.evidence import stored_texts
from durable_rlm.state.evidence.citations import citations_in, citations_text, faults_of
from durable_rlm.state.evidence.stored_texts import StoredText, StoredTexts
from tests.cited_input import cited, stored

LEASE = "Der Mieter zahlt 1.200 € – jeden Monat.\nDie Kaution beträgt drei Mieten.\n"
PLAIN = "The tenant pays 1200 a month.\nThe deposit is three rents.\n"
TEXTS = {"before.txt": "vörher 日本\n", "lease.txt": LEASE, "plain.txt": PLAIN}


def faults(folder: Path, *posted: PostedCitation, texts: dict[str, str] = TEXTS) -> list[str]:
    reference, blobs = stored(folder, dict(texts))
    return list(faults_of(posted, StoredTexts.of(reference, blobs, {one.document for one in posted})))


def test_words_of_a_document_are_found_where_they_stand(tmp_path: Path) -> None:
    found = faults(tmp_path, cited("lease.txt", LEASE, "1.200 € – jeden"), cited("plain.txt", PLAIN, "deposit", 2))
    assert found == ["", ""]


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        ({"quote": "1.300 € – jeden"}, "other words stand there"),
        ({"quote": "1.200 € - jeden"}, "other words stand there"),
        ({"quote": "1.200 €"}, "other words stand there"),
        ({"quote": ""}, "other words stand there"),
        ({"quote": "x" * 100_000}, "other words stand there"),
        ({"quote": "\ud800.200 € – jeden"}, "other words stand there"),
        ({"document": "plain.txt"}, "other words stand there"),
        ({"document": "Lease.txt"}, "no document has this name"),
        ({"document": ""}, "no document has this name"),
        ({"start": 10_000, "end": 10_015}, "the range lies outside of the document"),
        ({"end": 1 << 53}, "the range lies outside of the document"),
        ({"start": 0, "end": 0, "quote": ""}, "the range lies outside of the document"),
    ],
)
def test_a_citation_that_lies_is_not_verified(tmp_path: Path, lie: dict[str, object], fault: str) -> None:
    assert faults(tmp_path, replace(cited("lease.txt", LEASE, "1.200 € – jeden"), **lie)) == [fault]


def test_a_range_never_reaches_into_the_next_document(tmp_path: Path) -> None:
    quote = LEASE[-5:] + PLAIN[:5]
    start = len(LEASE) - 5
    posted = PostedCitation(1, "lease.txt", start, start + len(quote), quote, "exact")
    assert faults(tmp_path, posted) == ["the range lies outside of the document"]


def test_of_two_citations_with_one_number_only_the_first_counts(tmp_path: Path) -> None:
    first, second = cited("lease.txt", LEASE, "Kaution"), cited("plain.txt", PLAIN, "deposit")
    assert faults(tmp_path, first, second) == ["", "another citation has this number"]


def test_a_text_without_a_name_is_cited_by_an_empty_one(tmp_path: Path) -> None:
    posted = cited("", LEASE, "drei Mieten")
    assert faults(tmp_path, posted, replace(posted, id=2, document="x"), texts={"": LEASE}) == [
        *("", "no document has this name")
    ]


def test_an_input_that_is_the_question_alone_has_nothing_to_cite(tmp_path: Path) -> None:
    texts = StoredTexts.of(None, stored(tmp_path, TEXTS)[1], {"lease.txt"})
    assert faults_of([cited("lease.txt", LEASE, "Mieter")], texts) == ["no document has this name"]


@given(st.text("ab\né日𝄞", min_size=1, max_size=40), st.data())
def test_parts_are_those_of_the_text_in_whatever_pieces_it_is_read(text: str, data: st.DataObject) -> None:
    offsets = st.integers(0, len(text))
    ranges = [(min(pair), max(pair)) for pair in data.draw(st.lists(st.tuples(offsets, offsets), max_size=6))]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "pack"
        path.write_bytes(f"é{text}日".encode())
        patch.setattr(stored_texts, "_PIECE", data.draw(st.integers(1, 9)))
        texts = StoredTexts(path, {"t": StoredText(2, 2 + len(text.encode()), len(text))})
        assert texts.parts("t", ranges) == [text[start:end] for start, end in ranges]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"id": 1}]', "[" * 100_000, "no JSON"])
def test_a_damaged_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        citations_in(text)


def test_a_stored_list_is_read_back_with_words_that_cannot_be_stored_otherwise() -> None:
    one = {key: None for key in ("line", "column", "page")} | {"id": 1, "document": "d", "start": 0, "end": 1}
    one |= {"place": "", "quote": "\ud800", "how": "exact", "verified": False}
    assert json.loads(citations_text([one])) == citations_in(citations_text([one])) == [one]  # pyright: ignore[reportArgumentType]
