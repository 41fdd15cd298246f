"""The routes of the graph: pure functions from the state to the next node."""

from typing import Literal

from langgraph.types import Send

from ..nodes.sub_call import max_workers
from ..state.approval_policy import Gates
from ..state.run_state import RunState


def after_prepare(state: RunState) -> Literal["direct", "plan"]:
    """Try to answer with one call first if the mode allows it and nothing has been done in the REPL yet.

    A run whose direct answer was not accepted continues with code.
    """
    mode = state.get("settings", {}).get("mode", "rlm")
    if mode not in ("rlm", "auto", "direct"):
        raise ValueError(f"there is no mode {mode!r}")
    begun = state.get("turns") or state.get("edits") or state.get("told_first")
    return "plan" if mode == "rlm" or begun else "direct"


def after_direct(state: RunState) -> Literal["plan", "review", "finalize"]:
    """End the run with an answer, or when the budget does not allow the call; otherwise use the REPL."""
    if _to_be_reviewed(state):
        return "review"
    return "finalize" if state.get("final") is not None or state.get("last") else "plan"


def after_plan(state: RunState) -> Literal["review", "execute_code", "plan", "finalize"]:
    """Review the turn's code if a gate requires it, then run it.

    A turn without code is followed by another one, which tells the model so, unless it was the last.
    """
    if _to_be_reviewed(state):
        return "review"
    if state.get("cell") is not None:
        return "review" if _gates(state).code else "execute_code"
    return "finalize" if state.get("last") else "plan"


def after_review(state: RunState) -> Literal["direct", "plan", "execute_code", "finalize"]:
    """Continue with what was approved; report a rejection to the model in another turn, unless there is none."""
    if state.get("cell") is not None:
        return "execute_code"
    if state.get("final") is not None or state.get("last"):
        return "finalize"
    return after_prepare(state)


def after_execute(state: RunState) -> list[Send] | Literal["review", "plan", "finalize"]:
    """Start a worker for each waiting call of a cell, up to the concurrency; after a cell has ended, end the turn.

    A cell that waits for a reviewer, or is not the one that was reviewed, is reviewed.

    Workers get only the part of the state that they need, never a text.
    """
    if _to_be_reviewed(state):
        return "review"
    if state.get("cell") is not None:
        waiting = state.get("waiting", 0)
        if waiting < 1:
            return "review"
        concurrency = int(state.get("settings", {}).get("concurrency", 1))
        lane: RunState = {"turn": state.get("turn", 0)}
        return [Send("sub_call", lane) for _ in range(min(waiting, max_workers(concurrency)))]
    if state.get("final") is not None or state.get("last"):
        return "finalize"
    return "plan"


def after_finalize(state: RunState) -> Literal["review", "__end__"]:
    """Return to review an answer that is not the one that was reviewed; otherwise end."""
    return "review" if state.get("status") == "running" else "__end__"


def _to_be_reviewed(state: RunState) -> bool:
    """Return whether a reviewer has to decide about something other than code that is about to run."""
    if state.get("asks") is not None:
        return True
    return state.get("final") is not None and _gates(state).final


def _gates(state: RunState) -> Gates:
    return Gates.of(state.get("settings", {}).get("approve", ()))
