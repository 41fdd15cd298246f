"""Lines of documents: counted as editors count them, found by number and by character, whatever the length."""

import os
import re
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.inside import line_index as module
from durable_rlm.kernel.inside.context import Document, Documents
from durable_rlm.kernel.inside.context_text import TextDocument
from tests.kernel.documents import document, draft_of, packed, text_document

texts = st.text("ab\n\r\f\v\x85\u2028\x1cé日𝄞", max_size=60) | st.lists(
    st.sampled_from(["\r\n", "\n", "one", "größer", "\r", "𝄞"]), max_size=30
).map("".join)


def naive(text: str) -> list[str]:
    """Return the lines of a text, by a simpler way."""
    end = "\n" if "\n" in text else "\r"
    return re.findall(f"[^{end}]*{end}|[^{end}]+", text)


@given(texts, st.booleans(), st.data())
def test_lines_are_those_of_a_simple_model(text: str, single: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", data.draw(st.integers(1, 9)))
        patch.setattr(module, "_PIECE", module._BLOCK * data.draw(st.integers(1, 3)))
        patch.setattr(module, "_LONG", data.draw(st.sampled_from([0, 1 << 20])))
        doc = (text_document if single else document)(Path(folder), draft_of(text))
        lines = naive(text)
        assert doc.line_count == len(lines)
        pack, start, end = doc.stored()
        begins = [module.line_index(pack, start, end).offset_of(pack, line) for line in range(1, len(lines) + 2)]
        assert begins == [len("".join(lines[:line])) for line in range(len(lines) + 1)]
        for first in range(1, len(lines) + 1):
            for last in range(first, len(lines) + 1):
                assert doc.lines(first, last) == "".join(lines[first - 1 : last])
        at = 0
        for number, line in enumerate(lines, 1):
            for column in range(1, len(line) + 1):
                assert (doc.line_of(at), doc.column_of(at)) == (number, column)
                at += 1
        if lines:
            assert doc.line_of(len(text)) == len(lines)


@given(texts, st.data())
def test_bytes_lines_and_characters_are_found_by_each_other(text: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", data.draw(st.integers(1, 9)))
        doc = document(Path(folder), draft_of(text))
        pack, start, end = doc.stored()
        index = module.line_index(pack, start, end)
        lines = naive(text)
        for offset in range(len(text) + 1):
            byte = start + len(text[:offset].encode())
            assert (index.byte_at(pack, offset), index.char_at(pack, byte)) == (byte, offset)
            if offset < len(text):
                assert index.line_at_byte(pack, byte) == doc.line_of(offset)
        for number in range(1, len(lines) + 1):
            assert index.start_of(pack, number) == start + len("".join(lines[: number - 1]).encode())


def test_an_index_that_is_under_way_knows_what_it_has_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 10)
    monkeypatch.setattr(module, "_PIECE", 20)
    pack, start, end = document(tmp_path, draft_of("größe\n" * 20)).stored()
    seen: list[tuple[int, int, int]] = []

    def counted(index: module.LineIndex) -> None:
        ended = index.ended
        assert [index.start_of(pack, line) for line in (1, ended)] == [start, start + 8 * (ended - 1)]
        assert index.char_at(pack, index.byte_at(pack, 6)) == 6
        seen.append((index.reached, ended, index.count))

    index = module.LineIndex(pack, start, end, counted)
    assert seen == [(at, at // 8, 0) for at in range(20, 161, 20)]
    assert (index.reached, index.count) == (160, 20)


@given(texts)
def test_numbered_lines_have_their_numbers_and_nothing_else_changes(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        doc = text_document(Path(folder), draft_of(text))
        lines = naive(text)
        for first in range(1, len(lines) + 1):
            wanted = "".join(f"{number}: {line}" for number, line in enumerate(lines[first - 1 :], first))
            assert doc.lines(first, len(lines), numbered=True) == wanted


@pytest.fixture(params=[document, text_document], ids=["document", "text"])
def doc(request: pytest.FixtureRequest, tmp_path: Path) -> Document | TextDocument:
    return request.param(tmp_path, draft_of("".join(f"line {number}\n" for number in range(1, 121)), name="log.txt"))


def test_lines_include_both_ends(doc: Document) -> None:
    assert doc.lines(3, 4) == "line 3\nline 4\n"
    assert doc.lines(120, 120, numbered=True) == "120: line 120\n"
    assert type(doc.lines(1, 2)) is str


@pytest.mark.parametrize(("first", "last"), [(0, 1), (-1, 2), (3, 2), (1, 121), (121, 121)])
def test_lines_out_of_range_name_the_last_line(doc: Document, first: int, last: int) -> None:
    with pytest.raises(IndexError, match=r"'log.txt' has 120 lines"):
        doc.lines(first, last)


@pytest.mark.parametrize("offset", [-1, 100_000])
def test_a_character_out_of_range_has_no_line(doc: Document, offset: int) -> None:
    with pytest.raises(IndexError, match=r"'log.txt' has 972 characters"):
        doc.line_of(offset)


def test_an_empty_document_has_no_lines(tmp_path: Path) -> None:
    empty = document(tmp_path, draft_of("", name="e"))
    assert (empty.line_count, empty.place_of(0)) == (0, "line 1")
    with pytest.raises(IndexError, match="'e' has 0 lines"):
        empty.lines(1, 1)
    with pytest.raises(IndexError, match="'e' is empty"):
        empty.line_of(0)


def test_counting_with_and_without_numpy_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "größer\r\n日本 𝄞\n" * 30_000
    one = document(tmp_path / "one", draft_of(text))
    monkeypatch.setattr(module, "_by_numpy", lambda: module._by_bytes)
    other = document(tmp_path / "other", draft_of(text))
    for number in (1, 2, 29_999, 60_000):
        assert one.lines(number, number) == other.lines(number, number) == text.splitlines(keepends=True)[number - 1]
    for offset in range(0, len(text), 9_973):
        assert one.line_of(offset) == other.line_of(offset) == text.count("\n", 0, offset) + 1


def test_a_long_document_is_read_once_for_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc = document(tmp_path, draft_of("0123456789 größer\n" * 200_000))
    pread, taken = os.pread, 0

    def counted(descriptor: int, size: int, at: int) -> bytes:
        nonlocal taken
        taken += size
        return pread(descriptor, size, at)

    assert doc.line_count == 200_000
    monkeypatch.setattr(os, "pread", counted)
    assert doc.lines(150_000, 150_000) == "0123456789 größer\n"
    assert doc.line_of(18 * 150_000) == 150_001
    assert taken < 4 * module._BLOCK, "the rest is not read again"


def test_the_index_of_lines_takes_little_memory(tmp_path: Path) -> None:
    doc = document(tmp_path, draft_of("a\n" * 10_000_000))
    tracemalloc.start()
    assert doc.line_count == 10_000_000
    assert tracemalloc.get_traced_memory()[0] < 100_000
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


def test_grep_has_the_same_line_numbers(tmp_path: Path) -> None:
    texts = ("one\r\ntwo\r\n", "one\rtwo\rthree", "one\ntwo\x0cthree")
    docs = Documents(*packed(tmp_path, [draft_of(text, name=str(at)) for at, text in enumerate(texts)]))
    for name, number, line in docs.grep("."):
        assert docs[name].lines(number, number).rstrip("\r\n") == line
    assert [found[:2] for found in docs.grep("two")] == [("0", 2), ("1", 2), ("2", 2)]


def test_the_lines_of_few_documents_are_kept(tmp_path: Path) -> None:
    docs = Documents(*packed(tmp_path, [draft_of("a\nb", name=str(number)) for number in range(module._KEPT + 50)]))
    assert all(one.line_count == 2 for one in docs)
    assert len(module._known[docs[0].stored()[0]]) == module._KEPT
