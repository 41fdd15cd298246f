"""The wire format of a run: what its checkpoints carry. Plain JSON, references instead of texts.

Renaming anything here or in `records.py` is a migration: saved runs carry this shape. Texts (replies, code, outputs)
are hashes into `Texts`; the input is a `ContextRef`; growing lists are `DeltaChannel`s, so that a step stores
what it added and not the whole list.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from langgraph.channels.delta import DeltaChannel
from langgraph.channels.topic import Topic
from pydantic import Field
from typing_extensions import TypedDict

from .approval_records import AsksRef, BudgetGrant, VerdictRef
from .input.context import ContextRef
from .records import (
    AnswerRef,
    CellRef,
    Divergence,
    EditRecord,
    RestoreRecord,
    Status,
    StepKind,
    StepNote,
    TurnRecord,
    Usage,
    VariableRecord,
    as_usage,
)

__all__ = [
    "AnswerRef",
    "CellRef",
    "Divergence",
    "EditRecord",
    "RestoreRecord",
    "RunInput",
    "RunOutput",
    "RunState",
    "Status",
    "StepKind",
    "StepNote",
    "TurnRecord",
    "Usage",
    "VariableRecord",
    "as_usage",
    "extended",
]


def extended(current: Sequence[Any] | None, writes: Sequence[Sequence[Any]]) -> list[Any]:
    """`current` with every write appended: the reducer of growing lists."""
    result = list(current or [])
    for write in writes:
        result.extend(write)
    return result


class RunInput(TypedDict, total=False):
    """What starts a run: the form that LangGraph Studio shows. What is left out comes from the settings."""

    question: Annotated[str, Field(title="Question", description="What to find out")]
    context: Annotated[
        str | list[str] | None,
        Field(title="Context", description="The text itself, or a list of paths: files, folders and globs"),
    ]
    max_turns: Annotated[int | None, Field(title="Turns", description="Of the root model; the last must answer")]
    max_calls: Annotated[
        int | None, Field(title="Model requests", description="Root turns, retries and sub-calls together")
    ]
    max_tokens: Annotated[int | None, Field(title="Tokens", description="Input and output, of the whole tree")]
    max_cost: Annotated[float | None, Field(title="Cost in USD", description="Needs a known price")]
    max_time: Annotated[float | None, Field(title="Seconds", description="Of wall time, all sittings together")]
    approve: Annotated[
        list[str] | None,
        Field(
            title="Ask a person",
            description="Before what: code, code:writes, code:imports, code:calls, calls, calls>N, cost>USD, final, "
            "budget; or all",
        ),
    ]
    settings: Annotated[
        dict[str, Any] | None, Field(title="Settings", description="Any others, by their names in `rlm.toml`")
    ]
    context_ref: Annotated[
        ContextRef | None, Field(title="Stored context", description="An input that was stored before, for programs")
    ]


class RunState(TypedDict, total=False):
    """Everything a run is, between two nodes."""

    question: str
    settings: dict[str, Any]
    context_ref: ContextRef | None
    turn: int
    last: bool
    """Whether the turn under way is the last one, which must answer."""
    cell: CellRef | None
    waiting: int
    """Sub-calls that the standing cell waits for; 0 when no cell stands."""
    position: str
    edits: list[EditRecord]
    asks: AsksRef | None
    """What waits for a person beside a cell's code and an answer, which are here themselves."""
    approved: str | None
    """The digest of the cell that may run, or the hash of the answer that may be given: it was looked at, or no
    gate asks for that."""
    verdicts: list[VerdictRef]
    """What a person has said about sub-calls of the cell that stands."""
    leave: BudgetGrant | None
    told_first: list[str]
    """What a reviewer said before the first turn."""
    turns: Annotated[list[TurnRecord], DeltaChannel(extended, snapshot_frequency=50)]
    usage: Usage
    final: AnswerRef | None
    """What the code finished with, before it is settled."""
    answer: AnswerRef | None
    status: Status
    note: str | None
    """Why a run ended the way it did, when that needs saying."""
    spent: str | None
    """What of the budget is used up, so that the turn under way is the last one."""
    step: Annotated[Sequence[StepNote], Topic(StepNote)]


class RunOutput(TypedDict, total=False):
    """What a run shows to a plain LangGraph caller."""

    answer: AnswerRef | None
    answer_value: Annotated[
        Any, Field(title="Answer", description="The answer itself: a text, or the JSON value that the code gave")
    ]
    """Read from the store where `answer` says; in no checkpoint, so that a long one is kept once."""
    status: Status
    usage: Usage
    note: str | None
