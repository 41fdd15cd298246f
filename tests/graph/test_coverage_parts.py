"""Parts of an input with how much of each was read, how often and by whom."""

from itertools import pairwise
from pathlib import Path

from durable_rlm.graph.coverage import InputRead
from durable_rlm.graph.coverage_parts import BINS, bins_of, parts_read
from durable_rlm.state.evidence.coverage import coverage_of
from durable_rlm.state.evidence.journal_places import PlacedRow
from durable_rlm.state.evidence.places import Placed
from durable_rlm.state.evidence.recorded import encoded
from durable_rlm.state.evidence.sent_passages import SentPassages
from durable_rlm.state.input.context import no_context

PACK = "a" * 64


def read_of(folder: Path, text: bytes, *rows: tuple[str, tuple[int, int]]) -> InputRead:
    """Return what requests, each of a kind and with one passage, have read of a text."""
    pack = folder / "pack"
    pack.write_bytes(text)
    placed = [
        PlacedRow("t", str(at), kind, 1, True, encoded(PACK, Placed([passage])), None)
        for at, (kind, passage) in enumerate(rows)
    ]
    covered = coverage_of(placed, "t", PACK, [("a", 0, len(text))], pack)
    return InputRead(no_context(), "t", covered, SentPassages.of_rows(placed, "t", PACK))


def test_each_part_has_its_share_its_times_and_its_readers(tmp_path: Path) -> None:
    found = read_of(tmp_path, b"x" * 40, ("llm", (0, 10)), ("llm", (0, 5)), ("root", (20, 30)), ("root", (0, 1)))
    parts = parts_read(found, [(0, 5), (0, 20), (20, 30), (30, 40)])
    assert [(part.share, part.read) for part in parts] == [(1.0, 5), (0.5, 10), (1.0, 10), (0.0, 0)]
    assert [part.times for part in parts] == [2.2, 1.6, 1.0, 0.0]
    assert [(part.by_sub_models, part.by_root_model) for part in parts] == [
        *((True, True), (True, True), (False, True), (False, False)),
    ]


def test_white_space_between_passages_is_read_once_at_least(tmp_path: Path) -> None:
    found = read_of(tmp_path, b"one \n two", ("llm", (0, 3)), ("llm", (6, 9)))
    [blank] = parts_read(found, [(3, 6)])
    assert (blank.share, blank.times) == (1.0, 1.0)


def test_the_parts_of_a_text_are_the_whole_text(tmp_path: Path) -> None:
    found = read_of(tmp_path, b"x" * 1_001, ("llm", (7, 700)))
    bins = bins_of(0, 1_001)
    assert (len(bins), bins[0][0], bins[-1][1]) == (BINS, 0, 1_001)
    assert all(before[1] == after[0] for before, after in pairwise(bins))
    assert sum(part.read for part in parts_read(found, bins)) == found.coverage.read == 693


def test_a_text_of_a_few_bytes_has_as_many_parts_and_an_empty_one_none(tmp_path: Path) -> None:
    assert bins_of(5, 8) == [(5, 6), (6, 7), (7, 8)]
    assert bins_of(5, 5) == []
    assert parts_read(read_of(tmp_path, b""), []) == []
