"""Passages that requests held: how often each part was sent, and by which requests."""

import numpy
import pytest

from durable_rlm.state.evidence import recorded
from durable_rlm.state.evidence.journal_places import PlacedRow
from durable_rlm.state.evidence.places import Placed
from durable_rlm.state.evidence.recorded import encoded
from durable_rlm.state.evidence.sent_passages import SentPassages

PACK = "a" * 64


def row(key: str, *ranges: tuple[int, int], answered: bool = True, kind: str = "llm", thread: str = "t") -> PlacedRow:
    return PlacedRow(thread, key, kind, 3, answered, encoded(PACK, Placed([*ranges])), None)


def sent(*rows: PlacedRow) -> SentPassages:
    return SentPassages.of_rows(rows, "t", PACK)


def times(found: SentPassages, *ranges: tuple[int, int]) -> list[float]:
    starts, ends = numpy.array(ranges).T
    return found.mean_times(starts, ends).tolist()


def test_the_requests_of_a_part_are_named_with_what_each_held_of_it() -> None:
    found = sent(row("a", (0, 10), (30, 40)), row("b", (5, 8)), row("c", (50, 60)))
    here = [(request.key, passages) for request, passages in found.within(6, 35)]
    assert here == [("a", [(6, 10), (30, 35)]), ("b", [(6, 8)])]
    assert found.within(10, 30) == []


def test_each_part_has_the_number_of_times_that_it_was_sent() -> None:
    found = sent(row("a", (0, 10)), row("b", (0, 10)), row("c", (0, 4)))
    assert times(found, (0, 4), (4, 10), (0, 10), (10, 20)) == [3.0, 2.0, 2.4, 0.0]


def test_a_part_that_was_not_sent_does_not_count_in_how_often_the_rest_was() -> None:
    assert times(sent(row("a", (2, 4))), (0, 100)) == [1.0]


@pytest.mark.parametrize("rows", [[], [row("a", (0, 9), answered=False)], [row("a")]])
def test_nothing_was_sent_where_no_answered_request_has_a_passage(rows: list[PlacedRow]) -> None:
    found = sent(*rows)
    assert (found.requests, found.within(0, 100), times(found, (0, 9))) == ((), [], [0.0])


def test_the_root_model_of_the_run_is_another_than_those_of_sub_rlms() -> None:
    rows = [row("a", (0, 9), kind="root"), row("b", (0, 9), kind="root", thread="below"), row("c", (0, 9))]
    assert [request.by_root for request in sent(*rows).requests] == [True, False, False]


def test_many_rows_are_read_in_pieces_and_damaged_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_PIECE", 2)
    rows = [row(str(number), (10 * number, 10 * number + 5)) for number in range(7)]
    rows[3] = rows[3]._replace(places='["aaaaaaaaaaaa",1],[2')
    found = sent(*rows)
    assert [request.key for request in found.requests] == ["0", "1", "2", "4", "5", "6"]
    assert found.starts.tolist() == [0, 10, 20, 40, 50, 60]
