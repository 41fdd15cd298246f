"""What a person decides, checked before anything of it is done."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.types import Interrupt

from ..nodes.gates.decisions import DecisionsUnusable, decisions_in
from ..state.errors import UsageError
from ..state.threads import Thread, Threads


async def check_asked_here(threads: Threads, row: Thread) -> None:
    """Raises UsageError for a sub-RLM: what it waits for is asked of whoever watches the run at the top."""
    if row.caller is None:
        return
    top = await threads.top_of(row.thread_id)
    raise UsageError(f"{row.thread_id} is a part of {top}, which asks for it.", hint=f"Decide there: rlm review {top}")


def waiting_one(thread_id: str, waiting: Sequence[Interrupt[Any]], name: str | None) -> Interrupt[Any]:
    """The interrupt that is meant: the one called `name`, or the only one. Raises UsageError."""
    if not waiting:
        raise UsageError(f"{thread_id} waits for nobody.", hint=f"Go on with it: rlm resume {thread_id}")
    named = [found for found in waiting if name in (None, found.id)]
    if len(named) == 1:
        return named[0]
    ids = ", ".join(found.id for found in waiting)
    if name is None:
        raise UsageError(f"{len(waiting)} requests of {thread_id} wait.", hint=f"Name one with --interrupt: {ids}")
    raise UsageError(
        f"{name} does not wait in {thread_id}: it was decided already, or is of another state or run.",
        hint=f"Look at what waits now ({ids}): rlm review {thread_id}",
    )


def check_answer(interrupt: Interrupt[Any], answer: Mapping[str, Any]) -> None:
    """Raises UsageError for an answer that decides nothing about what waits."""
    try:
        decisions_in(answer, interrupt.value)
    except DecisionsUnusable as unusable:
        raise UsageError(str(unusable), hint="Nothing was decided; it still waits.") from None
