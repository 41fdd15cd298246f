"""Notes for the model on repeated cells and errors, from the records of the turns."""

from typing import Any

import pytest

from durable_rlm.nodes.prompts.observation import repetition_notes
from durable_rlm.state.records import TurnRecord


def turn(number: int, **facts: Any) -> TurnRecord:
    """Return a turn whose cell ran and differs from that of every other turn."""
    plain = {"number": number, "blocks": [f"code {number}"], "status": "ok", "output": f"out {number}", "error": None}
    return {**plain, **facts}  # type: ignore[typeddict-item]


def failed(number: int, error: str = "KeyError: 'x'", **facts: Any) -> TurnRecord:
    return turn(number, status="error", error=error, **facts)


def notes(*turns: TurnRecord) -> list[str]:
    """Return the notes on the last of the turns, whose code `plan` has recorded already."""
    *before, ended = turns
    planned: TurnRecord = {"number": ended.get("number", 0), "blocks": ended.get("blocks", [])}
    return repetition_notes([*before, planned], ended)


def test_turns_that_differ_get_no_note() -> None:
    assert notes(turn(1)) == []
    assert notes(turn(1), turn(2), turn(3)) == []
    assert notes(failed(1), failed(2, "ValueError: y")) == []
    assert notes(failed(1), turn(2)) == []


def test_the_same_cell_with_the_same_output_gets_a_note_however_long_ago_it_ran() -> None:
    same: dict[str, Any] = {"blocks": ["f()"], "output": "5"}
    [note] = notes(turn(1, **same), *(turn(number) for number in range(2, 40)), turn(40, **same))
    assert note.startswith("This is the same cell as in turn 1, and it gave the same")


def test_the_same_cell_with_another_output_gets_a_note_the_third_time() -> None:
    polls = [turn(number, blocks=["poll()"]) for number in (1, 2, 3)]
    assert notes(*polls[:2]) == []
    [note] = notes(*polls)
    assert "same cell for the 3rd time" in note


def test_consecutive_turns_with_the_same_error_get_a_note_with_their_number() -> None:
    assert notes(failed(1)) == []
    [note] = notes(turn(1), failed(2), failed(3), failed(4))
    assert note.startswith("This is the 3rd turn in a row that ended with KeyError: 'x'. Look at")
    assert notes(failed(1), turn(2), failed(3)) == []


def test_a_turn_without_code_does_not_break_a_row_of_errors() -> None:
    nudged: TurnRecord = {"number": 2, "blocks": [], "nudge": "no code"}
    [note] = notes(failed(1), nudged, failed(3))
    assert "2nd turn in a row" in note


def test_errors_that_differ_only_in_an_address_are_the_same() -> None:
    assert notes(failed(1, "TypeError: <f at 0x7f01>"), failed(2, "TypeError: <f at 0x7f02>"))


@pytest.mark.parametrize("status", ["timeout", "died"])
def test_timeouts_and_dead_kernels_count_as_errors_too(status: str) -> None:
    again = [failed(number, "CellTimeout: 300 s") | {"status": status} for number in (1, 2)]
    assert len(notes(*again)) == 1  # type: ignore[arg-type]


def test_the_same_cell_that_fails_in_the_same_way_gets_both_notes() -> None:
    same: dict[str, Any] = {"blocks": ["f()"], "output": "Traceback"}
    assert len(notes(failed(1, **same), failed(2, **same))) == 2


def test_a_long_error_is_cut_to_one_short_line() -> None:
    [note] = notes(*(failed(number, "ValueError: " + "long\n" * 1_000) for number in (1, 2)))
    assert len(note) < 400 and "\n" not in note
