"""Searches of calls: words in any language, the own words of prompts, and the file of words."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.matching.search_words import folded, folded_words
from durable_rlm.state.blobs.deltas import recipe_of
from durable_rlm.state.blobs.range_index import Range
from durable_rlm.state.blobs.store import Blobs, content_hash
from durable_rlm.state.call_search.file import DamagedFile, FileInUse, Marks, WordsFile, set_marks
from durable_rlm.state.call_search.filling import add
from durable_rlm.state.call_search.finding import call_candidates
from durable_rlm.state.call_search.own_words import CUT, OwnWords
from durable_rlm.state.call_search.query import Query
from durable_rlm.state.errors import UsageError
from durable_rlm.state.evidence.places import Placed
from durable_rlm.state.evidence.recorded import encoded
from durable_rlm.state.search.fts5 import TOKENIZE

TEXTS = [
    "Die Kündigungsfrist beträgt drei Monate.",
    "Either party may give notice within 30 days.",
    "契約は三十日以内に解約できます。",
    "readTimeout=5s at https://example.org/a-b_c?x=1",
    "Η ευθύνη του προμηθευτή. 계약 해지. Срок договора.",
    "GPT模型很好 and e\u0301tudes, ＦＵＬＬ",
    "no\x00tice \x1b[31mred\x1b[0m <script>",
]


def found(words: str, texts: list[str] = TEXTS) -> list[int]:
    """Return the numbers of the texts in which a search finds these words, as the file and the texts have them."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='ascii')")
    database.execute("CREATE TABLE terms (term TEXT PRIMARY KEY)")
    add(database, "words", list(enumerate(texts)))
    query = Query.of(words)

    def containing(word: str, ends: bool, most: int) -> list[str] | None:
        terms = [term for [term] in database.execute("SELECT term FROM terms")]
        some = [term for term in terms if (term.endswith(word) if ends else word in term)]
        return None if len(some) > most else some

    expression = query.expression(containing)
    assert expression is not None
    some = [number for [number] in database.execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,))]
    return sorted(number for number in some if query.found_in(texts[number]))


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("kundigungsfrist", [0]),
        ("FRIST", [0]),
        ("notice 30", [1]),
        ("notice 31", []),
        ('"give notice"', [1]),
        ('"notice give"', []),
        ("解約", [2]),
        ("三十日以内", [2]),
        ("日", [2]),
        ("timeout", [3]),
        ("a-b_c?x=1", [3]),
        ("xample.org/a-b", [3]),
        ("ευθυνη", [4]),
        ("해지", [4]),
        ("해즈", []),
        ("договор", [4]),
        ("模型", [5]),
        ("gpt模", [5]),
        ("études full", [5]),
        ("31mred <script>", [6]),
    ],
)
def test_words_are_found_in_any_language_and_within_longer_words(words: str, numbers: list[int]) -> None:
    assert found(words) == numbers


LETTERS = "aB1é模型日あ계 .-ςΣ\u0301\u00adไ"


@given(st.one_of(st.text(min_size=1, max_size=200), st.text(LETTERS, min_size=1, max_size=40)), st.data())
def test_any_part_of_a_text_that_has_a_word_is_found_in_it(text: str, data: st.DataObject) -> None:
    text = text.replace('"', "'").encode("utf-8", "replace").decode()
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : data.draw(st.integers(start + 1, len(text)))].strip()
    try:
        query = Query.of(f'"{part}"')
    except UsageError:
        return
    if query.found_in(text):
        assert found(f'"{part}"', [text]) == [0]


@pytest.mark.parametrize("words", ["", " ", '"', '""', '"""""', "… -", "*", "(", "\x00", "\ud800", "^"])
def test_words_without_a_letter_are_refused(words: str) -> None:
    with pytest.raises(UsageError, match="nothing to search for"):
        Query.of(words)


@pytest.mark.parametrize(
    "words",
    ['"a" OR "b"', "a AND b NOT c*", "col : x", 'x" OR text:"', "no\x00tice", "a\ud800b", "NEAR(a b, 5)", '"give not'],
)
def test_the_syntax_of_the_database_is_text_like_any_other(words: str) -> None:
    query = Query.of(words)
    assert found(words) == [number for number, text in enumerate(TEXTS) if query.found_in(text)]


def test_too_many_words_are_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        Query.of("a" * 1_000_000)
    with pytest.raises(UsageError, match="too much"):
        Query.of(" ".join(f"w{number}" for number in range(21)))


def test_a_snippet_is_around_the_first_match_and_marks_all_parts_in_it() -> None:
    text = "x " * 500 + "the Notice period of a Frist" + " y" * 500
    snippet = Query.of("frist notice").found_in(text)
    assert snippet is not None and len(snippet.text) < 400
    assert [snippet.text[start:end] for start, end in snippet.matches] == ["Notice", "Frist"]


@given(st.text())
def test_a_folded_text_is_as_long_as_the_text(text: str) -> None:
    assert len(folded(text)) == len(text)


@given(st.text(st.characters(max_codepoint=0x24F), max_size=40))
def test_folded_words_of_latin_texts_are_those_of_sqlite(text: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute(f'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="{TOKENIZE}")')
    database.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(words, instance)")
    database.execute("INSERT INTO words VALUES (?)", (text.replace("\x00", " "),))
    terms = [term for [term] in database.execute('SELECT term FROM terms ORDER BY "offset"')]
    ours = folded_words(text).split()
    assert len(ours) == len(terms) or any(character in text for character in "\u00ad")


INPUT = "The tenant pays the rent on the first day of each month. " * 60
ASKED = "Which duties are there?\n\n"


@pytest.fixture
def home(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE texts (hash, body); CREATE TABLE recipes (hash, body);")
    return connection


def test_the_own_words_of_a_prompt_are_those_that_are_not_cut_from_the_input(
    home: sqlite3.Connection, tmp_path: Path
) -> None:
    blobs = Blobs(tmp_path / "blobs")
    pack = blobs.put(INPUT.encode())
    prompt = f"{ASKED}{INPUT[57:2057]} Answer briefly.".encode()
    recipe = recipe_of(prompt, pack, [Range(len(ASKED), len(ASKED) + 2000, 57)])
    short = f"{ASKED}{INPUT[57:300]} Answer briefly.".encode()
    home.execute("INSERT INTO recipes VALUES (?, ?)", (content_hash(prompt), recipe))
    home.execute("INSERT INTO texts VALUES (?, ?)", (content_hash(short), short))
    with OwnWords(home, blobs) as texts:
        assert texts.of_prompt(content_hash(prompt), None) == f"{ASKED}{CUT} Answer briefly."
        assert texts.of_text(content_hash(prompt)) == prompt.decode()
        places = encoded(pack, Placed([(57, 300)], 243, len(short)))
        assert texts.of_prompt(content_hash(short), places) == f"{ASKED}{CUT} Answer briefly."
        assert texts.of_prompt(content_hash(short), None) == short.decode()
        assert texts.of_prompt(content_hash(short), '["nothing",1]') == short.decode()


def test_texts_that_are_missing_or_changed_have_no_words(home: sqlite3.Connection, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    large = blobs.put(b"secret " * 100)
    home.execute("INSERT INTO texts VALUES (?, ?)", (content_hash(b"a"), b"b"))
    home.execute("INSERT INTO recipes VALUES (?, ?)", (content_hash(b"c"), b"{}"))
    with OwnWords(home, blobs) as texts:
        assert texts.of_text(large).startswith("secret")
        blobs.path(large).write_bytes(b"public")
        for name in (content_hash(b"a"), content_hash(b"c"), content_hash(b"d"), large, "x", "../../etc/passwd"):
            assert texts.of_prompt(name, None) == texts.of_text(name) == ""


def filled(folder: Path, home: str = "id") -> WordsFile:
    file = WordsFile(folder, home)
    with file.writing() as (connection, marks):
        add(connection, "words", [(8, "one notice"), (9, "another")])
        set_marks(connection, Marks(marks.home, seq=1, rows=1))
    return file


def test_the_file_is_private_and_keeps_how_far_it_has_come(tmp_path: Path) -> None:
    file = filled(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    with file.writing() as (_, marks):
        assert marks == Marks("id", seq=1, rows=1)
    assert call_candidates(file, Query.of("otice"), 0).documents == [8]


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with pytest.raises(KeyboardInterrupt), file.writing() as (connection, marks):
        add(connection, "words", [(16, "notice")])
        set_marks(connection, Marks(marks.home, seq=2, rows=2))
        raise KeyboardInterrupt
    assert call_candidates(file, Query.of("notice"), 0).documents == [8]


def test_two_cannot_fill_the_file_at_once_but_all_can_read_it(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with file.writing() as (connection, _):
        add(connection, "words", [(16, "notice")])
        with pytest.raises(FileInUse), WordsFile(tmp_path, "id").writing():
            pass
        assert call_candidates(WordsFile(tmp_path, "id"), Query.of("notice"), 0).documents == [8]
    assert call_candidates(file, Query.of("notice"), 0).documents == [8, 16]


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all, and longer than its header " * 100)


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def _more_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON terms BEGIN DELETE FROM marks; END")


def _open_to_others(path: Path) -> None:
    path.chmod(0o666)


def _a_link(path: Path) -> None:
    os.rename(path, path.with_name("elsewhere"))  # noqa: PTH104
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("damage", [_garbage, _flipped, _more_tables, _open_to_others, _a_link])
def test_a_file_that_is_not_as_it_was_made_is_not_read(tmp_path: Path, damage: object) -> None:
    file = filled(tmp_path)
    for beside in ("-wal", "-shm"):
        (tmp_path / f"search.sqlite{beside}").unlink(missing_ok=True)
    assert callable(damage)
    damage(file.path)
    with pytest.raises(DamagedFile):
        call_candidates(file, Query.of("notice"), 0)
    with pytest.raises(DamagedFile), file.writing():
        pass
    file.remove()
    assert not file.path.is_symlink() and filled(tmp_path).path.is_file()


def test_the_file_of_another_home_is_not_read(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(DamagedFile), WordsFile(tmp_path, "other").reading():
        pass
