"""Send the events of a run, small dicts on LangGraph's custom stream, to displays and SDK clients.

Each has `event` and the thread that it is about. Nothing depends on events: they may be dropped.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired

from langgraph.config import get_stream_writer
from typing_extensions import TypedDict

from ...state.records import Usage


class NamedEvent(TypedDict):
    """A run that was given no name has this one now, and is about to enter the index of runs."""

    event: Literal["named"]
    thread_id: str
    """The name of the run."""


class BegunEvent(TypedDict):
    """The execution begins: the run is saved, and this process holds it."""

    event: Literal["begun"]
    thread_id: str
    """The name of the run."""


class InputEvent(TypedDict):
    """The input is being stored."""

    event: Literal["input"]
    documents: int
    """The number of documents so far."""
    bytes: int
    """Their size so far."""
    name: str
    """The document that is read now; empty at the end."""
    done: bool
    """True at the end."""
    files: NotRequired[int]
    """The number of files read or skipped so far."""
    of_files: NotRequired[int]
    """The number of files to read."""
    seconds_left: NotRequired[float | None]
    """An estimate; None while there is none."""
    notes: NotRequired[list[str]]
    """At the end: what was left out, and why."""


class OneCallEvent(TypedDict):
    """The input of a new run of mode `rlm` fits one model call."""

    event: Literal["one_call"]


class DirectEvent(TypedDict):
    """The whole input is given to the root model, which then has answered, or the run takes the REPL."""

    event: Literal["direct"]
    outcome: Literal["asking", "answered", "repl"]
    """`asking`: the request is sent; `answered`: it has answered; `repl`: the run continues in the REPL."""
    why: str
    """The reason for taking the REPL, or a note on the answer; else empty."""


class TurnEvent(TypedDict):
    """The root model is being asked."""

    event: Literal["turn"]
    turn: int
    """The number of the turn, from 1."""
    of: int
    """The limit on turns."""
    last: bool
    """True when this turn must answer, because a limit is reached."""


class WritingEvent(TypedDict):
    """The root model's reply arrives. Only where its server streams, and at most twice a second."""

    event: Literal["writing"]
    turn: int
    """The turn of the reply; 0 for an answer to the whole input."""
    tokens: int
    """An estimate of the tokens that have arrived, thoughts included."""
    per_second: int
    """Tokens a second since the first one."""


class NudgeEvent(TypedDict):
    """The root model's reply had nothing to run."""

    event: Literal["nudge"]
    turn: int
    """The turn of the reply."""
    reason: str
    """The reason why there is nothing to run."""


class CodeEvent(TypedDict):
    """A cell begins."""

    event: Literal["code"]
    turn: int
    """The turn of the cell."""
    code: str
    """Its blocks of code, with an empty line between them."""


class CallsEvent(TypedDict):
    """Sub-calls of the running cell, counted."""

    event: Literal["calls"]
    turn: int
    """The turn of the cell."""
    posted: int
    """Sub-calls that the cell has made."""
    answered: int
    """Those that have an answer."""
    failed: int
    """Those that got an error."""
    reused: int
    """Those whose answer or error was recorded before, and cost nothing."""
    in_flight: int
    """Those being answered now, at most the setting `concurrency`."""
    usage: Usage
    """The usage of the run so far."""


class OutputEvent(TypedDict):
    """The cell has ended."""

    event: Literal["output"]
    turn: int
    """The turn of the cell."""
    status: str
    """`ok`, `error`, `timeout` or `died` (its kernel did)."""
    preview: str
    """The first 2,000 characters of its output."""
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
    """The model, `provider:name`."""
    reason: str
    """The failure."""
    seconds: float
    """The wait before the next attempt."""


class RestoreEvent(TypedDict):
    """Variables as of `turn` are restored by replaying cell number `cells` of `of`; 0 of 0: by loading a snapshot."""

    event: Literal["restore"]
    cells: int
    """The number of the replayed cell, from 1."""
    of: int
    """The number of cells to replay."""
    turn: int
    """The turn after which the variables were as they will be."""


class IndexingEvent(TypedDict):
    """A search waits for the index of a large input, which is built. At most twice a second."""

    event: Literal["indexing"]
    bytes: int
    """Bytes of the input that are done; less than `of_bytes` at the end when it has failed."""
    of_bytes: int
    """Bytes of the input."""
    seconds: float
    """Seconds since the beginning."""
    done: bool
    """True at the end."""


class NoticeEvent(TypedDict):
    """A sentence for the user."""

    event: Literal["notice"]
    text: str
    """The sentence."""


class ChildEvent(TypedDict):
    """A sub-RLM of the running cell, or one below it.

    `running` in its `turn`; `paused` while it waits for a reviewer; then `answered`, `budget` (its budget is spent) or
    `failed`. One that ended in an earlier execution is reported too, with its status, when its recorded answer is used.
    """

    event: Literal["child"]
    thread_id: str
    """The sub-RLM's thread."""
    depth: int
    """The number of runs above it."""
    question: str
    """Its question on one line, shortened."""
    status: str
    """Its status, see above."""
    turn: NotRequired[int]
    """Its turn, only with `running`."""
    usage: NotRequired[Usage]
    """The usage of the run that is watched."""


Event = (
    NamedEvent
    | BegunEvent
    | InputEvent
    | OneCallEvent
    | DirectEvent
    | TurnEvent
    | WritingEvent
    | NudgeEvent
    | CodeEvent
    | CallsEvent
    | OutputEvent
    | UsageEvent
    | RetryEvent
    | RestoreEvent
    | IndexingEvent
    | NoticeEvent
    | ChildEvent
)
"""The events that `Runner.stream` yields before the end, and that `on_event` is called with."""

EventName = Literal[
    "named",
    "begun",
    "input",
    "direct",
    "turn",
    "writing",
    "nudge",
    "code",
    "calls",
    "output",
    "usage",
    "retry",
    "restore",
    "indexing",
    "notice",
    "child",
    "one_call",
]

OnEvent = Callable[[Event], None]
"""A function that is called with each event of a run (`Event`), on the event loop, which it must not block."""


def ignore_event(event: Mapping[str, Any]) -> None:
    """Do nothing with an event."""
    del event


def emit(event: EventName, **facts: Any) -> None:
    """Put an event on the stream of the node that runs; outside of a graph, do nothing."""
    emit_event({"event": event, **facts})


def emit_writing(turn: int, tokens: int, per_second: int) -> None:
    """Report a reply that arrives, for `ModelRequest.on_output`."""
    emit("writing", turn=turn, tokens=tokens, per_second=per_second)


def emit_event(event: Mapping[str, Any]) -> None:
    """Put a complete event dict on the stream of the node that runs, as `emit` does."""
    try:
        writer = get_stream_writer()
    except (RuntimeError, LookupError, KeyError):
        return
    writer(event)
