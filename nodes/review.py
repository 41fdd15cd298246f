"""`review`: interrupt the run for a reviewer, before code runs, sub-calls are made, money is spent or a run ends.

The node only interrupts, with a request made from the state. LangGraph runs an interrupted node again from its top, so
nothing else may happen in it. The effect of a decision is the update that the node returns.
"""

import itertools
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import interrupt

from ..state.run_state import RunState
from .approval.apply import apply_decisions, auto_pass
from .approval.decisions import DecisionsUnusable, decisions_in
from .approval.requests import approval_request_of
from .approval.stale import shown_last
from .runtime.active_runs import thread_of
from .runtime.dependencies import Dependencies

_NEVER_SHOWN = "That answer was given before this was shown, so it was not taken. Look at it anew."


async def review(state: RunState, config: RunnableConfig, deps: Dependencies) -> dict[str, Any]:
    """Let the run pass, or apply a reviewer's decisions.

    An answer that decides nothing, or that was given to another request, is not applied: the same request is made
    again, with the problem named (promise P11).
    """
    texts = deps.stores.texts
    asked = await approval_request_of(state, texts, thread_of(config))
    if asked is None:
        return auto_pass(state)
    problem: str | None = None
    for attempt in itertools.count():
        request = asked.value(state, thread_of(config), attempt, problem)
        answer = interrupt(request)
        if await shown_last(config, attempt, request["shown"]):
            try:
                return await apply_decisions(state, asked, decisions_in(answer, request), texts)
            except DecisionsUnusable as unusable:
                problem = str(unusable)
        else:
            problem = _NEVER_SHOWN
    raise AssertionError("it asks until it is answered")
