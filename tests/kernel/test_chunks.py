"""Chunks keep every character and their places, and work wherever a document does."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from durable_rlm.kernel.inside.child_context import Handing, Places
from durable_rlm.kernel.inside.chunk import Chunk
from durable_rlm.kernel.inside.chunking import By
from durable_rlm.kernel.inside.context import Documents
from durable_rlm.kernel.inside.packing import Packing, tokens
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.kernel.session import KernelSpec
from durable_rlm.nodes.input.draft import Draft
from tests.kernel.documents import document, draft_of, packed, text_document
from tests.kernel.namespaces import Namespace

PACKING = Packing(1_000)
chunks, pack = PACKING.chunks, PACKING.pack
KINDS: tuple[By, ...] = ("heading", "paragraph", "record", "line")
MARKDOWN = "Preface é.\n\n# One\nText of one. More.\n\n## One A\nPart ä.\n\n# Two\nText of two.\n"


def joined(found: list[Chunk]) -> str:
    return "".join(one.text for one in found)


@given(
    some.text(some.sampled_from('aé日 \n\r.!"#\u0301\u200d👩🏽🇩🇪\x0c\u2028\ud800'), max_size=200),
    some.integers(1, 40),
    some.sampled_from(KINDS),
    some.booleans(),
)
def test_the_chunks_of_a_text_joined_are_the_text(text: str, limit: int, by: By, count_tokens: bool) -> None:
    found = chunks(text, None if count_tokens else limit, limit if count_tokens else None, by)
    assert joined(found) == text and all(found)
    if not count_tokens:
        assert all(len(one) <= limit for one in found)


@pytest.mark.parametrize("by", KINDS)
@pytest.mark.parametrize("limit", [1, 7, 30, 1_000])
@pytest.mark.parametrize("name", ["a.md", "a.csv", "a.jsonl"])
def test_the_chunks_of_a_document_joined_are_its_text(tmp_path: Path, by: By, limit: int, name: str) -> None:
    texts = {"a.md": MARKDOWN, "a.csv": 'x,y\n1,"é\n2"\n3,4\n', "a.jsonl": '{"é": 1}\n{"b": "日"}\n'}
    kind = "CSV" if name == "a.csv" else "text"
    draft = draft_of(texts[name], kind, name)
    for one in (document(tmp_path / "many", draft), text_document(tmp_path / "one", draft)):
        found = chunks(one, limit, by=by)
        assert joined(found) == one.text
        assert [one.text[chunk.start : chunk.end] for chunk in found] == [chunk.text for chunk in found]
        pack, first, _ = one.stored()
        assert [pack.read(*chunk.stored()[1:]).decode() for chunk in found] == [chunk.text for chunk in found], first


def test_a_section_is_a_chunk_without_its_subsections(tmp_path: Path) -> None:
    found = chunks(document(tmp_path, draft_of(MARKDOWN, name="a.md")), 1_000, by="heading")
    assert [one.text.splitlines()[0] for one in found] == ["Preface é.", "# One", "## One A", "# Two"]
    assert [one.line for one in found] == [1, 3, 6, 9]
    assert [one.text for one in chunks(MARKDOWN, 1_000, by="heading")] == [one.text for one in found]


def test_records_are_kept_whole(tmp_path: Path) -> None:
    table = "name,text\n" + "".join(f'{number},"line one\nline two {number}"\n' for number in range(40))
    found = chunks(document(tmp_path, draft_of(table, "CSV", "t.csv")), 200, by="record")
    assert len(found) > 8 and all(one.text.count('"') % 2 == 0 for one in found)
    records = [record for one in found for record in one.records()]
    assert [record["name"] for record in records] == [str(number) for number in range(40)]
    lines = "".join(json.dumps({"number": number, "text": "x" * number}) + "\n" for number in range(60))
    found = chunks(document(tmp_path / "lines", draft_of(lines, "JSON Lines", "t.jsonl")), 300, by="record")
    assert [record["number"] for one in found for record in one.records()] == list(range(60))


def test_a_paragraph_that_is_too_large_is_cut_at_sentences_then_lines_then_words(tmp_path: Path) -> None:
    sentences = "".join(f"Sentence number {number} is here. " for number in range(40))
    assert all(one.text.endswith(". ") for one in chunks(sentences, 100))
    lines = "".join(f"a line without an end {number}\n" for number in range(40))
    assert all(one.text.endswith("\n") for one in chunks(lines, 100))
    assert all(one.text.endswith(" ") for one in chunks("wort " * 200, 102)[:-1])


@pytest.mark.parametrize("character", ["e\u0301", "👩🏽", "👩\u200d👧", "🇩🇪", "\r\n", "\ud83d\ude00"])
def test_no_cut_is_within_a_character_that_is_made_of_several(character: str) -> None:
    for limit in range(len(character) * 2, len(character) * 2 + 6):
        for one in chunks(character * 30, limit):
            assert one.text.replace(character, "") == "", (limit, one.text)


def test_a_chunk_works_like_a_document(tmp_path: Path) -> None:
    doc = document(tmp_path, draft_of("eins é\n\nzwei ü\n\ndrei\n", name="d.txt"))
    chunk = chunks(doc, 10)[1]
    assert (chunk.text, len(chunk), chunk.name, chunk.document) == ("zwei ü\n\n", 8, "d.txt", doc)
    assert f"<{chunk}>" == "<zwei ü\n\n>" and "a" + chunk + "b" == "azwei ü\n\nb" and chunk + chunk == chunk.text * 2
    assert chunk[:4] == "zwei" and "ü" in chunk and list(chunk)[:2] == ["z", "w"] and chunk.upper() == "ZWEI Ü\n\n"
    assert (chunk.start, chunk.end, chunk.line, chunk.place, chunk.page) == (8, 16, 3, "line 3", None)
    assert chunk.line_of(0) == 3 and chunk.lines(1, 1) == "eins é\n", "lines are numbered as in the document"
    assert chunk == chunks(doc, 10)[1] and len({chunk, chunks(doc, 10)[1]}) == 1 and chunk != doc
    assert "d.txt" in repr(chunk) and "line 3" in repr(chunk)


def test_a_chunk_of_pages_names_the_page_on_which_it_begins(tmp_path: Path) -> None:
    draft = Draft("PDF", "p.pdf")
    for number in range(1, 4):
        draft.mark("pages", str(number))
        draft.write(f"text of page {number}\n\n")
    found = chunks(text_document(tmp_path, draft), 17)
    assert [(one.page, one.place) for one in found] == [(number, f"page {number}") for number in (1, 2, 3)]


def test_chunks_are_cut_from_everything_that_is_a_text(tmp_path: Path) -> None:
    docs = Documents(*packed(tmp_path, [draft_of("one\n", name="a"), draft_of("two\n", name="b")]))
    assert [one.name for one in chunks(docs)] == ["a", "b"]
    assert [one.text for one in chunks([docs[1], "three"])] == ["two\n", "three"]
    [first] = chunks(docs[0])
    assert chunks(first) == [first] and chunks(docs[:0]) == []
    with pytest.raises(TypeError, match="in this list there is a list"):
        chunks([["a"]])
    with pytest.raises(TypeError, match="not a int"):
        chunks(7)
    with pytest.raises(ValueError, match="by= is one of"):
        chunks("a", by="page")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one limit"):
        chunks("a", 5, 5)
    with pytest.raises(ValueError, match="from 1 on"):
        chunks("a", 0)


def test_chunks_are_handed_to_a_sub_rlm_by_reference_under_names_that_say_the_place(tmp_path: Path) -> None:
    doc = document(tmp_path, draft_of("eins é\nzwei\n\ndrei\n", name="d.txt"))
    source = doc.stored()[0]
    handed = Handing("", Places(source, lambda: [(0, source.size)])).over(chunks(doc, 13))
    parts: Any = handed.posted["parts"]
    assert [(part["name"], "text" in part) for part in parts] == [
        ("d.txt, lines 1 to 3", False),
        ("d.txt, line 4", False),
    ]
    assert source.read(parts[1]["start"], parts[1]["end"]) == b"drei\n"


def test_a_snapshot_saves_chunks_as_references(tmp_path: Path) -> None:
    docs = Documents(*packed(tmp_path, [draft_of("é word and word. " * 5_000 + "\n\n", name="a") for _ in range(3)]))
    first = Namespace(given={"context": docs, "chunks": chunks})
    first.cell("found = chunks(context, 1000)\nown = chunks('a b\\n\\n' * 10, 10)\ntexts = [one.text for one in found]")
    saved = sum(map(len, first.chunks.values()))
    first.cell("del texts")
    again = first.again()
    assert again.restored and not again.restored.lost
    assert again.see("found == chunks(context, 1000) and ''.join(one.text for one in own) == 'a b\\n\\n' * 10")
    without = sum(len(first.chunks[name]) for group in first.groups.values() for name in group["chunks"])
    assert without < 60_000 < 200_000 < saved


def test_one_paragraph_more_changes_at_most_two_chunks() -> None:
    paragraphs = [f"Paragraph {number}: " + "word " * (number % 30) + "\n\n" for number in range(1_000)]
    before = {one.text for one in chunks("".join(paragraphs), 5_000)}
    for at in range(0, 1_000, 97):
        other = "".join([*paragraphs[:at], "inserted text\n\n", *paragraphs[at:]])
        assert len({one.text for one in chunks(other, 5_000)} - before) <= 2, at


def test_items_of_any_kind_are_packed_in_their_order(tmp_path: Path) -> None:
    doc = document(tmp_path, draft_of("eins\n\nzwei\n\n", name="d.txt"))
    items: list[Any] = ["a" * 30, {"b": 1}, [1, 2], None, 7, *chunks(doc, 6), doc, "c" * 300]
    found = pack(items, max_chars=60)
    assert [one for group in found for one in group] == items and found[-1] == ["c" * 300]
    assert len(pack(items, 1_000)) == len(pack(items)) == 1
    assert pack([], 10) == []
    with pytest.raises(TypeError, match="not a str"):
        pack("text", 10)


def test_ten_thousand_items_are_packed_within_a_second() -> None:
    import time

    items = [f"Record {number}: the customer reports that the parcel came late. " * 3 for number in range(10_000)]
    began = time.process_time()
    found = pack(items, 8_000)
    assert time.process_time() - began < 1.5
    assert all(sum(map(tokens, group)) <= 8_000 for group in found[::50])


def test_tokens_are_estimated_as_the_budget_does(tmp_path: Path) -> None:
    from durable_rlm.nodes.models.tokens import estimate_tokens

    doc = document(tmp_path, draft_of("some words in a text", name="d.txt"))
    assert tokens("some words in a text") == tokens(doc) == estimate_tokens("some words in a text")


def test_a_value_that_code_binds_to_one_of_these_names_is_a_variable_and_stays() -> None:
    def kernel() -> tuple[dict[str, Any], KernelRepl]:
        namespace: dict[str, Any] = {}
        repl = KernelRepl(namespace, lambda: None, KernelSpec("thread").setup(), own_process=False)
        repl.begin([], ["code"])
        return namespace, repl

    namespace, repl = kernel()
    assert [one["name"] for one in repl.end(succeeded=True)["variables"]] == ["context"]
    del namespace["context"]
    namespace["chunks"] = [1, 2]
    namespace["cutter"] = namespace["pack"]
    del namespace["tokens"]
    assert [one["name"] for one in repl.end(succeeded=True)["variables"]] == ["chunks", "cutter"]
    saved, sent = repl.snapshot(["code"])
    repl.begin([], ["code"])
    assert namespace["chunks"] == [1, 2] and namespace["tokens"](" a") == 1
    other, restoring = kernel()
    by_hash = {hashlib.sha256(one).hexdigest(): one for one in sent}
    assert restoring.restore(saved["groups"], by_hash)["names"] == ["chunks", "cutter"]
    assert other["chunks"] == [1, 2] and other["cutter"] is other["pack"]


def test_a_snapshot_saves_the_result_of_map_query_with_its_failures() -> None:
    first = Namespace()
    first.cell(
        "from durable_rlm.kernel.inside.mapped import Failure, Mapped\n"
        "found = Mapped(['good', None], [Failure(1, 'b', 'why')], ['a', 'b'])"
    )
    again = first.again()
    assert again.see("(found, found.failures, found.by_key)") == (
        ["good", None],
        [(1, "b", "why")],
        {"a": "good", "b": None},
    )
    assert again.see("type(found).__name__") == "Mapped"
