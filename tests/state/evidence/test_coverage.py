"""Coverage: which parts of an input requests held, added up by document."""

from pathlib import Path

import pytest

from durable_rlm.state.evidence.coverage import Coverage, coverage_of
from durable_rlm.state.evidence.journal_places import PlacedRow
from durable_rlm.state.evidence.places import Document, Placed
from durable_rlm.state.evidence.recorded import added_up, encoded

PACK = "a" * 64


def row(
    *ranges: tuple[int, int], key: str = "1", kind: str = "llm", thread: str = "t", answered: bool = True, size: int = 0
) -> PlacedRow:
    held = sum(end - start for start, end in ranges)
    return PlacedRow(thread, key, kind, 1, answered, encoded(PACK, Placed([*ranges], held, size or held)), None)


def covered(tmp_path: Path, text: bytes, documents: list[Document], *rows: PlacedRow, asked: bool = False) -> Coverage:
    pack = tmp_path / "pack"
    pack.write_bytes(text)
    return coverage_of(rows, "t", PACK, documents, pack, asked=asked)


def test_a_record_is_read_as_it_was_written() -> None:
    found = Placed([(5, 10), (10, 12), (1_000_000_000, 1_000_000_100)], 107, 250)
    sent = added_up([encoded(PACK, found)], PACK)
    assert (sent.edges, sent.size, sent.placed, sent.texts) == (
        [5, 10, 10, 12, 1_000_000_000, 1_000_000_100],
        250,
        107,
        1,
    )


@pytest.mark.parametrize(
    "damaged", ["", "{", "[]", "null", '["aaaaaaaaaaaa",1]', '["aaaaaaaaaaaa",1,1,-5,3]', "[1,2,3]"]
)
def test_a_damaged_record_counts_for_nothing_and_harms_no_other(damaged: str) -> None:
    whole = encoded(PACK, Placed([(0, 4)], 4, 9))
    assert added_up([whole, damaged, whole], PACK).edges == [0, 4, 0, 4]


def test_ranges_of_another_input_do_not_count() -> None:
    assert added_up([encoded("b" * 64, Placed([(0, 4)], 4, 9))], PACK).texts == 0


def test_bytes_that_several_requests_hold_count_once(tmp_path: Path) -> None:
    documents = [("a", 0, 10), ("b", 10, 20), ("c", 20, 40)]
    found = covered(tmp_path, b"x" * 40, documents, row((0, 6)), row((4, 10), (12, 14)), row((13, 18)))
    assert [(one.name, one.read) for one in found.documents] == [("a", 10), ("b", 6), ("c", 0)]
    assert [one.name for one in found.whole] == ["a"]
    assert [one.name for one in found.never] == ["c"]
    assert found.share == pytest.approx(16 / 40)


def test_a_range_over_the_end_of_a_document_counts_for_both(tmp_path: Path) -> None:
    found = covered(tmp_path, b"x" * 20, [("a", 0, 10), ("b", 10, 20)], row((8, 13)))
    assert [one.read for one in found.documents] == [2, 3]


def test_white_space_between_passages_that_were_read_counts_as_read(tmp_path: Path) -> None:
    text = b"\n\none two\n\n  three\n" + b"four\n"
    found = covered(tmp_path, text, [("a", 0, 19), ("b", 19, 24)], row((2, 9)), row((13, 18)))
    assert [(one.read, one.size) for one in found.documents] == [(19, 19), (0, 5)]


def test_a_word_between_passages_that_were_read_does_not(tmp_path: Path) -> None:
    found = covered(tmp_path, b"one x two", [("a", 0, 9)], row((0, 3)), row((6, 9)))
    assert found.documents[0].read == 6


def test_sub_models_and_the_root_model_are_counted_apart(tmp_path: Path) -> None:
    rows = [row((0, 4)), row((2, 6), kind="root"), row((8, 10), kind="root", thread="child")]
    [only] = covered(tmp_path, b"x" * 10, [("a", 0, 10)], *rows).documents
    assert (only.read, only.by_sub_models, only.by_root_model) == (8, 6, 4)


def test_a_request_without_an_answer_was_read_by_nobody_but_was_asked(tmp_path: Path) -> None:
    failed = row((0, 5), answered=False)
    assert covered(tmp_path, b"x" * 10, [("a", 0, 10)], row(), failed).read == 0
    assert covered(tmp_path, b"x" * 10, [("a", 0, 10)], row(), failed, asked=True).read == 5


def test_nothing_is_said_of_requests_of_which_nothing_is_recorded(tmp_path: Path) -> None:
    older = PlacedRow("t", "1", "llm", 1, True, None, None)
    found = covered(tmp_path, b"x" * 10, [("a", 0, 10)], older)
    assert (found.share, found.sub_models.unknown) == (None, 1)


def test_words_that_are_not_in_the_input_are_counted_as_not_placed(tmp_path: Path) -> None:
    found = covered(tmp_path, b"x" * 10, [("a", 0, 10)], row((0, 5), size=20), row(size=7))
    assert (found.sub_models.sent.size, found.sub_models.sent.placed) == (27, 5)


def test_a_document_without_text_is_not_one_that_was_never_read(tmp_path: Path) -> None:
    found = covered(tmp_path, b"x" * 10, [("a", 0, 10), ("empty", 10, 10)], row((0, 10)))
    assert (found.never, found.share) == ([], 1.0)


def test_an_input_without_bytes_has_no_coverage(tmp_path: Path) -> None:
    assert covered(tmp_path, b"", [], row()).share is None
