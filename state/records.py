"""The records in checkpoints: the parts of the wire format (`run_state.py`). Plain JSON.

Separate from the state itself because they are needed without LangGraph, whose import takes a second.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from .usage import UsageTotals

StepKind = Literal["prepare", "direct", "plan", "review", "execute_code", "sub_call", "finalize", "edit"]
"""The node that made a step; `edit`: a user did, with a fork, or with a resume that changes the models."""
Status = Literal["running", "answered", "paused", "budget", "stopped", "failed"]
"""The status of a thread. `busy` is only ever an answer to a second caller, never stored."""
CellStatus = Literal["ok", "error", "timeout", "died"]
"""The way in which a cell ended."""


class StepNote(TypedDict):
    """The node that made a step and a summary of it, for `rlm steps`."""

    kind: StepKind
    turn: int
    summary: str
    answered: NotRequired[int]


class CellRef(TypedDict):
    """The cell of a turn that is to run: its code as hashes of the blocks, and the digest of all of it."""

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
    """A replayed cell whose requests differ from those recorded."""

    turn: int
    """The turn of the cell."""
    missing: list[str]
    """Recorded prompts that it did not ask for, shortened."""
    new: list[str]
    """Prompts that it had not asked for before, shortened."""


class RestoreRecord(TypedDict):
    """The result of restoring the REPL before a cell."""

    restored: list[str]
    """Variables that are as they were."""
    rebuilt: list[str]
    """Variables that could not be saved, recreated by replaying earlier cells with their recorded answers."""
    lost: dict[str, str]
    """Variables that are not as they were, and why."""
    cells: int
    """The number of earlier cells that were replayed."""
    notes: list[str]
    """Sentences about the restore, for the user."""
    diverged: list[Divergence]
    """The replayed cells that asked for something else than is recorded."""


class EditRecord(TypedDict):
    """Variables that a user set between two cells, and the REPL's position and snapshot then."""

    turn: int
    """The turn after whose cell the edit was made; 0 before the first."""
    values: dict[str, str]
    """Hashes of the values, JSON texts, by name."""
    about: list[VariableRecord]
    """Their descriptions, as shown to users and to the model."""
    position: str
    snapshot: str | None
    lost: dict[str, str]


class BlockRecord(TypedDict):
    """One block of a cell that ran, as the kernel says: numbers of hostile code, within bounds."""

    output: tuple[int, int]
    """The part of the cell's output that it printed, in characters."""
    error: str | None
    """`Name: message` of the exception that ended it."""
    seconds: float
    computed: float
    """The seconds of them that it did not wait for sub-calls."""


class TurnRecord(TypedDict, total=False):
    """The record of a turn. `plan` writes one record, `execute_code` a second one with the same number."""

    number: int
    reply: str
    """The root model's reply, without its thoughts."""
    thoughts: str
    """The root model's thoughts before it, where the server shows them."""
    summary: str
    """The first sentence of what the turn does, at most 200 characters."""
    blocks: list[str]
    replaced: bool
    """True when the code is a reviewer's or a user's and not the model's."""
    nudge: str | None
    notes: list[str]
    status: CellStatus
    output: str
    error: str | None
    short: dict[str, Any]
    """The parts of an old turn that the root model's history needs, so that its texts need not be read."""
    variables: list[VariableRecord]
    """All variables after the cell, whole with every turn; written by earlier versions."""
    changed: list[VariableRecord]
    """Variables that are new or have changed since the turn before."""
    gone: list[str]
    """Names of variables that no longer exist."""
    seconds: float
    began: float
    """The time at which the cell began in the kernel that ran it to its end, in seconds since 1970."""
    ended: float
    computed: float
    """The seconds that the cell computed: those in which it waited for no sub-call, and for no reviewer."""
    parts: list[BlockRecord]
    """The blocks that ran, in order."""
    marks: list[Literal["same-error", "invented"]]
    """Words for what is special about the turn, beside what the rest of the record says: it ended with the error of the
    turn before, or its reply had an output that the model invented.
    """
    position: str
    """The kernel's position after the cell, which a replay must reach; `digest` is that of the cell's code."""
    digest: str
    snapshot: str | None
    """The manifest of the variables after the cell; None when they could not be saved."""
    lost: dict[str, str]
    """Variables that the snapshot lacks or holds incompletely, and why."""
    held: str
    """The digest of a final value that was held back for one turn."""
    uncited: bool
    """True when a final value was sent back because not all of its quotations were verified."""
    unread: int
    """The number of documents that no model was shown, where the model was given a note on it."""
    seen: list[tuple[str, int, int]]
    """The parts that the output was cut from, as the kernel says: documents by name, with ranges of characters."""
    displays: str
    """The hash of the display forms of changed variables by name, a JSON text; absent without any."""
    restore: RestoreRecord
    """Present when the REPL had to be restored for this cell."""


class Usage(TypedDict):
    """The usage of the run's whole tree. Tokens are counts, dollars null when unknown.

    Totals include the likely cost of uncertain requests; saved runs of earlier versions have only the totals.
    """

    model_calls: int
    """The number of requests sent: root turns, sub-calls and retries."""
    reused_calls: int
    """The number of calls answered from the journal, without a request."""
    input_tokens: int
    """Tokens of all requests."""
    output_tokens: int
    """Tokens of all answers."""
    cost_usd: float | None
    """US dollars; None when a price is unknown."""
    thought_tokens: NotRequired[int]
    """The part of the output tokens that were thoughts, as far as servers say."""
    cached_tokens: NotRequired[int]
    """The part of the input tokens that came from a provider's cache."""
    estimated_tokens: NotRequired[int]
    """The part of the tokens that is an estimate for uncertain requests."""
    uncertain_calls: NotRequired[int]
    """The number of uncertain requests."""
    uncertain_tokens: NotRequired[int]
    """The most tokens that they may have taken beyond the estimate."""
    uncertain_cost_usd: NotRequired[float | None]
    """The most dollars that they may have cost beyond the estimate."""
    coverage: NotRequired[float | None]
    """The share of the input, 0 to 1, that models were shown; None without an input, and where it is not known."""


def as_usage(spent: UsageTotals) -> Usage:
    """Return usage totals as the state and `--json` show them."""
    return {
        "model_calls": spent.model_calls,
        "reused_calls": spent.reused_calls,
        "input_tokens": spent.input_tokens + spent.uncertain.input_tokens,
        "output_tokens": spent.output_tokens + spent.estimated_output,
        "thought_tokens": spent.details.thought_tokens,
        "cached_tokens": spent.details.cached_tokens,
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


class FormerModels(TypedDict):
    """The models that a run asked, and how, until this was changed."""

    until: int
    """The last turn that was begun with them."""
    settings: dict[str, Any]
    """The settings that a resume may change (`MODEL_SETTINGS`), as they were."""


class AnswerFile(TypedDict):
    """A file that code has left for the user beside the answer: its path, its bytes, and the hash of its content."""

    name: str
    size: int
    hash: str


class TableRef(TypedDict):
    """The rows of an answer that is a table (`answer_tables.py`)."""

    batches: list[str]
    """Hashes of the batches, in order."""


class AnswerRef(TypedDict):
    """The settled answer: a text's hash; `typed` when the text is JSON of a value that is not a string.

    With `table` the text is the head of a table, and the answer the list of its rows as objects.
    """

    text: str
    typed: bool
    table: NotRequired[TableRef]
    files: NotRequired[list[AnswerFile]]
    citations: NotRequired[str]
    """The hash of the list of what it cites, as JSON (`evidence/citations.py`); absent when it cites nothing."""
