"""The records that checkpoints carry: the parts of the wire format (`schema.py`). Plain JSON.

Apart from the state itself because they are needed where LangGraph is not, whose import takes a second.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from .usage import UsageTotals

StepKind = Literal["prepare", "direct", "plan", "review", "execute_code", "sub_call", "finalize", "edit"]
"""The node that made a step; `edit`: a person did, with a fork."""
Status = Literal["running", "answered", "paused", "budget", "stopped", "failed"]
"""How a thread stands. `busy` is only ever an answer to a second caller, never stored."""


class StepNote(TypedDict):
    """Which node made a step, and what it did, for `rlm steps`."""

    kind: StepKind
    turn: int
    summary: str
    answered: NotRequired[int]


class CellRef(TypedDict):
    """The cell that a turn wants to run: its code as hashes of the blocks, and the digest of it all."""

    turn: int
    blocks: list[str]
    digest: str


class VariableRecord(TypedDict):
    """A REPL variable as it was after a cell."""

    name: str
    type: str
    size: int | None
    preview: str


class Divergence(TypedDict):
    """A cell that was run again and did not ask for what it had asked for before."""

    turn: int
    missing: list[str]
    """Recorded prompts that it did not ask for, shortened."""
    new: list[str]
    """Prompts that it had not asked for before, shortened."""


class RestoreRecord(TypedDict):
    """How the REPL was brought back before a cell."""

    restored: list[str]
    """Variables that are as they were."""
    rebuilt: list[str]
    """Variables that could not be saved, made again by running earlier cells with their recorded answers."""
    lost: dict[str, str]
    """Variables that are not as they were, and why."""
    cells: int
    """Earlier cells that were run again."""
    notes: list[str]
    diverged: list[Divergence]


class EditRecord(TypedDict):
    """Variables that a person set between two cells, and where the REPL stood then."""

    turn: int
    """The turn after whose cell it was done; 0 before the first."""
    values: dict[str, str]
    """Hashes of the values, JSON texts, by name."""
    about: list[VariableRecord]
    """What people and the model are shown of them."""
    position: str
    snapshot: str | None
    lost: dict[str, str]


class TurnRecord(TypedDict, total=False):
    """What is known of a turn. `plan` writes one record, `execute_code` a second one with the same number."""

    number: int
    reply: str
    blocks: list[str]
    nudge: str | None
    notes: list[str]
    status: Literal["ok", "error", "timeout", "died"]
    output: str
    error: str | None
    short: dict[str, Any]
    """What the root's history needs of an old turn, so that its texts need not be read."""
    variables: list[VariableRecord]
    """All there were after the cell: how earlier versions kept them, whole with every turn."""
    changed: list[VariableRecord]
    """Those that are new or other than after the turn before."""
    gone: list[str]
    """Names of those that are no more."""
    seconds: float
    position: str
    """The kernel's position after the cell, and the digest of its code: what a replay must reach."""
    digest: str
    snapshot: str | None
    """The manifest of the variables after the cell; None when they could not be saved."""
    lost: dict[str, str]
    """Variables that the snapshot does not have, or not whole, and why."""
    restore: RestoreRecord
    """Present when the REPL had to be brought back for this cell."""


class Usage(TypedDict):
    """What the run has spent, its whole tree together. Tokens are counts, dollars null when unknown.

    Totals include the likely cost of requests whose outcome nobody knows; saved runs of earlier versions have only the
    totals.
    """

    model_calls: int
    reused_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    estimated_tokens: NotRequired[int]
    """How many of the tokens are an estimate for such requests."""
    uncertain_calls: NotRequired[int]
    """How many such requests there are."""
    uncertain_tokens: NotRequired[int]
    """How many tokens more than estimated they may have taken at most."""
    uncertain_cost_usd: NotRequired[float | None]
    """How many dollars more than estimated they may have cost at most."""


def as_usage(spent: UsageTotals) -> Usage:
    """The sums over a journal as the state and `--json` show them."""
    return {
        "model_calls": spent.model_calls,
        "reused_calls": spent.reused_calls,
        "input_tokens": spent.input_tokens + spent.uncertain.input_tokens,
        "output_tokens": spent.output_tokens + spent.estimated_output,
        "cost_usd": _dollars(spent.total_cost),
        "estimated_tokens": spent.estimated_tokens,
        "uncertain_calls": spent.uncertain.calls,
        "uncertain_tokens": spent.most_tokens - spent.tokens,
        "uncertain_cost_usd": _dollars(_more(spent.most_cost, spent.total_cost)),
    }


def _more(most: float | None, likely: float | None) -> float | None:
    return None if most is None or likely is None else most - likely


def _dollars(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 6)


class AnswerRef(TypedDict):
    """The settled answer: a text's hash; `typed` when the text is JSON of a value that is no string."""

    text: str
    typed: bool
