"""The input as a content-addressed context: the same texts, at true offsets, in bounded memory."""

import io
import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.inside.context import Documents, load_text
from durable_rlm.nodes.input.ingest import ReadSoFar, ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.source import IngestStopped, from_text, from_texts
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import InputError, StoredDataDamaged
from durable_rlm.state.input.context import ContextRef, context_files, no_context
from durable_rlm.state.input.index import document_lines, entry_of
from tests.contract.in_process_extractor import InProcessExtractor
from tests.nodes.input.readers.word_files import docx, p

Tree = Callable[[dict[str, str | bytes]], Path]


def pack_of(ref: ContextRef, blobs: Blobs) -> bytes:
    return blobs.read(ref["pack"])


def index_of(ref: ContextRef, blobs: Blobs) -> list[dict[str, Any]]:
    return [dict(entry_of(line)) for line in document_lines(blobs.read(ref["index"]))]


def stored(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


# --- the reference


def test_one_file_is_a_text_with_its_name_in_an_index(tree: Tree, blobs: Blobs) -> None:
    ref = ingest(expand([tree({"a.txt": "naïve\r\n\t"}) / "a.txt"]), blobs, InProcessExtractor())
    assert ref == {
        "kind": "text",
        "pack": ref["pack"],
        "index": ref["index"],
        "content": ref.get("content"),
        "documents": 1,
        "chars": 8,
        "bytes": 9,
        "names": ["given/a.txt"],
        "preview": "naïve\r\n\t",
        "notes": [],
    }
    assert pack_of(ref, blobs) == "naïve\r\n\t".encode()
    assert context_files(ref, blobs) == (blobs.path(ref["pack"]), blobs.path(ref["index"]), 0, 9)
    assert [entry["name"] for entry in index_of(ref, blobs)] == ["given/a.txt"]


def test_a_folder_is_documents_even_with_one_file(tree: Tree, blobs: Blobs) -> None:
    ref = ingest(expand([tree({"a.txt": "text"})]), blobs, InProcessExtractor())
    assert (ref["kind"], ref["documents"]) == ("documents", 1)
    assert index_of(ref, blobs) == [
        {"name": "given/a.txt", "start": 0, "end": 4, "chars": 4, "meta": index_of(ref, blobs)[0]["meta"]}
    ]


def test_several_files_and_standard_input_are_documents(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a": "ä", "b": "", "c": "c"})
    ref = ingest(
        expand([root / "a", "-", root / "b", root / "c"], stdin=io.BytesIO(b"piped")), blobs, InProcessExtractor()
    )
    assert ref["kind"] == "documents"
    assert ref["names"] == ["given/a", "stdin", "given/c"]
    assert pack_of(ref, blobs) == "äpipedc".encode()
    assert [(entry["start"], entry["end"], entry["chars"]) for entry in index_of(ref, blobs)] == [
        (0, 2, 1),
        (2, 7, 5),
        (7, 8, 1),
    ]


def test_standard_input_and_given_text_alone_are_one_text(blobs: Blobs) -> None:
    piped = ingest(expand(["-"], stdin=io.BytesIO(b"x" * 3_000_000)), blobs, InProcessExtractor())
    assert (piped["kind"], piped["chars"], piped["names"]) == ("text", 3_000_000, ["stdin"])
    assert ingest(from_text("hello"), blobs, InProcessExtractor())["kind"] == "text"
    assert ingest(from_texts([("one", "hello")]), blobs, InProcessExtractor())["kind"] == "documents"


def test_the_reference_is_small_plain_json(tree: Tree, blobs: Blobs) -> None:
    root = tree({f"{number:03}.txt": "word " * 1000 for number in range(100)} | {f"{n}.bin": b"\0" for n in range(100)})
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    assert json.loads(json.dumps(ref)) == ref
    assert len(ref["names"]) == 20
    assert len(ref["preview"]) < 700
    assert ref["preview"].startswith("--- given/000.txt\nword word")
    assert ref["notes"] == [
        "skipped (a binary file): given/0.bin, given/1.bin, given/10.bin, given/11.bin, given/12.bin and 95 more"
    ]


def test_a_reference_has_at_most_twenty_notes_and_the_number_of_the_rest(blobs: Blobs) -> None:
    sources = from_text("x")
    for number in range(30):
        sources.notes.add(f"reason {number}", "name")
    notes = ingest(sources, blobs, InProcessExtractor())["notes"]
    assert len(notes) == 20
    assert notes[-1] == "and 11 more notes"


def test_the_same_input_has_the_same_address(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a": "1", "b": "2"})
    assert ingest(expand([root]), blobs, InProcessExtractor()) == ingest(expand([root]), blobs, InProcessExtractor())
    assert len(stored(blobs)) == 2


def test_a_missing_input_has_a_reference_too() -> None:
    assert no_context()["kind"] == "none"


def test_documents_with_the_same_name_are_numbered(blobs: Blobs) -> None:
    ref = ingest(from_texts([("a", "1"), ("a", "2"), ("a (2)", "3")]), blobs, InProcessExtractor())
    assert ref["names"] == ["a", "a (2)", "a (2) (2)"]


def test_lone_surrogates_in_given_text_become_replacement_characters(blobs: Blobs) -> None:
    ref = ingest(from_text("a\ud800b\udfff😀"), blobs, InProcessExtractor())
    assert pack_of(ref, blobs).decode() == "a\ufffdb\ufffd😀"
    assert ref["chars"] == 5
    assert "no valid Unicode" in ref["notes"][0]


def test_the_index_contains_the_metadata_of_documents(tree: Tree, blobs: Blobs) -> None:
    ref = ingest(expand([tree({"a.eml": "Subject: Hi\n\nBody\n", "b.txt": "b"})]), blobs, InProcessExtractor())
    assert index_of(ref, blobs)[0]["meta"]["subject"] == "Hi"


# --- progress and stopping


def test_progress_is_reported_at_most_ten_times_a_second_and_at_the_end(blobs: Blobs) -> None:
    reports: list[tuple[int, int, str]] = []
    now = [0.0]

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    texts = [(f"{number}", "x") for number in range(1000)]
    ingest(
        from_texts(texts),
        blobs,
        InProcessExtractor(),
        progress=lambda so_far: reports.append((so_far.documents, so_far.bytes, so_far.name)),
        clock=clock,
    )
    assert reports[-1] == (1000, 1000, "999")
    assert 150 <= len(reports) <= now[0] / 0.1 + 2
    assert reports == sorted(reports)


def test_progress_is_reported_within_a_large_file(blobs: Blobs) -> None:
    reports: list[int] = []
    now = iter(range(1000))
    ingest(
        expand(["-"], stdin=io.BytesIO(b"x" * (8 << 20))),
        blobs,
        InProcessExtractor(),
        progress=lambda so_far: reports.append(so_far.bytes),
        clock=lambda: next(now),
    )
    assert reports[:8] == [size << 20 for size in range(1, 9)]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_reading_stops_within_a_file_and_stores_nothing(blobs: Blobs, after: int) -> None:
    asked = iter(range(100))
    with pytest.raises(IngestStopped):
        ingest(
            expand(["-"], stdin=io.BytesIO(b"x" * (8 << 20))),
            blobs,
            InProcessExtractor(),
            cancelled=lambda: next(asked) >= after,
        )
    assert stored(blobs) == []


# --- inputs of kernels


def test_a_missing_or_shortened_input_is_reported_as_damage(blobs: Blobs) -> None:
    ref = ingest(from_texts([("a", "text"), ("b", "more")]), blobs, InProcessExtractor())
    pack, index, *_ = context_files(ref, blobs)
    assert index
    pack.write_bytes(b"texx")
    with pytest.raises(StoredDataDamaged):
        context_files(ref, blobs)
    index.unlink()
    with pytest.raises(StoredDataDamaged):
        context_files(ref, blobs)
    with pytest.raises(ValueError, match="blob name"):
        context_files(no_context(), blobs)


@pytest.mark.parametrize("part", ["pack", "index"])
def test_an_input_with_changed_bytes_is_not_given_to_a_kernel(tmp_path: Path, part: str) -> None:
    for name in "ab":
        (tmp_path / name).write_text(f"document {name}")
    ref = ingest(expand([tmp_path / "a", tmp_path / "b"]), Blobs(tmp_path / "blobs"), InProcessExtractor())
    path = Blobs(tmp_path / "blobs").path(ref["pack"] if part == "pack" else ref["index"])
    path.write_bytes(path.read_bytes()[:-2] + b"? ")
    with pytest.raises(StoredDataDamaged, match="has changed on disk"):
        context_files(ref, Blobs(tmp_path / "blobs"))


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=3), texts), min_size=1, max_size=6))
def test_any_documents_come_back_unchanged(given_texts: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blobs = Blobs(Path(folder))
        if not any(text for _, text in given_texts):
            with pytest.raises(InputError):
                ingest(from_texts(given_texts), blobs, InProcessExtractor())
            return
        ref = ingest(from_texts(given_texts), blobs, InProcessExtractor())
        pack, index, *_ = context_files(ref, blobs)
        documents = Documents(str(pack), str(index))
        assert [document.text for document in documents] == [text for _, text in given_texts]
        assert [len(document) for document in documents] == [len(text) for _, text in given_texts]
        assert len(set(documents.names)) == len(given_texts)
        assert all(documents[name].name == name for name in documents.names)
        assert ref["chars"] == documents.total_chars == sum(len(text) for _, text in given_texts)
        assert ref["bytes"] == pack.stat().st_size


@given(texts.filter(bool))
def test_any_single_text_comes_back_unchanged(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blobs = Blobs(Path(folder))
        pack, *_ = context_files(ingest(from_text(text), blobs, InProcessExtractor()), blobs)
        assert load_text(str(pack)) == text


@pytest.mark.parametrize("line", ["plain text, line after line\n", "größer – 日本語\n"])
def test_memory_stays_bounded(tree: Tree, blobs: Blobs, line: str) -> None:
    root = tree({})
    block = line.encode() * ((1 << 20) // len(line.encode()))
    with (root / "large.txt").open("wb") as file:
        for _ in range(64):
            file.write(block)
    tracemalloc.start()
    try:
        ref = ingest(expand([root / "large.txt"]), blobs, InProcessExtractor())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ref["bytes"] == 64 * len(block)
    assert peak < 16 << 20


def test_the_time_of_a_file_is_not_that_which_its_document_says(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.docx": docx(p("Words."), properties={"modified": "2001-02-03T04:05:06Z"})})
    os.utime(root / "a.docx", (1_700_000_000, 1_700_000_000))
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    assert index_of(ref, blobs)[0]["meta"]["modified"] == "2023-11-14T22:13:20+00:00"


def test_the_rest_of_the_reading_is_estimated_once_two_seconds_are_over(tree: Tree, blobs: Blobs) -> None:
    root = tree({f"{number}.txt": "x" * 100 for number in range(10)})
    reports: list[ReadSoFar] = []
    now = iter(range(1000))
    ingest(expand([root]), blobs, InProcessExtractor(), progress=reports.append, clock=lambda: float(next(now)))
    assert [one.seconds_left for one in reports[:2]] == [None, None]
    estimated = [one.seconds_left for one in reports if one.seconds_left is not None]
    assert estimated[0] > estimated[-1] > 0
    assert (reports[-1].files, reports[-1].of_files) == (10, 10)
