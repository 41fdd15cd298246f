"""The wire format of a run: the contents of its checkpoints. Plain JSON, references instead of texts.

Renaming anything here or in `records.py` is a migration: saved runs have this shape. Texts (replies, code, outputs)
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
    FormerModels,
    RestoreRecord,
    Status,
    StepKind,
    StepNote,
    TurnRecord,
    Usage,
    VariableRecord,
    as_usage,
)
from .setting_specs import SETTINGS

__all__ = [
    "AnswerRef",
    "CellRef",
    "Divergence",
    "EditRecord",
    "FormerModels",
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
    """Return `current` with every write appended: the reducer of growing lists."""
    result = list(current or [])
    for write in writes:
        result.extend(write)
    return result


def _setting(name: str) -> Any:
    """Return the form's field of a setting."""
    return Field(title=SETTINGS[name].title, description=SETTINGS[name].help)


class RunInput(TypedDict, total=False):
    """The input of a run: the form that LangGraph Studio shows. Omitted fields come from the settings."""

    question: Annotated[str, Field(title="Question", description="What to find out")]
    context: Annotated[
        str | list[str] | None,
        Field(title="Context", description="The text itself, or a list of paths: files, folders and globs"),
    ]
    max_turns: Annotated[int | None, _setting("max_turns")]
    max_calls: Annotated[int | None, _setting("max_calls")]
    max_tokens: Annotated[int | None, _setting("max_tokens")]
    max_cost: Annotated[float | None, _setting("max_cost")]
    max_time: Annotated[float | None, _setting("max_time")]
    approve: Annotated[list[str] | None, _setting("approve")]
    settings: Annotated[
        dict[str, Any] | None, Field(title="Settings", description="Any others, by their names in `rlm.toml`")
    ]
    context_ref: Annotated[
        ContextRef | None, Field(title="Stored context", description="An input that was stored before, for programs")
    ]


class RunState(TypedDict, total=False):
    """The whole state of a run between two nodes."""

    question: str
    settings: dict[str, Any]
    former_models: list[FormerModels]
    context_ref: ContextRef | None
    turn: int
    last: bool
    """True when the turn under way is the last one, which must answer."""
    cell: CellRef | None
    waiting: int
    """Sub-calls that the cell under way waits for; 0 when no cell is under way."""
    position: str
    edits: list[EditRecord]
    asks: AsksRef | None
    """Approval requests other than for a cell's code or an answer, which are in this state themselves."""
    approved: str | None
    """The digest of the cell that may run, or the hash of the answer that may be given: it was approved, or no
    gate applies to it.
    """
    verdicts: list[VerdictRef]
    """The reviewer's decisions about sub-calls of the cell under way."""
    leave: BudgetGrant | None
    told_first: list[str]
    """Messages of a reviewer from before the first turn."""
    turns: Annotated[list[TurnRecord], DeltaChannel(extended, snapshot_frequency=50)]
    usage: Usage
    final: AnswerRef | None
    """The answer that the code gave, before it is settled."""
    answer: AnswerRef | None
    status: Status
    note: str | None
    """The reason why a run ended as it did, where that needs an explanation."""
    spent: str | None
    """The budget that is spent, so that the turn under way is the last one."""
    step: Annotated[Sequence[StepNote], Topic(StepNote)]


class RunOutput(TypedDict, total=False):
    """The output of a run for a plain LangGraph caller."""

    answer: AnswerRef | None
    answer_value: Annotated[
        Any, Field(title="Answer", description="The answer itself: a text, or the JSON value that the code gave")
    ]
    """Read from the store as `answer` says; in no checkpoint, so that a long answer is stored once."""
    citations: Annotated[
        list[dict[str, Any]],
        Field(title="Citations", description="The passages of the input that the answer cites, each checked"),
    ]
    """Read from the store likewise."""
    status: Status
    usage: Usage
    note: str | None
