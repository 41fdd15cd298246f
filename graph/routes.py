"""Where a run goes next: pure functions of the state, closed over the nodes there are."""

from typing import Literal

from langgraph.types import Send

from ..nodes.sub_call import max_workers
from ..state.approval_policy import Gates
from ..state.run_state import RunState


def after_prepare(state: RunState) -> Literal["direct", "plan"]:
    """A run that may be answered by one call tries that first, as long as nothing has been done in its REPL.

    One whose answer was not accepted goes on by code.
    """
    mode = state.get("settings", {}).get("mode", "rlm")
    if mode not in ("rlm", "auto", "direct"):
        raise ValueError(f"there is no mode {mode!r}")
    begun = state.get("turns") or state.get("edits") or state.get("told_first")
    return "plan" if mode == "rlm" or begun else "direct"


def after_direct(state: RunState) -> Literal["plan", "review", "finalize"]:
    """An answer ends the run, and so does a budget that does not allow the call; else the REPL is needed."""
    if _to_be_reviewed(state):
        return "review"
    return "finalize" if state.get("final") is not None or state.get("last") else "plan"


def after_plan(state: RunState) -> Literal["review", "execute_code", "plan", "finalize"]:
    """A turn with code goes on to be reviewed where a gate asks for that, and to be run; one without is told so in the
    next turn, unless it was the last."""
    if _to_be_reviewed(state):
        return "review"
    if state.get("cell") is not None:
        return "review" if _gates(state).code else "execute_code"
    return "finalize" if state.get("last") else "plan"


def after_review(state: RunState) -> Literal["direct", "plan", "execute_code", "finalize"]:
    """What was let pass goes on; what was not is told to the model in another turn, unless there is none."""
    if state.get("cell") is not None:
        return "execute_code"
    if state.get("final") is not None or state.get("last"):
        return "finalize"
    return after_prepare(state)


def after_execute(state: RunState) -> list[Send] | Literal["review", "plan", "finalize"]:
    """A standing cell gets a lane a waiting call, as many as have something to do; an ended one ends the turn.

    One that waits for a person, or is not the one that was reviewed, is reviewed.

    Lanes carry what they need of the state, never a text.
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
    """An answer that is not the one that was reviewed goes back."""
    return "review" if state.get("status") == "running" else "__end__"


def _to_be_reviewed(state: RunState) -> bool:
    """Whether a person is to be asked about something else than code that is about to run."""
    if state.get("asks") is not None:
        return True
    return state.get("final") is not None and _gates(state).final


def _gates(state: RunState) -> Gates:
    return Gates.of(state.get("settings", {}).get("approve", ()))
