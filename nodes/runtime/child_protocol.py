"""What a node asks of whoever runs child threads (`graph/child_runs.py`): a sub-RLM's answer to one call."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ...state.input.context import ContextRef
from ...state.threads import Threads
from .call_decisions import ChildDecision
from .parked_calls import ChildWaits
from .untrusted_text import shortened

if TYPE_CHECKING:
    from .active_runs import ActiveRun

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


class Children(Protocol):
    """Runs child threads."""

    async def answer(self, caller: "ActiveRun", call: ChildCall) -> ChildAnswer:
        """Start the child thread of this call, or go on with it, until it ends or waits for a person.

        It is taken up where it was, after a crash too; what is recorded of it is never paid for again. Raises what
        keeps the caller from going on as well: StoreError, KernelStartFailed, ReplayDiverged; and BudgetSpent when a
        new one could not ask anything.
        """
        ...


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
