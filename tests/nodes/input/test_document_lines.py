"""Lines and words of a stored document, read in bounded pieces whatever the document and its lines are."""

import re
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from durable_rlm.kernel.inside import line_index
from durable_rlm.nodes.input import document_lines as module
from durable_rlm.nodes.input.document_lines import CountedLines, find_words, places_of_words, whole_characters
from durable_rlm.nodes.input.draft import Draft
from tests.kernel.documents import document, draft_of

texts = st.text("ab\n\r é日𝄞\x00", max_size=60)


def counted(folder: Path, text: str | Draft) -> CountedLines:
    lines = CountedLines(document(folder, draft_of(text) if isinstance(text, str) else text))
    lines.count(lambda: None)
    return lines


@example(text="日\r\r\n", most=4, block=1)
@given(texts, st.integers(4, 12), st.integers(1, 9))
def test_lines_are_read_as_they_stand_however_little_of_each_is_read(text: str, most: int, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_OF_A_LINE", most)
        patch.setattr(line_index, "_BLOCK", block)
        lines = counted(Path(folder), text)
        mark = "\n" if "\n" in text else "\r"
        wanted = re.findall(f"[^{mark}]*{mark}|[^{mark}]+", text)
        found = list(lines.read(1, 1_000))
        assert (lines.whole, lines.lines, [one.number for one in found]) == (
            True,
            len(wanted),
            list(range(1, len(wanted) + 1)),
        )
        char = 0
        for one, line in zip(found, wanted, strict=True):
            assert (one.char, lines.byte_of(char)) == (char, one.start)
            assert line.encode().startswith(one.text.encode())
            assert one.end - one.start == len(line.encode())
            if not one.more:
                assert one.text == line.removesuffix(mark).removesuffix("\r")
            assert list(lines.read(one.number, 1)) == [one]
            char += len(line)
        assert list(lines.read(len(wanted) + 1, 5)) == list(lines.read(0, 5)) == []


def test_lines_that_are_not_counted_yet_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "_BLOCK", 10)
    monkeypatch.setattr(line_index, "_PIECE", 20)
    lines = CountedLines(document(tmp_path, draft_of("größe\n" * 5)))
    assert (lines.lines, lines.share, lines.byte_of(3), lines.line_of(lines.start)) == (0, 0.0, None, None)
    seen: list[tuple[int, list[int], int | None, int | None]] = []

    def look() -> None:
        numbers = [one.number for one in lines.read(1, 100)]
        seen.append((lines.lines, numbers, lines.line_of(lines.start + 30), lines.byte_of(20)))

    lines.count(look)
    assert seen == [(2, [1, 2], None, None), (5, [1, 2, 3, 4, 5], 4, lines.start + 26)]
    assert (lines.whole, lines.share) == (True, 1.0)


def test_a_count_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CountedLines(document(tmp_path, draft_of("a\nb\n"))).count(stop)


def test_places_that_a_reader_marked_are_named_and_lines_are_not(tmp_path: Path) -> None:
    draft = draft_of("", kind="PDF", name="a.pdf")
    for page in ("first\n", "second\n"):
        draft.mark("pages")
        draft.write(page)
    lines = counted(tmp_path, draft)
    assert [lines.place_of(one.char) for one in lines.read(1, 9)] == ["page 1", "page 2"]
    assert counted(tmp_path / "plain", "a\nb\n").place_of(0) == ""


@pytest.mark.parametrize("character", ["a", "é", "日", "𝄞"])
def test_a_character_that_is_cut_is_left_out(character: str) -> None:
    body = f"x{character}".encode()
    assert [whole_characters(body[:size]) for size in range(1, len(body))] == [b"x"] * (len(body) - 1)
    assert whole_characters(body) == body


# -- words


@given(
    st.lists(st.sampled_from(["One", "two", " ", "\n", "İ", "ς", "Σ", "größe", "日", "𝄞", "\u00a0"]), max_size=40),
    st.sampled_from(["one", "TWO one", "i", "σ", "GRÖSSE", "größe", "日 𝄞", "one  two"]),
    st.integers(1, 40),
)
def test_words_are_found_where_they_stand_wherever_pieces_end(parts: list[str], words: str, piece: int) -> None:
    text = "".join(parts)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        lines = CountedLines(document(Path(folder), draft_of(text)))
        reached: list[int] = []
        found = list(find_words(lines.pack, lines.start, lines.end, words, reached.append))
        wanted = list(places_of_words(text, words))
        before = [text.encode()[: one.start - lines.start].decode() for one in found]
        assert before == [text[:first] for first, _ in wanted]
        assert [one.words for one in found] == [text[first:last] for first, last in wanted]
        assert sorted(reached) == reached
        assert not text or reached[-1] == lines.end


def test_nothing_is_found_by_no_words() -> None:
    assert list(places_of_words("some text", " \n ")) == []


def test_a_long_document_is_read_and_searched_in_little_memory(tmp_path: Path) -> None:
    text = "some words of a line, and then the next\n" * 200_000 + "x" * 9_000_000
    lines = CountedLines(document(tmp_path, draft_of(text)))
    del text
    tracemalloc.start()
    try:
        lines.count(lambda: None)
        assert [one.number for one in lines.read(199_990, 500)] == list(range(199_990, 200_002))
        assert sum(1 for _ in find_words(lines.pack, lines.start, lines.end, "xyz", lambda _: None)) == 0
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
