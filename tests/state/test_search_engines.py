"""Both engines of a search find the same; tantivy's folder is trusted no more than SQLite's file."""

import os
import random
import sqlite3
import subprocess
import unicodedata
from pathlib import Path

import pytest

from durable_rlm.matching.search_words import plain_words, prepared
from durable_rlm.state.search import tantivy_words
from durable_rlm.state.search.build import PLACES, Source, build_file, command
from durable_rlm.state.search.errors import DamagedIndex
from durable_rlm.state.search.files import IndexFiles, remove
from durable_rlm.state.search.fts5 import Fts5Words, Fts5Writer
from durable_rlm.state.search.index import Index
from durable_rlm.state.search.words import Engine
from tests.kernel.documents import draft_of, packed

pytest.importorskip("tantivy")


def source_of(folder: Path, texts: list[str]) -> Source:
    """Write texts as an input, and return it."""
    pack, index = packed(folder, [draft_of(text, name=f"{number}") for number, text in enumerate(texts)])
    return Source(pack, index, 0, Path(pack).stat().st_size)


def built(folder: Path, source: Source, engine: Engine = "tantivy") -> Path:
    """Build an index, and return its path."""
    files = IndexFiles(folder / "search")
    files.make()
    path = files.path("n", engine)
    build_file(path, files.partial(engine), source, "n", lambda done: None, engine)
    return path


def test_both_engines_make_the_same_words_of_a_text() -> None:
    database = sqlite3.connect(":memory:")
    Fts5Writer(database)
    words = Fts5Words(database)
    known = [chr(code) for code in range(32, 0x3200) if unicodedata.category(chr(code))[0] in "LNPZ"]
    # Newer than SQLite's tables, or without its small letter there.
    odd = {"\u01e0", "\u01e1", "\u037f", "\u037a"}
    chance = random.Random(5)
    for _ in range(3_000):
        text = prepared("".join(chance.choices([one for one in known if one < "\u0500" and one not in odd], k=12)))
        phrase = words.phrase(text, begins=False)
        assert (phrase[1] if phrase else []) == plain_words(text).split(), text
    words.close()


def test_both_engines_find_the_same_passages_in_parts_of_an_input(tmp_path: Path) -> None:
    chance = random.Random(3)
    texts = [
        " ".join(chance.choices(["aa", "bb", "cc", "dd", "ee", "ff", "gg", "Grün", "付款", "日本"], k=9))
        for _ in range(120)
    ]
    source = source_of(tmp_path, texts)
    both = [Index.open(built(tmp_path, source, engine), "n", engine) for engine in ("fts5", "tantivy")]
    ranges = [(hit[1], hit[2]) for hit in both[0].search("aa bb cc dd ee ff gg", 1000)]
    for query in ("aa bb", "gruen grün", "款", "日本 付款", "aa_bb", "nothing"):
        for parts in ((), ranges[:1], ranges[::3], ranges[:3], [(0, source.end)]):
            found = [{hit[:5] for hit in index.search(query, 1000, parts)} for index in both]
            assert found[0] == found[1]


@pytest.mark.parametrize("engine", ["fts5", "tantivy"])
def test_the_first_of_equal_passages_are_found_in_their_order(tmp_path: Path, engine: Engine) -> None:
    index = Index.open(built(tmp_path, source_of(tmp_path, ["same words"] * 50), engine), "n", engine)
    assert [hit[0] for hit in index.search("same", 7)] == list(range(7))


@pytest.mark.parametrize("harm", ["mode", "link", "changed", "shorter", "missing", "folder", "places", "none noted"])
def test_a_folder_that_is_not_as_it_was_built_is_damaged(tmp_path: Path, harm: str) -> None:
    path = built(tmp_path, source_of(tmp_path, ["some words"]))
    [file] = path.glob("*.idx")
    data = file.read_bytes()
    if harm == "mode":
        file.chmod(0o620)
    elif harm == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif harm == "changed":
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "shorter":
        file.write_bytes(data[:-1])
    elif harm == "missing":
        file.unlink()
    elif harm == "folder":
        path.chmod(0o722)
    elif harm == "places":
        (path / PLACES).unlink()
    else:
        with sqlite3.connect(path / PLACES) as database:
            database.execute("DELETE FROM files")
        database.close()
    with pytest.raises(DamagedIndex):
        Index.open(path, "n", "tantivy")


def test_a_panic_of_tantivy_is_damage(tmp_path: Path) -> None:
    class PanicException(BaseException):
        """As pyo3's is called."""

    with pytest.raises(DamagedIndex, match="index out of bounds"), tantivy_words._as_damage():
        raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), tantivy_words._as_damage():
        raise KeyboardInterrupt


def test_of_two_processes_that_build_at_once_both_end_well_and_one_index_stays(tmp_path: Path) -> None:
    source = source_of(tmp_path, ["some words"])
    files = IndexFiles(tmp_path / "search")
    files.make()
    for engine in ("fts5", "tantivy"):
        path = files.path("n", engine)
        partials = [files.partial(engine), files.partial(engine)]
        for partial in partials:
            build_file(path, partial, source, "n", lambda done: None, engine)
            remove(partial)
        assert len(Index.open(path, "n", engine).search("words", 5)) == 1
    assert sorted(one.name for one in files.folder.iterdir()) == ["n.fts5", "n.tantivy"]


@pytest.mark.processes
def test_an_index_belongs_to_its_user_alone(tmp_path: Path) -> None:
    source = source_of(tmp_path, ["some words"])
    files = IndexFiles(tmp_path / "search")
    files.make()
    before = os.umask(0)
    try:
        path, partial = files.path("n", "tantivy"), files.partial("tantivy")
        subprocess.run(command(path, partial, source, "n", "tantivy"), stdin=os.openpty()[1], check=True)
    finally:
        os.umask(before)
    assert {one.stat().st_mode & 0o077 for one in [path, *path.iterdir()]} == {0}
    assert len(Index.open(path, "n", "tantivy").search("words", 5)) == 1
