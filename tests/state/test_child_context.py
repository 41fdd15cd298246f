"""The input of a sub-RLM: stored by reference, taken from the caller's own input, named by its content."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from durable_rlm.kernel.inside.context import Documents, load_text
from durable_rlm.kernel.inside.context_text import open_text
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.source import from_text, from_texts
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.call_keys import digest
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.input.child_context import HandedBadly, PostedContext, PostedPart, context_digest, hand_over
from durable_rlm.state.input.context import ContextRef, context_files, no_context
from durable_rlm.state.input.index import DocumentEntry, document_line, document_lines, entry_of
from durable_rlm.state.maintenance.references import references_in
from tests.contract.in_process_extractor import InProcessExtractor

TEXT = "größer – 日本語 𝄞 and plain\n" * 200
TEXTS = [("a", "first"), ("b", "zwei – grün!"), ("c", "third"), ("d", "")]
PLACES = {"a": (0, 5), "b": (5, 20), "c": (20, 25), "d": (25, 25)}
OWN = PostedContext("own")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def text(blobs: Blobs) -> ContextRef:
    return ingest(from_text(TEXT), blobs, InProcessExtractor())


@pytest.fixture
def documents(blobs: Blobs) -> ContextRef:
    return ingest(from_texts(TEXTS), blobs, InProcessExtractor())


def a_range(start: int, end: int, name: str = "") -> PostedContext:
    return PostedContext("text", (PostedPart(name, None, start, end),))


def a_text(text: str) -> PostedContext:
    return PostedContext("text", (PostedPart(text=text),))


def some(*parts: str | PostedPart) -> PostedContext:
    """Return a posted context of the caller's documents by name, or of given parts."""
    return PostedContext(
        "documents", tuple(PostedPart(p, None, *PLACES[p]) if isinstance(p, str) else p for p in parts)
    )


def seen(ref: ContextRef, blobs: Blobs) -> Any:
    """Return the context in a kernel that is given `ref`."""
    if ref["kind"] == "none":
        return ""
    pack, index, start, end = context_files(ref, blobs)
    if index is None:
        return load_text(str(pack), start, end)
    if ref["kind"] == "text":
        return open_text(str(pack), str(index), start, end)
    return [(document.name, document.text) for document in Documents(str(pack), str(index))]


def stored(blobs: Blobs) -> dict[str, int]:
    return {name: facts.st_size for name, facts in blobs.stored()}


# --- by reference


def test_a_range_of_the_text_stores_nothing(text: ContextRef, blobs: Blobs) -> None:
    before = stored(blobs)
    start = len(TEXT[:1_000].encode())
    end = start + len(TEXT[1_000:3_000].encode())
    ref = hand_over(a_range(start, end), text, blobs)
    assert stored(blobs) == before
    assert seen(ref, blobs) == TEXT[1_000:3_000]
    assert ref == {
        "kind": "text",
        "pack": text["pack"],
        "index": "",
        "documents": 1,
        "chars": 2_000,
        "bytes": end - start,
        "names": [],
        "preview": TEXT[1_000:1_500],
        "notes": [],
        "start": start,
        "end": end,
        "digest": ref.get("digest"),
    }


def test_documents_of_the_input_store_only_an_index(documents: ContextRef, blobs: Blobs) -> None:
    before = stored(blobs)
    ref = hand_over(some("c", "b"), documents, blobs)
    assert stored(blobs).keys() - before.keys() == {ref["index"]}
    assert (ref["kind"], ref["pack"], ref["documents"]) == ("documents", documents["pack"], 2)
    assert (ref["chars"], ref["bytes"], ref["names"]) == (17, 20, ["c", "b"])
    assert ref["preview"] == "--- c\nthird\n\n--- b\nzwei – grün!"
    assert seen(ref, blobs) == [("c", "third"), ("b", "zwei – grün!")]


def test_a_document_as_a_text_keeps_its_name(documents: ContextRef, blobs: Blobs) -> None:
    ref = hand_over(a_range(5, 20, "b"), documents, blobs)
    assert (seen(ref, blobs), ref["kind"], ref["names"]) == ("zwei – grün!", "text", ["b"])


def test_a_new_text_is_written_once(text: ContextRef, blobs: Blobs) -> None:
    before = stored(blobs)
    refs = [hand_over(a_text("ganz neu\ud800"), text, blobs) for _ in range(2)]
    assert refs[0] == refs[1]
    new = stored(blobs).keys() - before.keys()
    assert {stored(blobs)[name] for name in new} == {11}
    assert (seen(refs[0], blobs), refs[0]["chars"], refs[0]["bytes"]) == ("ganz neu\ufffd", 9, 11)


def test_new_texts_among_documents_are_stored_in_one_new_pack(documents: ContextRef, blobs: Blobs) -> None:
    before = stored(blobs)
    ref = hand_over(some("b", PostedPart("b", "neü", meta={"page": 1}), PostedPart("e", "")), documents, blobs)
    assert stored(blobs).keys() - before.keys() == {ref["pack"], ref["index"]}
    assert seen(ref, blobs) == [("b", "zwei – grün!"), ("b (2)", "neü"), ("e", "")]
    lines = [entry_of(line) for line in document_lines(blobs.read(ref["index"]))]
    assert lines[1] == {"name": "b (2)", "start": 15, "end": 19, "chars": 3, "meta": {"page": 1}}


def test_the_whole_input_keeps_the_callers_reference(text: ContextRef, documents: ContextRef, blobs: Blobs) -> None:
    assert hand_over(OWN, documents, blobs) == documents
    assert hand_over(a_range(0, text["bytes"]), text, blobs) == text
    part = hand_over(a_range(2, 300), text, blobs)
    assert hand_over(a_range(2, 300), part, blobs) == part


@pytest.mark.parametrize(
    "posted",
    [OWN, a_text(""), PostedContext("documents"), PostedContext("documents", (PostedPart("1", ""),))],
)
def test_an_empty_text_and_no_documents_are_no_input(posted: PostedContext, blobs: Blobs) -> None:
    assert hand_over(posted, None, blobs) == no_context()
    assert list(blobs.stored()) == []


def test_empty_ranges_are_no_input(documents: ContextRef, blobs: Blobs) -> None:
    assert hand_over(a_range(25, 25), documents, blobs) == no_context()
    assert hand_over(some("d", "d"), documents, blobs) == no_context()


def test_ten_thousand_documents_with_the_same_name_get_different_names(blobs: Blobs) -> None:
    text = ingest(from_text("x" * 10_000), blobs, InProcessExtractor())
    parts = tuple(PostedPart("same", None, at, at + 1) for at in range(10_000))
    ref = hand_over(PostedContext("documents", parts), text, blobs)
    assert ref["names"][:3] == ["same", "same (2)", "same (3)"]
    assert len(set(Documents(*map(str, context_files(ref, blobs)[:2])).names)) == 10_000


# --- ranges of the caller's own input, in whole characters


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (0, len(TEXT.encode()) + 1, "outside the input"),
        (1 << 50, 1 << 50, "outside the input"),
        (4, 3, "outside the input"),
        (3, 10, "middle of a character"),
        (0, 3, "middle of a character"),
    ],
)
def test_a_range_outside_the_text_or_within_a_character_is_refused(
    text: ContextRef, blobs: Blobs, start: int, end: int, says: str
) -> None:
    for posted in (a_range(start, end), PostedContext("documents", (PostedPart("x", None, start, end),))):
        with pytest.raises(HandedBadly, match=says):
            hand_over(posted, text, blobs)


def test_a_run_without_an_input_has_no_ranges_to_pass_on(blobs: Blobs) -> None:
    for caller in (None, no_context()):
        with pytest.raises(HandedBadly, match="this run has none"):
            hand_over(a_range(0, 1), caller, blobs)


@pytest.mark.parametrize(
    ("handed", "own", "foreign"),
    [
        (lambda: a_range(2, 20, "x"), [(2, 20), (5, 16)], [(0, 20), (2, 22), (20, 25), (0, 1)]),
        (lambda: some("b", "d"), [(5, 20), (9, 20), (25, 25)], [(4, 20), (5, 22), (20, 25), (0, 5)]),
        (lambda: some("c", "b"), [(5, 25), (9, 21)], [(4, 25), (0, 1)]),
        (lambda: some("b", PostedPart("new", "text")), [(0, 15), (0, 19), (15, 19)], [(0, 20), (19, 20)]),
    ],
)
def test_a_sub_rlm_cannot_pass_on_more_than_it_was_given(
    documents: ContextRef,
    blobs: Blobs,
    handed: Callable[[], PostedContext],
    own: list[tuple[int, int]],
    foreign: list[tuple[int, int]],
) -> None:
    child = hand_over(handed(), documents, blobs)
    for start, end in own:
        ref = hand_over(a_range(start, end, "it"), child, blobs)
        assert seen(ref, blobs).encode() == blobs.read(child["pack"])[start:end] or start == end
    for start, end in foreign:
        with pytest.raises(HandedBadly, match="'it' of the context lies outside"):
            hand_over(a_range(start, end, "it"), child, blobs)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), st.integers(0, 99), st.integers(0, 99)
)
def test_a_range_is_accepted_if_and_only_if_it_is_text(text: str, start: int, end: int) -> None:
    data = text.encode()
    edges = [len(text[:at].encode()) for at in range(len(text) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        blobs = Blobs(Path(folder))
        caller = ingest(from_text(text), blobs, InProcessExtractor())
        if start > end or start not in edges or end not in edges:
            with pytest.raises(HandedBadly):
                hand_over(a_range(start, end, "name"), caller, blobs)
            return
        ref = hand_over(a_range(start, end, "name"), caller, blobs)
        assert seen(ref, blobs) == data[start:end].decode()
        assert ref["chars"] == len(data[start:end].decode())
        assert ref["bytes"] == end - start


# --- the digest


def test_equal_data_has_one_digest_wherever_it_is_stored(text: ContextRef, documents: ContextRef, blobs: Blobs) -> None:
    period = len("größer – 日本語 𝄞 and plain\n".encode())
    by_range = [hand_over(a_range(at, at + 9 * period), text, blobs) for at in (period, 4 * period)]
    sent = hand_over(a_text(TEXT[: len(TEXT) // 200 * 9]), text, blobs)
    assert len({context_digest(ref) for ref in (*by_range, sent)}) == 1
    in_place = hand_over(some("a", "b"), documents, blobs)
    copied = hand_over(some("a", PostedPart("b", "zwei – grün!")), documents, blobs)
    assert in_place["pack"] != copied["pack"] and context_digest(in_place) == context_digest(copied)


def test_other_data_names_metadata_or_order_change_the_digest(
    text: ContextRef, documents: ContextRef, blobs: Blobs
) -> None:
    refs = [
        no_context(),
        text,
        documents,
        hand_over(a_text("first"), documents, blobs),
        hand_over(a_range(0, 5, "a"), documents, blobs),
        hand_over(some("a"), documents, blobs),
        hand_over(some("a", "b"), documents, blobs),
        hand_over(some("b", "a"), documents, blobs),
        hand_over(some(PostedPart("a", "first", meta={"page": 1})), documents, blobs),
        hand_over(some(PostedPart("c", "first")), documents, blobs),
    ]
    assert len({context_digest(ref) for ref in refs}) == len(refs)


# --- places


@pytest.fixture
def placed(blobs: Blobs) -> ContextRef:
    """Two documents, as if of a format with pages, and one without."""
    ref = ingest(from_texts([("p", "größe|zwei"), ("plain", "text"), ("q", "one|two")]), blobs, InProcessExtractor())
    lines = document_lines(blobs.read(ref["index"]))
    places = ['{"pages": {"at": [0, 6]}}', "{}", '{"pages": {"at": [0, 4]}}']
    made = [document_line(entry_of(line), place) for line, place in zip(lines, places, strict=True)]
    return {**ref, "index": blobs.put(b"".join(made))}


P, PLAIN, Q = (0, 12), (12, 16), (16, 23)


def pages_seen(ref: ContextRef, blobs: Blobs) -> dict[str, list[str]]:
    """Return the pages of each document in a kernel that is given `ref`."""
    pack, index, start, end = context_files(ref, blobs)
    assert index is not None
    if ref["kind"] == "text":
        text: Any = open_text(str(pack), str(index), start, end)
        return {text.name: list(text.pages)}
    return {document.name: list(document.pages) for document in Documents(str(pack), str(index))}


def test_whole_documents_keep_their_places_in_any_order_and_depth(placed: ContextRef, blobs: Blobs) -> None:
    parts = (PostedPart("q", None, *Q), PostedPart("other name", None, *P), PostedPart("plain", None, *PLAIN))
    child = hand_over(PostedContext("documents", parts), placed, blobs)
    wanted = {"q": ["one|", "two"], "other name": ["größe|", "zwei"], "plain": []}
    assert pages_seen(child, blobs) == wanted
    grandchild = hand_over(PostedContext("documents", parts[:2]), child, blobs)
    assert pages_seen(grandchild, blobs) == {name: wanted[name] for name in ("q", "other name")}
    one = hand_over(a_range(*P, "p"), grandchild, blobs)
    assert pages_seen(one, blobs) == {"p": ["größe|", "zwei"]}
    assert pages_seen(hand_over(PostedContext("documents", parts[1:2]), one, blobs), blobs) == {
        "other name": ["größe|", "zwei"]
    }


def test_documents_beside_new_texts_keep_their_places(placed: ContextRef, blobs: Blobs) -> None:
    # A kernel may claim a range for a text, too: it is not the document of that range.
    child = hand_over(some(PostedPart("new", "neu|text", *P), PostedPart("q", None, *Q)), placed, blobs)
    assert child["pack"] != placed["pack"]
    assert pages_seen(child, blobs) == {"new": [], "q": ["one|", "two"]}


@pytest.mark.parametrize(("start", "end"), [(0, 7), (7, 12), (0, 16), (12, 12), (16, 22)])
def test_a_part_of_a_document_has_no_places(placed: ContextRef, blobs: Blobs, start: int, end: int) -> None:
    child = hand_over(some(PostedPart("part", None, start, end), PostedPart("q", None, *Q)), placed, blobs)
    assert pages_seen(child, blobs)["part"] == []


def test_a_document_as_a_text_has_its_name_metadata_and_places(placed: ContextRef, blobs: Blobs) -> None:
    child = hand_over(PostedContext("text", (PostedPart("q", None, *Q, {"kind": "PDF"}),)), placed, blobs)
    pack, index, start, end = context_files(child, blobs)
    text: Any = open_text(str(pack), str(index), start, end)
    assert (text, text.name, text.meta, text.page(2)) == ("one|two", "q", {"kind": "PDF"}, "two")
    assert document_lines(blobs.read(child["index"])) == [
        document_line(
            DocumentEntry(name="q", start=16, end=23, chars=7, meta={"kind": "PDF"}), '{"pages": {"at": [0, 4]}}'
        ).rstrip()
    ]


def test_places_are_those_of_the_callers_own_documents_only(placed: ContextRef, blobs: Blobs) -> None:
    child = hand_over(some(PostedPart("plain", None, *PLAIN)), placed, blobs)
    with pytest.raises(HandedBadly, match="outside the input"):
        hand_over(a_range(*Q, "q"), child, blobs)


def test_places_do_not_change_a_digest(placed: ContextRef, blobs: Blobs) -> None:
    """Recorded calls of earlier versions are found again."""
    posted = some(PostedPart("q", None, *Q))
    bare = placed.copy()
    bare["index"] = blobs.put(b"".join(map(document_line, map(entry_of, document_lines(blobs.read(placed["index"]))))))
    for one in (posted, a_range(*Q, "q")):
        assert context_digest(hand_over(one, placed, blobs)) == context_digest(hand_over(one, bare, blobs))
    text_hash = hashlib.sha256(b"one|two").hexdigest()
    assert context_digest(hand_over(a_range(*Q, "q"), placed, blobs)) == digest("text", text_hash, "q")
    assert context_digest(hand_over(posted, placed, blobs)) == digest("documents", [("q", text_hash, {})])


# --- damage and the blobs that a reference needs


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"x" * path.stat().st_size)])  # type: ignore[misc]
def test_a_damaged_input_is_not_passed_on(text: ContextRef, tmp_path: Path, harm: Callable[[Path], object]) -> None:
    blobs = Blobs(tmp_path / "blobs")  # of a process that has not read it yet
    harm(blobs.path(text["pack"]))
    with pytest.raises(StoredDataDamaged):
        hand_over(a_range(0, 1, "x"), text, blobs)


def test_a_truncated_pack_is_not_given_to_a_kernel(text: ContextRef, blobs: Blobs) -> None:
    ref = hand_over(a_range(2, text["bytes"]), text, blobs)
    pack = blobs.path(text["pack"])
    pack.write_bytes(pack.read_bytes()[:-1])
    with pytest.raises(StoredDataDamaged, match="cut short"):
        context_files(ref, blobs)


def test_a_reference_is_plain_json_and_names_the_blobs_that_it_needs(documents: ContextRef, blobs: Blobs) -> None:
    for posted in (a_range(0, 5), some("a", "c"), some("a", PostedPart("n", "new"))):
        ref = hand_over(posted, documents, blobs)
        assert TypeAdapter(ContextRef).validate_python(json.loads(json.dumps(ref)), extra="forbid") == ref
        needed = {reference.name for reference in references_in({"context_ref": ref})}
        assert needed == {ref["pack"], ref["index"]} - {""}
    assert "start" not in TypeAdapter(ContextRef).json_schema()["required"]
