"""The wire format of a run: what its checkpoints carry. Plain JSON, references instead of texts.

Renaming anything here or in `records.py` is a migration: saved runs carry this shape. Texts (replies, code, outputs)
are hashes into `Texts`; the input is a `ContextRef`; growing lists are `DeltaChannel`s, so that a step stores
what it added and not the whole list.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from langgraph.channels.delta import DeltaChannel
from langgraph.channels.ephemeral_value import EphemeralValue
from langgraph.channels.topic import Topic
from pydantic import Field
from typing_extensions import TypedDict

from .contexts import ContextRef
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
    """What starts a run: the form that LangGraph Studio shows."""

    question: Annotated[str, Field(title="Question", description="What to find out")]
    context: Annotated[
        str | list[str] | None,
        Field(title="Context", description="the text itself, or paths of files, folders and globs"),
    ]
    context_ref: Annotated[ContextRef | None, Field(title="Stored context", description="an input stored before")]
    settings: Annotated[dict[str, Any], Field(title="Settings", description="as `rlm run` takes them")]


class RunState(TypedDict, total=False):
    """Everything a run is, between two nodes."""

    question: str
    context: Annotated[str | list[str] | None, EphemeralValue]
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
    """What a finished run shows to a plain LangGraph caller."""

    answer: AnswerRef | None
    status: Status
    usage: Usage
    note: str | None
