"""The records of what a person is asked, and says, in a run's state and its stored texts.

What goes over the wire is LangChain's human-in-the-loop schema: `ActionRequest`, `ReviewConfig`, and decisions.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

DecisionType = Literal["approve", "edit", "reject", "respond"]
AskKind = Literal["calls", "child", "spend", "budget"]


class ActionRequest(TypedDict):
    """One thing that a person is asked about."""

    name: str
    args: dict[str, Any]
    description: str
    thread_id: str
    """The run that it is of: the one that is reviewed, or a sub-RLM below it."""
    turn: int


class ReviewConfig(TypedDict):
    """What may be said to actions of a name."""

    action_name: str
    allowed_decisions: list[DecisionType]


class ReviewRequest(TypedDict):
    """The value of an interrupt. `shown` is a hash over the actions, what may be said to them, and whose they are."""

    action_requests: list[ActionRequest]
    review_configs: list[ReviewConfig]
    thread_id: str
    turn: int
    usage: dict[str, Any]
    shown: str
    attempt: int
    """How many answers to the same request could not be taken."""
    problem: NotRequired[str]
    """Why the last answer to the same request could not be taken."""


class Decision(TypedDict):
    """What a person says to one action request."""

    type: DecisionType
    edited_action: NotRequired[dict[str, Any]]
    message: NotRequired[str]


class ChildWait(TypedDict):
    """A sub-RLM that waits for a person: which of its interrupts, and the hash of what it shows."""

    key: str
    thread_id: str
    interrupt: str
    shown: str


class ApprovalItem(TypedDict):
    """Something of a run that waits for a person, as the node that met it saved it. Stored as JSON."""

    kind: AskKind
    actions: list[ActionRequest]
    keys: list[str]
    """Of the sub-calls that wait."""
    passed: list[str]
    """Of the sub-calls of the same cell that nobody was asked about; they are looked at with the others."""
    children: list[ChildWait]
    """The sub-RLMs whose request it is: of one, or the same of many."""


class AsksRef(TypedDict):
    """Where the asks are: the hash of a text."""

    asked: str


class Verdict(TypedDict):
    """What a person said to an ask about sub-calls of the standing cell. Stored as JSON."""

    kind: AskKind
    keys: list[str]
    passed: list[str]
    decisions: list[Decision]
    children: list[ChildWait]


class VerdictRef(TypedDict):
    """Where a verdict is: the hash of a text."""

    decided: str


class BudgetGrant(TypedDict):
    """What a person has allowed of the budget, beyond what the run was started with."""

    dollars: float | None
    """Up to which nobody need be asked (gate `cost>X`); None: what the gate says."""
    limits: dict[str, float]
    """Limits that were raised, such as `max_calls`."""
    answer_now: dict[str, float]
    """Budgets, by their limits, of which a person knows that they are spent: nobody is asked about them again."""
