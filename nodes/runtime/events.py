"""Send the events of a run, small dicts on LangGraph's custom stream, to displays and SDK clients.

Each has `event` and the thread that it is about. Nothing depends on events: they may be dropped.
"""

from collections.abc import Callable
from typing import Any, Literal, NotRequired

from langgraph.config import get_stream_writer
from typing_extensions import TypedDict

from ...state.records import Usage


class NamedEvent(TypedDict):
    """A run that was given no name has this one now, and is about to enter the index of runs."""

    event: Literal["named"]
    thread_id: str


class InputEvent(TypedDict):
    """The input is being stored."""

    event: Literal["input"]
    documents: int
    bytes: int
    name: str
    """The document that is read now; empty at the end."""
    done: bool
    notes: NotRequired[list[str]]
    """At the end: what was left out, and why."""


class OneCallEvent(TypedDict):
    """The input of a new run of mode `rlm` fits one model call."""

    event: Literal["one_call"]


class DirectEvent(TypedDict):
    """The whole input is given to the root model, which then has answered, or the run takes the REPL."""

    event: Literal["direct"]
    outcome: Literal["asking", "answered", "repl"]
    why: str


class TurnEvent(TypedDict):
    """The root model is being asked."""

    event: Literal["turn"]
    turn: int
    of: int
    last: bool


class NudgeEvent(TypedDict):
    """The root model's reply had nothing to run."""

    event: Literal["nudge"]
    turn: int
    reason: str


class CodeEvent(TypedDict):
    """A cell begins."""

    event: Literal["code"]
    turn: int
    code: str


class CallsEvent(TypedDict):
    """Sub-calls of the running cell, counted."""

    event: Literal["calls"]
    turn: int
    posted: int
    answered: int
    failed: int
    reused: int
    in_flight: int
    usage: Usage


class OutputEvent(TypedDict):
    """The cell has ended."""

    event: Literal["output"]
    turn: int
    status: str
    preview: str
    elapsed: float
    """Seconds of the cell."""


class UsageEvent(Usage):
    """The usage of the run so far."""

    event: Literal["usage"]
    elapsed: float
    """Seconds of all executions."""


class RetryEvent(TypedDict):
    """A request failed and is sent again after `seconds`."""

    event: Literal["retry"]
    model: str
    reason: str
    seconds: float


class RestoreEvent(TypedDict):
    """Variables as of `turn` are restored by replaying cell number `cells` of `of`; 0 of 0: by loading a snapshot."""

    event: Literal["restore"]
    cells: int
    of: int
    turn: int


class NoticeEvent(TypedDict):
    """A sentence for the user."""

    event: Literal["notice"]
    text: str


class ChildEvent(TypedDict, total=False):
    """A sub-RLM of the running cell, or one below it.

    `running` in its `turn`; then `answered`, `budget` (its budget is spent) or `failed`. One that ended in an earlier
    execution is reported too, with its status, when its recorded answer is used.
    """

    event: Literal["child"]
    thread_id: str
    depth: int
    """Runs above it."""
    question: str
    status: str
    turn: int
    usage: Usage
    """Of the run that is watched."""


Event = (
    NamedEvent
    | InputEvent
    | OneCallEvent
    | DirectEvent
    | TurnEvent
    | NudgeEvent
    | CodeEvent
    | CallsEvent
    | OutputEvent
    | UsageEvent
    | RetryEvent
    | RestoreEvent
    | NoticeEvent
    | ChildEvent
)
"""The events that `Runner.stream` yields before the end, and that `on_event` is called with."""

EventName = Literal[
    "named",
    "input",
    "direct",
    "turn",
    "nudge",
    "code",
    "calls",
    "output",
    "usage",
    "retry",
    "restore",
    "notice",
    "child",
    "one_call",
]

Emit = Callable[[dict[str, Any]], None]


def emit(event: EventName, **facts: Any) -> None:
    """Put an event on the stream of the node that runs; outside of a graph, do nothing."""
    emit_event({"event": event, **facts})


def emit_event(event: dict[str, Any]) -> None:
    """Put a complete event dict on the stream of the node that runs, as `emit` does."""
    try:
        writer = get_stream_writer()
    except (RuntimeError, LookupError, KeyError):
        return
    writer(event)
