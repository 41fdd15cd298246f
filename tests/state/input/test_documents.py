"""`context` in the REPL: documents that behave like their texts, read from disk, saved by reference."""

import copy
import json
import os
import pickle  # noqa: TID251 - a kernel may unpickle its own variables
import re
import shutil
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside import context_file as pack_module
from durable_rlm.kernel.inside.context import Document, Documents, load_text
from durable_rlm.kernel.inside.context_file import Pack, read_ascii

TEXTS = {"a/one.py": "import os\nprint(1)\n", "a/two.md": "# Größe\r\n日本語 text\r\n", "empty": "", "b/three.txt": "3"}


def write(folder: Path, texts: dict[str, str]) -> tuple[str, str]:
    """Write a pack and its index, as `state.input.context` does."""
    folder.mkdir(parents=True, exist_ok=True)
    data, lines = b"", b""
    for name, text in texts.items():
        entry = {"name": name, "start": len(data), "end": len(data) + len(text.encode()), "chars": len(text)}
        data += text.encode()
        lines += json.dumps(entry | {"meta": {"kind": name[-2:]}}).encode() + b"\n"
    (folder / "pack").write_bytes(data)
    (folder / "index").write_bytes(lines)
    return str(folder / "pack"), str(folder / "index")


@pytest.fixture
def docs(tmp_path: Path) -> Documents:
    return Documents(*write(tmp_path / "blobs", TEXTS))


# --- one document


def test_a_document_has_its_text_name_meta_and_length(docs: Documents) -> None:
    document = docs[1]
    assert document.text == str(document) == f"{document}" == TEXTS["a/two.md"]
    assert document.name == "a/two.md"
    assert document.meta == {"kind": "md"}
    assert len(document) == len(TEXTS["a/two.md"])
    assert repr(document) == "<Document 'a/two.md', 19 chars>"


@pytest.mark.parametrize("name", TEXTS)
def test_a_document_behaves_like_the_str_of_its_text(docs: Documents, name: str) -> None:
    text, document = TEXTS[name], docs[name]
    for start in (None, 0, 1, 5, 100, -3):
        for stop in (None, 0, 2, 100, -1):
            for step in (None, 1, 2, -1):
                assert document[start:stop:step] == text[start:stop:step]
    assert list(document) == list(text)
    assert bool(document) == bool(text)
    assert document.splitlines() == text.splitlines()
    assert document.upper().count("I") == text.upper().count("I")
    assert ("os" in document) == ("os" in text)
    assert "> " + document + " <" == f"> {text} <"
    assert document + document == text * 2
    assert f"{document:>30}" == f"{text:>30}"
    assert re.findall(r"\w+", document.text) == re.findall(r"\w+", text)
    if text:
        assert (document[0], document[-1]) == (text[0], text[-1])
    with pytest.raises(IndexError):
        document[len(text)]


def test_an_unknown_attribute_error_lists_the_known_ones(docs: Documents) -> None:
    unknown: Any = docs[0]
    with pytest.raises(AttributeError, match=r"\.text, \.name, \.meta"):
        unknown.body  # noqa: B018
    assert {"text", "name", "meta", "splitlines"} <= set(dir(unknown))


# --- all documents


def test_documents_are_a_sequence(docs: Documents) -> None:
    assert len(docs) == 4
    assert [document.name for document in docs] == docs.names == list(TEXTS)
    assert docs[-1].text == "3"
    assert docs["b/three.txt"] == docs[3]
    assert [document.name for document in docs[1:3]] == docs[1:3].names == ["a/two.md", "empty"]
    assert docs[::-1].names == list(reversed(TEXTS))
    assert docs[::-1]["a/one.py"] == docs[0]
    assert docs[1:][1:].names == ["empty", "b/three.txt"]
    assert "empty" in docs
    assert "nothing" not in docs
    assert docs[2] in docs
    assert docs[2] not in docs[:2]
    assert docs.index(docs[2]) == 2
    assert docs.total_chars == sum(map(len, TEXTS.values()))
    assert docs[1:2].total_chars == 19
    assert str(docs) == "\n\n".join(TEXTS.values())
    assert sorted(docs, key=len)[0].name == "empty"
    with pytest.raises(IndexError):
        docs[4]
    with pytest.raises(KeyError, match="nothing"):
        docs["nothing"]


def test_the_repr_is_short_and_names_the_first_documents(tmp_path: Path) -> None:
    docs = Documents(*write(tmp_path, {f"{number}.txt": "x" * 100 for number in range(1000)}))
    assert repr(docs) == ("<Documents: 1,000 documents, 100,000 chars: '0.txt', '1.txt', '2.txt', '3.txt', '4.txt', …>")


def test_grep_gives_name_line_number_and_line(docs: Documents) -> None:
    assert list(docs.grep(r"t$|os")) == [("a/one.py", 1, "import os"), ("a/two.md", 2, "日本語 text")]
    assert list(docs.grep("GRÖSSE|PRINT", re.IGNORECASE)) == [("a/one.py", 2, "print(1)")]
    assert [number for _, number, _ in docs.grep(re.compile(r"^\w+"))] == [1, 2, 2, 1]
    assert repr(docs[:1]).startswith("<Documents: 1 document, 19 chars")


def test_equality_and_hash_are_by_reference(docs: Documents, tmp_path: Path) -> None:
    other = Documents(*write(tmp_path / "other", TEXTS))
    assert docs[0] == docs[0] != docs[1]
    assert docs[0] != other[0]
    assert docs != other
    assert docs[:2] == docs[:2] != docs[2:]
    assert docs[:] == docs
    assert len({docs[0], docs[:1][0], docs["a/one.py"], other[0]}) == 2
    assert len({docs, docs[:], other}) == 2
    assert docs[0] != TEXTS["a/one.py"]


# --- by reference


def test_copies_and_pickles_are_references(docs: Documents) -> None:
    for value in (docs, docs[1:3], docs[::-2], docs[1], [docs[0], docs]):
        data = pickle.dumps(value)
        assert "日本語".encode() not in data
        assert pickle.loads(data) == value  # noqa: S301
        assert copy.copy(value) == copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(docs[1])).text == TEXTS["a/two.md"]  # noqa: S301


def test_a_restored_reference_finds_a_store_that_has_moved(tmp_path: Path) -> None:
    paths = write(tmp_path / "old" / "ab", TEXTS)
    data = pickle.dumps(Documents(*paths)[1:])
    shutil.move(tmp_path / "old", tmp_path / "new")
    docs = Documents(*(path.replace("/old/", "/new/") for path in paths))
    assert pickle.loads(data) == docs[1:]  # noqa: S301


def test_nothing_outside_the_pack_can_be_read(tmp_path: Path) -> None:
    pack, index = write(tmp_path, {"a": "text"})
    for start, end in ((0, 5), (-1, 3), (3, 2), (5, 5)):
        entry = {"name": "a", "start": start, "end": end, "chars": 1, "meta": {}}
        Path(index).write_text(json.dumps(entry) + "\n")
        with pytest.raises(ValueError, match="outside its pack"):
            Documents(pack, index)[0]
    with pytest.raises(ValueError, match="outside the pack"):
        Pack.open(pack).read(0, 5)


def test_a_truncated_pack_is_an_error_and_not_a_shorter_text(docs: Documents, tmp_path: Path) -> None:
    os.truncate(tmp_path / "blobs" / "pack", 5)
    with pytest.raises(OSError, match="cut short"):
        str(docs[1])


def test_texts_do_not_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_module, "_KEPT", 1000)
    paths = write(tmp_path, {f"{number}": f"{number:03}" * 100 for number in range(50)})
    docs = Documents(*paths)
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, at: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", counted)
    for _ in range(10):
        assert docs[7].count("007") == 100
    assert reads == [300], "the last text is kept in memory"
    assert sum(len(document.text) for document in docs) == 15_000
    assert sum(map(len, Pack.open(paths[0])._recent.values())) <= 1000


def test_a_slice_of_an_ascii_document_reads_only_its_own_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Documents(*write(tmp_path, {"large": "0123456789" * 100_000}))
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, at: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", counted)
    assert docs[0][500_003:500_007] == "3456"
    assert reads == [4]


def test_threads_share_documents(docs: Documents) -> None:
    wrong: list[str] = []

    def work() -> None:
        for _ in range(200):
            wrong.extend(document.name for document in docs if document.text != TEXTS[document.name])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_opening_many_documents_parses_no_index_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write(tmp_path, {f"folder/{number}.py": "x" for number in range(10_000)})
    parsed: list[int] = []
    loads = json.loads

    def counted(data: bytes) -> Any:
        parsed.append(len(data))
        return loads(data)

    monkeypatch.setattr(json, "loads", counted)
    docs = Documents(*paths)
    assert len(docs) == 10_000
    assert parsed == []
    assert docs[9_999].name == "folder/9999.py"
    assert len(parsed) == 1


# --- a single text


@pytest.mark.parametrize("text", ["", "plain", "Größe 日本語 😀\r\n\0", "x" * 100_000])
def test_load_text_returns_the_whole_pack(tmp_path: Path, text: str) -> None:
    (tmp_path / "pack").write_bytes(text.encode())
    assert load_text(str(tmp_path / "pack")) == text


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 7), (4_096, 8_192), (5_000, 70_000), (99_993, None), (100_000, 100_000)]
)
def test_load_text_returns_any_range(tmp_path: Path, start: int, end: int | None) -> None:
    data = bytes(range(97, 123)) * 3_847
    (tmp_path / "pack").write_bytes(data[:100_000])
    assert load_text(str(tmp_path / "pack"), start, end) == data[start : 100_000 if end is None else end].decode()


def test_load_text_refuses_a_range_outside_the_pack(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(b"text")
    with pytest.raises(ValueError, match="greater than file size"):
        load_text(str(tmp_path / "pack"), 1, 5)


def test_a_small_range_of_a_huge_pack_takes_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "pack").open("wb") as pack:
        pack.truncate(8 << 30)  # a sparse file: it has 8 GiB without taking the space
        pack.seek(5 << 30)
        pack.write(b"here")
    tracemalloc.start()
    assert load_text(str(tmp_path / "pack"), 5 << 30, (5 << 30) + 4) == "here"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_adjacent_ranges_of_documents_are_merged(tmp_path: Path) -> None:
    docs = Documents(*write(tmp_path, {"a": "12", "b": "", "c": "größer", "d": "4"}))
    assert docs.ranges() == [(0, 11)]
    assert docs[::2].ranges() == [(0, 10)]
    assert docs[1:].ranges() == [(2, 11)]
    assert (docs[::3].ranges(), docs[:0].ranges()) == ([(0, 2), (10, 11)], [])


def test_an_empty_index_gives_no_documents(tmp_path: Path) -> None:
    docs = Documents(*write(tmp_path, {}))
    assert (len(docs), list(docs), str(docs), docs.names) == (0, [], "", [])
    assert repr(docs) == "<Documents: 0 documents, 0 chars: >"


def test_a_document_is_not_a_str(docs: Documents) -> None:
    assert isinstance(docs[0], Document)
    assert not isinstance(docs[0], str)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("start", [0, 1, 4_097])
def test_a_long_text_is_read_as_it_was_stored_with_any_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide: bool, start: int
) -> None:
    """A text that is all ASCII is read without a copy; the wide character at its very end prevents that."""
    monkeypatch.setattr("durable_rlm.kernel.inside.context._LONG", 10_000)
    text = "0123456789\n" * 1_000_000 + ("ä" if wide else "")
    (tmp_path / "pack").write_text(text)
    assert load_text(str(tmp_path / "pack"), start) == text[start:]


def test_a_text_read_without_a_copy_behaves_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("one two")
    with (tmp_path / "text").open("rb") as file:
        read = read_ascii(file.fileno(), 0, 7)
        assert read is not None, "CPython's texts are laid out in another way: the reading of long ones takes twice"
        assert read_ascii(file.fileno(), 4, 7) == "two" and {read: 1}["one two"] == 1 and read.isascii()
        with pytest.raises(OSError, match="cut short"):
            read_ascii(file.fileno(), 0, 8)


def test_a_truncated_long_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.kernel.inside.context._LONG", 10)
    (tmp_path / "pack").write_text("0123456789" * 2)
    with pytest.raises(OSError, match="cut short"):
        load_text(str(tmp_path / "pack"), 0, 21)
