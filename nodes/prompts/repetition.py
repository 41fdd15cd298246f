"""Notices that a run goes in circles: the same cell again, or the same error turn after turn.

A function of recorded turns alone, and recorded with the turn: a replay, a resume and a fork tell the model the same.
"""

import re
from collections.abc import Sequence

from ...state.records import TurnRecord
from ..runtime.untrusted_text import one_line

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_FAILED = ("error", "timeout", "died")
_ERROR_LENGTH = 160


def repetition_notes(turns: Sequence[TurnRecord], ended: TurnRecord) -> list[str]:
    """Notes for the model on the turn whose cell has just ended, given those before it; none while all is well.

    `ended` has the turn's blocks, status, error and output. A cell that prints something else each time is noticed
    the third time.
    """
    before = [turn for turn in turns if turn.get("number", 0) < ended.get("number", 0) and turn.get("status")]
    return [*_same_cell(before, ended), *_same_error(before, ended)]


def _same_cell(before: Sequence[TurnRecord], ended: TurnRecord) -> list[str]:
    same = [turn for turn in before if turn.get("blocks") == ended.get("blocks")]
    if not same:
        return []
    if same[-1].get("output") == ended.get("output"):
        number = same[-1].get("number", 0)
        return [
            f"This is the same cell as in turn {number}, and it gave the same: use the variables that you have, or do "
            "something else."
        ]
    if len(same) < 2:
        return []
    return [f"This is the same cell for the {_nth(len(same) + 1)} time. If it brings nothing new, do something else."]


def _same_error(before: Sequence[TurnRecord], ended: TurnRecord) -> list[str]:
    complaint = _complaint(ended)
    count = 1
    while complaint and count <= len(before) and _complaint(before[-count]) == complaint:
        count += 1
    if count < 2:
        return []
    return [
        f"This is the {_nth(count)} turn in a row that ended with {one_line(ended.get('error') or '', _ERROR_LENGTH)}. "
        "Look at the values involved (type, a small sample) before another try, or take another way."
    ]


def _complaint(turn: TurnRecord) -> str:
    """How the turn's cell failed, but for what differs each time; empty when it did not."""
    return _ADDRESS.sub("0x", turn.get("error") or "") if turn.get("status") in _FAILED else ""


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
