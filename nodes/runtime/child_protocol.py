"""Define the call that a sub-RLM answers, its answer, and the events about it. `graph/sub_rlms.py` runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...state.evidence.places import Cut
from ...state.input.context import ContextRef
from ...state.threads import Threads
from .call_decisions import ChildDecision
from .parked_calls import WaitingChild
from .untrusted_text import shortened_line

_QUESTION = 200
"""Characters of a question that an event shows."""


@dataclass(frozen=True)
class ChildCall:
    """A call that a child run answers."""

    key: str
    turn: int
    question: str
    model: str
    """The child run's root model."""
    context: ContextRef
    schema: dict[str, Any] | None = None
    """JSON Schema that the answer must match."""
    decided: ChildDecision | None = None
    """A reviewer's decision about the call, which is handed down."""
    request: str = ""
    """The digest of the call with what answers it."""
    line: int | None = None
    """The line of the block of code that led to it."""
    cuts: Sequence[Cut] = ()
    """The parts of documents that the question was cut from, as the kernel says."""


@dataclass(frozen=True)
class ChildAnswer:
    """The outcome of a child run: a value, or the reason why it has no value."""

    value: Any = None
    error: str | None = None
    spent: bool = False
    """True when there is no answer because the budget is spent; with another budget the child resumes."""
    waiting: WaitingChild | None = None
    """Set when there is no answer yet, because the child run waits for a reviewer."""


def child_event(thread_id: str, depth: int, question: str) -> dict[str, Any]:
    """Return what every event about a child run has; see `events.py` for the rest."""
    return {
        "event": "child",
        "thread_id": thread_id,
        "depth": depth,
        "question": shortened_line(question, _QUESTION),
    }


async def descendant_events(threads: Threads, thread_id: str) -> list[dict[str, Any]]:
    """Return an event for each run below a child run that has ended: for a child that has ended itself, or resumes."""
    below = await threads.below(thread_id)
    ended = [row for row in below if row.status in ("answered", "budget", "failed")]
    return [{**child_event(row.thread_id, row.depth, row.question), "status": row.status} for row in ended]
