"""The call that a sub-RLM answers, its answer, and the events about it. `graph/child_runs.py` runs it."""

from dataclasses import dataclass
from typing import Any

from ...state.input.context import ContextRef
from ...state.threads import Threads
from .call_decisions import ChildDecision
from .parked_calls import ChildWaits
from .untrusted_text import shortened

_QUESTION = 200
"""Characters of a question that an event shows."""


@dataclass(frozen=True)
class ChildCall:
    """A call that a run of its own answers."""

    key: str
    turn: int
    question: str
    model: str
    """Its root model."""
    context: ContextRef
    schema: dict[str, Any] | None = None
    """What its answer must match."""
    decided: ChildDecision | None = None
    """What a person has decided about it, which is handed down."""


@dataclass(frozen=True)
class ChildAnswer:
    """What came of it: a value, or why there is none."""

    value: Any = None
    error: str | None = None
    spent: bool = False
    """Whether there is no answer because the budget is spent: it goes on with another one."""
    waits: ChildWaits | None = None
    """There is no answer yet: the run waits for a person."""


def child_event(thread_id: str, depth: int, question: str) -> dict[str, Any]:
    """What every event about a child run says; see `events.py` for the rest."""
    return {
        "event": "child",
        "thread_id": thread_id,
        "depth": depth,
        "question": shortened(" ".join(question.split()), _QUESTION),
    }


async def descendant_events(threads: Threads, thread_id: str) -> list[dict[str, Any]]:
    """Events for all that have ended below a child run, for one that was found so or goes on."""
    below = await threads.below(thread_id)
    ended = [row for row in below if row.status in ("answered", "budget", "failed")]
    return [{**child_event(row.thread_id, row.depth, row.question), "status": row.status} for row in ended]
