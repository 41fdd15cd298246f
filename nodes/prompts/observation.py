"""Build the message that the root model gets after a turn: output, errors, variables, and notes on repetition.

Repetition is a function of recorded turns alone and is recorded with the turn, so a replay, a resume and a fork send
the model the same text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...kernel.results import Variable
from ...state.records import TurnRecord
from ..runtime.untrusted_text import cut_output, fenced, one_line

OUTPUT_LIMIT = 20_000
"""Characters of output that a turn shows to the model."""
_MOST_VARIABLES = 15
_MOST_NOTES = 8

TurnStatus = Literal["ok", "error", "timeout", "died", "none"]
"""The way in which a turn's cell ended; `none`: the reply had nothing to run."""

_ENDED: dict[TurnStatus, str] = {
    "ok": "The cell ran.",
    "error": "The cell ended in an error. Variables that were set before it are kept.",
    "timeout": "The cell was stopped. Variables that were set before are kept.",
    "died": "The REPL died in this cell.",
    "none": "Nothing ran.",
}


@dataclass(frozen=True)
class Turn:
    """One turn of the root, with its texts whole."""

    number: int
    reply: str
    code: tuple[str, ...] = ()
    """The blocks that ran; empty when the reply had none."""
    output: str | None = None
    """Output of the cell, with the traceback of an error; None when nothing ran."""
    status: TurnStatus = "none"
    nudge: str | None = None
    notes: tuple[str, ...] = ()
    """Short sentences: blocks that were left out, variables that could not be restored."""
    variables: Sequence[Variable] = ()
    error: str | None = None
    """`Name: message` of the exception that ended the cell."""


def observation(
    turn: Turn,
    budget_line: str = "",
    *,
    previous: Turn | None = None,
    latest: bool = True,
    limit: int = OUTPUT_LIMIT,
) -> str:
    """Return the message after `turn`: how the cell ended, its output within `limit`, notes, nudge.

    The latest turn also lists the variables (those that `previous` did not have, or had otherwise, first), and
    `budget_line` ends it. Both are at the end: an older observation is then a prefix of what it was when it was the
    latest, and the servers' prompt caches still hold it.
    """
    parts = [f"[Turn {turn.number}] {_ENDED[turn.status]}"]
    if turn.error:
        parts.append(f"Error: {one_line(turn.error, 300)}")
    if turn.output is not None:
        shown = cut_output(turn.output.rstrip(), limit)
        parts.append(f"Output:\n{fenced(shown)}" if shown else "It printed nothing: print what you want to see.")
    if turn.notes:
        parts.append("\n".join(f"Note: {one_line(note, 400)}" for note in turn.notes[:_MOST_NOTES]))
    if turn.nudge:
        parts.append(turn.nudge[:1_000])
    if latest and turn.variables:
        parts.append(_variables(turn, previous))
    if latest and budget_line:
        parts.append(budget_line)
    return "\n\n".join(parts)


def shown_variables(variables: Sequence[Variable], before: Sequence[Variable]) -> list[Variable]:
    """Return the variables that the model is shown: at most a handful, changed ones first, else by name.

    They are not in the order of their creation, which may differ in a restored REPL.
    """
    known = {variable.name: variable for variable in before}
    ordered = sorted(variables, key=lambda variable: (known.get(variable.name) == variable, variable.name))
    return ordered[:_MOST_VARIABLES]


def _variables(turn: Turn, previous: Turn | None) -> str:
    shown = shown_variables(turn.variables, previous.variables if previous else ())
    lines = [_variable(variable) for variable in shown]
    if more := len(turn.variables) - len(shown):
        lines.append(f"… and {more:,} more: SHOW_VARS() lists them")
    return "Variables:\n" + "\n".join(lines)


def _variable(variable: Variable) -> str:
    size = "" if variable.size is None else f", size {variable.size:,}"
    return f"- {one_line(variable.name, 60)}: {one_line(variable.type, 40)}{size} = {one_line(variable.preview, 60)}"


def notices(turns: Sequence[Turn]) -> list[str]:
    """Return a notice when none of the model's last replies had code; an empty list otherwise.

    Repeated cells and errors are notes of their turns (`repetition_notes`).
    """
    without_code = 0
    while without_code < len(turns) and not turns[-1 - without_code].code:
        without_code += 1
    if without_code < 2:
        return []
    return [f"Notice: {without_code} replies in a row had nothing to run. Send one short ```repl block now."]


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_FAILED = ("error", "timeout", "died")
_ERROR_LENGTH = 160


def repetition_notes(turns: Sequence[TurnRecord], ended: TurnRecord) -> list[str]:
    """Return notes for the model on the turn whose cell has just ended, given those before it; none if nothing repeats.

    `ended` has the turn's blocks, status, error and output. A cell that prints something else each time is noticed the
    third time.
    """
    before = [turn for turn in turns if turn.get("number", 0) < ended.get("number", 0) and turn.get("status")]
    return [*_same_cell(before, ended), *_same_error(before, ended)]


def repeats_error(turns: Sequence[TurnRecord], ended: TurnRecord) -> bool:
    """Return whether the turn whose cell has just ended failed as the turn with code before it did."""
    before = [turn for turn in turns if turn.get("number", 0) < ended.get("number", 0) and turn.get("status")]
    return bool(_same_error(before, ended))


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
    """Return how the turn's cell failed, without what differs each time; empty when it did not fail."""
    return _ADDRESS.sub("0x", turn.get("error") or "") if turn.get("status") in _FAILED else ""


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
