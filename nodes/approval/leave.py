"""What a person has allowed of the budget, put into force."""

from typing import TYPE_CHECKING

from ...state.budget import Resource
from ...state.run_state import RunState
from ..runtime.dependencies import Hands

if TYPE_CHECKING:
    from ..runtime.active_runs import LiveRun


async def heed(run: "LiveRun", state: RunState, hands: Hands) -> None:
    """Bring the account to what the state says was allowed. Raised limits are written down for the tree's top run.

    Safe to do again. Raises StoreError, LeaseLost.
    """
    leave = state.get("leave")
    if leave is None or leave == run.leave:
        return
    run.leave = leave
    run.ledger.allow(leave["dollars"])
    if leave["limits"]:
        threads = hands.stores.threads
        limits = run.ledger.raise_limits(leave["limits"])
        await threads.set_limits(await threads.top_of(run.thread_id), limits)


def asks_about(run: "LiveRun", resource: Resource) -> bool:
    """Whether a person is to be asked, instead of the run ending for want of this budget."""
    if not run.gates.budget:
        return False
    known = run.leave["answer_now"].get(resource) if run.leave else None
    limit = getattr(run.ledger.limits, f"max_{resource}")
    return known is None or (limit is not None and limit > known)
