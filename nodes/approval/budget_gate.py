"""Build grants of budget from a reviewer's decisions, and apply them to the run's budget ledger."""

import math
from typing import TYPE_CHECKING, Any

from ...state.approval_records import ActionRequest, BudgetGrant, Decision
from ...state.budget import Resource
from ...state.run_state import RunState
from ..runtime.dependencies import Dependencies
from ..runtime.untrusted_text import one_line
from .requests import BUDGET, SPEND

if TYPE_CHECKING:
    from ..runtime.active_runs import ActiveRun


_WORDS = 2_000
"""Characters of a reviewer's message that are passed on."""


class BudgetGrantBuilder:
    """A grant of budget under construction, decision by decision."""

    def __init__(self, state: RunState) -> None:
        before = state.get("leave")
        self.record: BudgetGrant = {
            "dollars": before["dollars"] if before else None,
            "limits": dict(before["limits"]) if before else {},
            "answer_now": dict(before["answer_now"]) if before else {},
        }
        self.stopped: tuple[Resource, str] | None = None
        """The budget because of which the run is to end, and the reason."""
        self.notes: list[str] = []

    def take(self, action: ActionRequest, decision: Decision, *, own: bool) -> None:
        """Add a decision. `own`: it is about the run itself, and not about one below it."""
        if action["name"] == SPEND:
            self._spend(action["args"], decision, own=own)
        elif action["name"] == BUDGET:
            self._budget(action["args"], decision, own=own)

    def _spend(self, args: dict[str, Any], decision: Decision, *, own: bool) -> None:
        if decision["type"] == "reject":
            if own:
                why = (
                    f"a reviewer did not allow more than ${args['asked_at_usd']:g} to be spent{_after_colon(decision)}"
                )
                self.stopped = "cost", why
            return
        said = decision.get("edited_action", {}).get("args", args)
        dollars = float(said["up_to_usd"])
        self.record["dollars"] = max(dollars, self.record["dollars"] or 0.0)

    def _budget(self, args: dict[str, Any], decision: Decision, *, own: bool) -> None:
        resource: Resource = args["resource"]
        match decision["type"]:
            case "edit":
                limit = float(decision.get("edited_action", {})["args"]["limit"])
                whole = resource in ("calls", "tokens", "turns")
                self.record["limits"][f"max_{resource}"] = math.floor(limit) if whole else limit
            case "reject":
                if own:
                    self.stopped = resource, f"a reviewer stopped the run{_after_colon(decision)}"
            case "approve" | "respond":
                if own:
                    self.record["answer_now"][resource] = args["limit"]
                if own and (words := words_of(decision)):
                    self.notes.append(f"A reviewer wants an answer now.{words}")


def words_of(decision: Decision) -> str:
    """Return the reviewer's message, to follow a sentence; empty when the reviewer wrote nothing."""
    words = one_line(decision.get("message", ""), _WORDS)
    return f" Their words: {words}" if words else ""


def _after_colon(decision: Decision) -> str:
    words = one_line(decision.get("message", ""), _WORDS)
    return f": {words}" if words else ""


async def apply_budget_grant(run: "ActiveRun", state: RunState, deps: Dependencies) -> None:
    """Apply the grant in the state to the run's ledger. Raised limits are saved for the tree's top run.

    Safe to repeat. Raises StoreError, LeaseLost.
    """
    grant = state.get("leave")
    if grant is None or grant == run.grant:
        return
    run.apply_grant(grant)
    if grant["limits"]:
        threads = deps.stores.threads
        limits = run.ledger.raise_limits(grant["limits"])
        await threads.set_limits(await threads.top_of(run.thread_id), limits)


def asks_about(run: "ActiveRun", resource: Resource) -> bool:
    """Return whether a reviewer is asked about this spent budget, instead of the run ending because of it."""
    if not run.gates.budget:
        return False
    known = run.grant["answer_now"].get(resource) if run.grant else None
    limit = getattr(run.ledger.limits, f"max_{resource}")
    return known is None or (limit is not None and limit > known)
