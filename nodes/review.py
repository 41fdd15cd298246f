"""`review`: interrupt the run for a reviewer, before code runs, sub-calls are made, money is spent or a run ends.

The node only interrupts, with a request made from the state. LangGraph runs an interrupted node again from its top, so
nothing else may happen in it. The effect of a decision is the update that the node returns.

LangGraph hands a plain `Command(resume=…)` to whichever interrupt comes next, even if the answer was given to another
one: the state was edited meanwhile, or the client used an older state. What an interrupt has shown is saved with its
task; an answer counts when that is found there and equals what is asked now.
"""

import itertools
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, interrupt

from ..state.run_state import RunState
from .approval.apply import apply_decisions, auto_pass
from .approval.call_listing import whole_request
from .approval.decisions import DecisionsUnusable, decisions_in
from .approval.requests import approval_request_of
from .runtime.active_runs import thread_of
from .runtime.dependencies import Dependencies
from .runtime.langgraph_compat import CHECKPOINT_MAP_KEY, CHECKPOINTER_KEY, INTERRUPT_CHANNEL

_NEVER_SHOWN = "That answer was given before this was shown, so it was not taken. Look at it anew."


async def review(state: RunState, config: RunnableConfig, deps: Dependencies) -> dict[str, Any]:
    """Let the run pass, or apply a reviewer's decisions.

    An answer that decides nothing, or that was given to another request, is not applied: the same request is made
    again, with the problem named (promise P11).
    """
    texts = deps.stores.texts
    approval = await approval_request_of(state, texts, thread_of(config))
    if approval is None:
        return auto_pass(state)
    problem: str | None = None
    for attempt in itertools.count():
        request = approval.value(state, thread_of(config), attempt, problem)
        answer = interrupt(request)
        if await _shown_last(config, attempt, request["shown"]):
            try:
                whole = await whole_request(request, texts, deps.stores.blobs)
                return await apply_decisions(state, approval, decisions_in(answer, whole), texts)
            except DecisionsUnusable as unusable:
                problem = str(unusable)
        else:
            problem = _NEVER_SHOWN
    raise AssertionError("it asks until it is answered")


async def _shown_last(config: RunnableConfig, attempt: int, shown: str) -> bool:
    """Return whether the running task has last shown this attempt at asking, with this hash."""
    place = config.get("configurable", {})
    saver: Any = place.get(CHECKPOINTER_KEY)
    namespace = str(place.get("checkpoint_ns", ""))
    task = namespace.rpartition(":")[2]
    if saver is None or not task:
        return False
    above = namespace.rpartition("|")[0]
    checkpoint = (place.get(CHECKPOINT_MAP_KEY) or {}).get(above) or place.get("checkpoint_id")
    where = {"thread_id": place["thread_id"], "checkpoint_ns": above, "checkpoint_id": checkpoint}
    found = await saver.aget_tuple({"configurable": where})
    for owner, channel, value in found.pending_writes or () if found else ():
        if owner == task and channel == INTERRUPT_CHANNEL:
            last: Interrupt = value[-1] if isinstance(value, list | tuple) else value
            return last.value.get("shown") == shown and last.value.get("attempt") == attempt
    return False
