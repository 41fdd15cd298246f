"""Edits of a run's state that would bypass a gate, change the code or forge the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from durable_rlm.state.run_state import RunInput, RunOutput, RunState

KEYS = sorted({*RunState.__annotations__, *RunInput.__annotations__, *RunOutput.__annotations__})
"""Every key that LangGraph would accept as a value of the graph's state."""

Values = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Forged:
    """An edit of a run that waits at a gate."""

    name: str
    gate: str
    values: Values
    """Returns the edit for the present state."""
    as_node: str | None = None


def settings(**changed: Any) -> Values:
    """Return a function that gives these settings other values."""
    return lambda state: {"settings": {**state["settings"], **changed}}


def _approved(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"approved": state["cell"]["digest"]}


def _answered(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"answer": state["final"], "status": "answered"}


def _cell_under_an_approved_digest(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"cell": {**state["cell"], "blocks": state["cell"]["blocks"] * 2}}


FORGED = [
    Forged("a cell that waits already", "code", lambda _: {"waiting": 1}, "review"),
    Forged("a cell that waits already, without a node", "code", lambda _: {"waiting": 1}),
    Forged("no gates", "code", settings(approve=[])),
    Forged("another gate", "code", settings(approve=["calls>1000"])),
    Forged("no sandbox", "code", settings(unsandboxed=True)),
    Forged("a larger budget", "code", settings(max_calls=10**6)),
    Forged("approved", "code", _approved, "review"),
    Forged("other code under the same digest", "code", _cell_under_an_approved_digest, "review"),
    Forged("a decision about calls", "code", lambda _: {"verdicts": [{"decided": "0"}]}),
    Forged("a grant to spend", "code", lambda _: {"leave": {"dollars": 1e9, "limits": {}, "answer_now": {}}}),
    Forged("no approval request", "code", lambda _: {"asks": None, "cell": None}, "execute_code"),
    Forged("another input", "code", lambda _: {"context_ref": None}),
    Forged("nothing spent", "code", lambda _: {"usage": {"model_calls": 0}}),
    Forged("a node after the review", "code", lambda _: {}, "review"),
    Forged("the end", "code", lambda _: {}, "__end__"),
    Forged("the beginning", "code", lambda _: {"question": "Why?"}, "__input__"),
    Forged("a copy of the step", "code", lambda _: {}, "__copy__"),
    Forged("an unknown node", "code", lambda _: {}, "nobody"),
    Forged("the answer, as its last node", "final", _answered, "finalize"),
    Forged("no gates for the answer", "final", settings(approve=[])),
    Forged("the answer, as a review", "final", lambda state: {"final": None, **_answered(state)}, "review"),
    Forged("an accepted answer", "final", lambda state: {"approved": state["final"]["text"]}, "review"),
]
