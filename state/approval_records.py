"""The records of approval requests and decisions, in a run's state and its stored texts.

The wire format is LangChain's human-in-the-loop schema: `ActionRequest`, `ReviewConfig`, and decisions.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

DecisionType = Literal["approve", "edit", "reject", "respond"]
AskKind = Literal["calls", "child", "spend", "budget"]


class ActionRequest(TypedDict):
    """One action that a reviewer is asked about."""

    name: str
    args: dict[str, Any]
    description: str
    thread_id: str
    """The run of the action: the one that is reviewed, or a sub-RLM below it."""
    turn: int


class ReviewConfig(TypedDict):
    """The allowed decisions for actions of a name."""

    action_name: str
    allowed_decisions: list[DecisionType]


class ReviewRequest(TypedDict):
    """The value of an interrupt. `shown` is a hash over the actions, their allowed decisions and their runs."""

    action_requests: list[ActionRequest]
    review_configs: list[ReviewConfig]
    thread_id: str
    turn: int
    usage: dict[str, Any]
    shown: str
    attempt: int
    """The number of invalid answers to the same request."""
    problem: NotRequired[str]
    """The reason why the last answer to the same request was invalid."""


class Decision(TypedDict):
    """A reviewer's decision about one action request."""

    type: DecisionType
    edited_action: NotRequired[dict[str, Any]]
    message: NotRequired[str]


class ChildWait(TypedDict):
    """A sub-RLM that waits for approval: its interrupt, and the hash of what the interrupt shows."""

    key: str
    thread_id: str
    interrupt: str
    shown: str


class ApprovalItem(TypedDict):
    """A part of a run that waits for approval, as saved by its node. Stored as JSON."""

    kind: AskKind
    actions: list[ActionRequest]
    keys: list[str]
    """Keys of the sub-calls that wait."""
    passed: list[str]
    """Keys of sub-calls of the same cell that passed without approval; a decision covers them as well."""
    children: list[ChildWait]
    """The sub-RLMs that made the request: one, or several with the same request."""


class AsksRef(TypedDict):
    """A reference to the approval items: the hash of a text."""

    asked: str
    listed: NotRequired[list[str]]
    """The hashes of the listings of calls that the items name, so that they are kept with them."""


class Verdict(TypedDict):
    """A reviewer's decisions about sub-calls of the cell under way. Stored as JSON."""

    kind: AskKind
    keys: list[str]
    passed: list[str]
    decisions: list[Decision]
    children: list[ChildWait]


class VerdictRef(TypedDict):
    """A reference to a verdict: the hash of a text."""

    decided: str


class BudgetGrant(TypedDict):
    """A reviewer's additions to the budget that the run was started with."""

    dollars: float | None
    """Dollars up to which no approval is needed (gate `cost>X`); None: as the gate says."""
    limits: dict[str, float]
    """Limits that were raised, such as `max_calls`."""
    answer_now: dict[str, float]
    """Spent budgets that a reviewer has acknowledged, by their limits: no further approval is requested for them."""
