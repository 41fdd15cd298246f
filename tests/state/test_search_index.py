"""Search indexes: what is found, where, in which part of the input, and from which files."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from durable_rlm.matching.search_words import folded, prepared, wanted
from durable_rlm.state.search import fts5
from durable_rlm.state.search import index as indexes
from durable_rlm.state.search.build import Source, build_file, command
from durable_rlm.state.search.errors import DamagedIndex, SearchUnavailable
from durable_rlm.state.search.files import IndexFiles
from durable_rlm.state.search.index import Index
from durable_rlm.state.search.passages import LONGEST, passages
from durable_rlm.state.search.words import Engine
from tests.kernel.documents import draft_of, packed


@pytest.fixture(params=["fts5", "tantivy"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "tantivy":
        pytest.importorskip("tantivy")
    return request.param


TEXTS = {
    "en.txt": "The café pays.\nA payment is due within thirty days.\n",
    "zh.txt": "双方同意在收到发票后三十天内付款",
    "th.txt": "ข้อความภาษาไทย",
    "hi.txt": "अनुबंध की शर्तें",
    "code.py": "def my_function(x):\n    return other_function(x)\n",
    "empty.txt": "",
}


def source_of(folder: Path, texts: dict[str, str]) -> Source:
    """Write texts as an input, and return it."""
    pack, index = packed(folder, [draft_of(text, name=name) for name, text in texts.items()])
    return Source(pack, index, 0, Path(pack).stat().st_size)


def built(folder: Path, source: Source, engine: Engine = "fts5", name: str = "n") -> Path:
    """Build an index in a file as the process for it does."""
    files = IndexFiles(folder / "search")
    files.make()
    path = files.path(name, engine)
    build_file(path, files.partial(engine), source, name, lambda done: None, engine)
    return path


def index_of(folder: Path, source: Source, engine: Engine) -> Index:
    """Build an index and open it."""
    return Index.open(built(folder, source, engine), "n", engine)


def names_found(index: Index, words: str, names: list[str], **more: object) -> list[str]:
    """Return the names of the documents of the hits."""
    return [names[hit[0]] for hit in index.search(words, 20, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("payment", ["en.txt"]),
        ("CAFE", ["en.txt"]),
        ("cafe\u0301", ["en.txt"]),
        ("发票", ["zh.txt"]),
        ("收到发票", ["zh.txt"]),
        ("款", ["zh.txt"]),
        ("ภาษา", ["th.txt"]),
        ("शर्तें", ["hi.txt"]),
        ("शर्तों", []),
        ("my_function", ["code.py"]),
        ("function", ["code.py"]),
        ("function_my", []),
        ('"payment" OR NOT (', ["en.txt"]),
        ("-*-", []),
        ("absent", []),
        ("", []),
    ],
)
def test_words_are_found_in_every_script(tmp_path: Path, engine: Engine, words: str, found: list[str]) -> None:
    index = index_of(tmp_path, source_of(tmp_path, TEXTS), engine)
    assert names_found(index, words, list(TEXTS)) == found


def test_passages_are_the_document_without_gaps_and_know_their_places(tmp_path: Path) -> None:
    for text in (
        "".join(f"line {n} grün 日本 {'x' * (n % 90)}\n" for n in range(3_000)),
        "y" * 5_000 + " z" * 5_000,
        "a\rb\r" * 2_000,
        "日" * 400_000,
        "x\r\n" * 3_000,
    ):
        data = b"before" + text.encode()
        cut = list(passages(lambda start, end, data=data: data[start:end], 6, len(data)))
        assert "".join(one.text for one in cut) == text
        assert max(len(one.text) for one in cut) <= LONGEST
        mark = "\n" if "\n" in text else "\r"
        for one in cut[:: max(1, len(cut) // 50)]:
            assert data[one.start : one.end].decode() == one.text == text[one.first : one.first + len(one.text)]
            assert one.line == text.count(mark, 0, one.first) + 1
        assert all(one.text.endswith((mark, " ")) for one in cut[:-1]) or mark not in text


def test_a_hit_has_the_bytes_the_character_and_the_line_of_its_passage(tmp_path: Path, engine: Engine) -> None:
    text = "".join(f"zeile {n} grün\n" for n in range(500)) + "needle\n"
    index = index_of(tmp_path, source_of(tmp_path, {"a": "é\n", "b": text}), engine)
    [(document, start, end, first, line, score)] = index.search("needle", 5)
    data = Path(tmp_path / "pack").read_bytes()
    assert document == 1 and "needle" in data[start:end].decode() and score > 0
    assert text[first:].startswith(data[start:end].decode()) and text.count("\n", 0, first) + 1 == line


def test_a_very_frequent_word_counts_only_without_a_rarer_one(tmp_path: Path, engine: Engine) -> None:
    texts = {f"{n}.txt": "the contract" + (" ends" if n == 7 else "") for n in range(40)}
    index = index_of(tmp_path, source_of(tmp_path, texts), engine)
    assert names_found(index, "the contract ends", list(texts)) == ["7.txt"]
    assert len(index.search("the contract", 100)) == 40


def test_a_search_is_restricted_to_parts_of_the_input(tmp_path: Path, engine: Engine) -> None:
    texts = {f"{n}.txt": f"word number {n}" for n in range(40)}
    index = index_of(tmp_path, source_of(tmp_path, texts), engine)
    found = index.search("word", 100)
    parts = [(hit[1], hit[2]) for hit in found]
    assert sorted(index.search("word", 100, parts[3:5])) == sorted(found[3:5])
    assert sorted(index.search("word", 100, parts[::3])) == sorted(found[::3])
    assert len(index.search("word", 4, parts[::3])) == 4
    assert index.search("word", 100, [(0, 5)]) == []


def test_the_only_text_of_an_input_without_an_index_is_searched_in_its_range(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "pack").write_text("outside\ninside\noutside\n")
    index = index_of(tmp_path, Source(str(tmp_path / "pack"), "", 8, 15), engine)
    assert [hit[:5] for hit in index.search("inside", 5)] == [(0, 8, 15, 0, 1)]
    assert index.search("outside", 5) == []


# -- files


def test_an_index_in_a_file_finds_the_same_as_one_in_memory(tmp_path: Path) -> None:
    source = source_of(tmp_path, TEXTS)
    path = built(tmp_path, source)
    before = path.read_bytes()
    opened = Index.open(path, "n")
    assert opened.search("payment cafe 发票", 9) == Index.in_memory(source, "n").search("payment cafe 发票", 9) != []
    opened.close()
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_process_that_builds_ends_with_its_standard_input(tmp_path: Path) -> None:
    source = source_of(tmp_path, TEXTS)
    os.mkfifo(tmp_path / "never")
    folder = tmp_path / "search"
    files = IndexFiles(folder)
    files.make()
    stuck = Source(str(tmp_path / "never"), source.index, 0, 1)
    with subprocess.Popen(command(files.path("n"), files.partial(), stuck, "n"), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 1
    assert not files.path("n").exists()


def test_a_file_that_is_not_the_index_of_this_input_is_not_used(tmp_path: Path) -> None:
    path = built(tmp_path, source_of(tmp_path, TEXTS))
    with pytest.raises(DamagedIndex, match="another input"):
        Index.open(path, "m")
    with pytest.raises(FileNotFoundError):
        Index.open(path.with_name("other"), "n")
    path.with_name("link").symlink_to(path)
    with pytest.raises(DamagedIndex, match="others may have written"):
        Index.open(path.with_name("link"), "n")
    path.chmod(0o666)
    with pytest.raises(DamagedIndex, match="others may have written"):
        Index.open(path, "n")
    path.chmod(0o600)
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(DamagedIndex):
        Index.open(path, "n")


def test_damage_inside_an_index_is_reported_as_such(tmp_path: Path) -> None:
    path = built(tmp_path, source_of(tmp_path, {"a": "".join(f"word{n} thing\n" for n in range(20_000))}))
    whole = bytearray(path.read_bytes())
    for at in range(4 * 8192, len(whole) - 100, 700):
        whole[at] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(DamagedIndex):
        index = Index.open(path, "n")
        for n in range(200):
            index.search(f"word{n} thing", 20)


def test_a_schema_that_runs_functions_is_refused(tmp_path: Path) -> None:
    path = built(tmp_path, source_of(tmp_path, TEXTS))
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE about RENAME TO about_it")
        database.execute("CREATE VIEW about AS SELECT source, fts5(passages) AS passages FROM about_it")
    database.close()
    with pytest.raises(DamagedIndex):
        Index.open(path, "n")


def test_a_folder_that_is_a_link_or_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "search").symlink_to(tmp_path / "there")
    with pytest.raises(SearchUnavailable, match="a link, or others"):
        IndexFiles(tmp_path / "search").make()
    (tmp_path / "there").chmod(0o777)
    with pytest.raises(SearchUnavailable, match="a link, or others"):
        IndexFiles(tmp_path / "there").make()


def test_a_python_without_full_text_search_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts5, "TOKENIZE", "no_tokenizer_of_this_name")
    with pytest.raises(SearchUnavailable, match="has no full-text search"):
        fts5.ensure_available()


def test_a_search_that_takes_too_long_ends_with_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_STEPS", 1)
    monkeypatch.setattr(indexes, "_MOST_SECONDS", -1.0)
    index = Index.in_memory(source_of(tmp_path, TEXTS), "n")
    with pytest.raises(SearchUnavailable, match="took longer than"):
        index.search("payment", 5)


# -- words


def test_texts_without_blanks_become_pairs_and_nothing_else_changes() -> None:
    assert prepared("plain text, as it is") == "plain text, as it is"
    assert prepared("付款 now").split() == ["付款", "款", "now"]
    assert prepared("of\ufb01ce") == "office"
    assert wanted("付款 now") == [("付款", False), ("now", False)]
    assert wanted("款") == [("款", True)]


def test_a_folded_text_has_its_length() -> None:
    for text in ("Grün ÉTÉ", "İstanbul ﬁx ß", "日本語", "a\u0301b", "𝄞 \u0345"):
        assert len(folded(text)) == len(text)
    assert folded("ÉTÉ") == "ete"
