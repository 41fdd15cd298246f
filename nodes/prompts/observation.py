"""What the root model is told after a turn: what its cell printed, how it ended, which variables there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...kernel.session import Variable
from ..runtime.untrusted_text import cut_output, fenced, one_line

OUTPUT_LIMIT = 20_000
"""Characters of output that a turn shows to the model."""
_MOST_VARIABLES = 15
_MOST_NOTES = 8

TurnStatus = Literal["ok", "error", "timeout", "died", "none"]
"""How a turn's cell ended; `none`: the reply had nothing to run."""

_ENDED: dict[TurnStatus, str] = {
    "ok": "The cell ran.",
    "error": "The cell ended in an error. Variables that were set before it are kept.",
    "timeout": "The cell was stopped: it used up its computing time. Variables that were set before are kept.",
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
    """What the cell printed, with the traceback of an error; None when nothing ran."""
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
    """What is said after `turn`: how the cell ended, its output within `limit`, notes, nudge.

    The latest turn also lists the variables (those that `previous` did not have, or had otherwise, first),
    and `budget_line` ends it. Both stand at the end: an older observation is then a prefix of what it was
    when it was the latest, and the servers' prompt caches still hold it.
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
    """Those that the model is shown: at most a handful, changed ones first, else by name.

    Not in the order of their making, which a restored REPL need not have.
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
    """What the model should notice about its last replies: that none of them had code. Empty while all is well.

    Repeated cells and errors are notes of their turns (`repetition`).
    """
    without_code = 0
    while without_code < len(turns) and not turns[-1 - without_code].code:
        without_code += 1
    if without_code < 2:
        return []
    return [f"Notice: {without_code} replies in a row had nothing to run. Send one short ```repl block now."]
