"""Previews a fork: what it would take over, what could be reused and what might be paid, before anything is done."""

from dataclasses import dataclass

from ..state.budget import counted
from ..state.stores import Stores
from ..state.threads import Thread
from ..state.usage import UsageTotals
from .checkpoints import Checkpoints, StateAtStep, state_at

_AFTER = """
SELECT count(*), coalesce(sum(kind != 'root'), 0), total(cost), coalesce(sum(cost IS NULL), 0) FROM calls
WHERE thread_id = ? AND status = 'answered' AND settled > ?
"""


@dataclass(frozen=True)
class ForkPreview:
    """The consequences of a fork at a step."""

    thread: Thread
    step: int
    checkpoint_id: str
    turn: int
    """The turn of the step."""
    code: str | None
    """The code that is about to run, which can be replaced; None when there is none, or it is under way."""
    in_cell: bool
    """True when the cell of the step is under way, so that its calls can be given other answers."""
    ended: bool
    """True when the run was answered at the step, so that only another question goes on."""
    recorded: int
    """Answers recorded after the step, root turns included: reused wherever the same is asked again."""
    recorded_calls: int
    """Those of them that answer sub-calls."""
    recorded_cost: float | None
    """Their cost in US dollars; None when that is not known."""
    calls_left: int
    """Model requests that the limits leave to the fork."""
    cost_left: float | None
    """Dollars that they leave; None without a limit."""


async def fork_preview(stores: Stores, checkpoints: Checkpoints, thread: Thread, number: int) -> ForkPreview:
    """Return the preview of a fork at step `number`. Raises UsageError when there is no such step, StoreError."""
    at = await state_at(stores, checkpoints, thread, number)
    assert at.step is not None, "a fork is made at a step"
    [[recorded, calls, cost, unpriced]] = await stores.database.read(_AFTER, (thread.thread_id, at.step.settled))
    before = await stores.spending.until(thread.thread_id, at.step.settled)
    spent = counted(thread.limits, UsageTotals(), before)
    most = thread.limits.max_cost
    return ForkPreview(
        thread=thread,
        step=number,
        checkpoint_id=at.step.checkpoint_id,
        turn=at.state.get("turn", 0),
        code=await _code(stores, at),
        in_cell=at.in_cell,
        ended=at.ended,
        recorded=int(recorded),
        recorded_calls=int(calls),
        recorded_cost=None if unpriced else float(cost),
        calls_left=max(0, thread.limits.max_calls - spent.model_calls),
        cost_left=None if most is None else max(0.0, most - (spent.cost or 0.0)),
    )


async def _code(stores: Stores, at: StateAtStep) -> str | None:
    cell = at.state.get("cell")
    if cell is None or at.in_cell or not at.next & {"review", "execute_code"}:
        return None
    return "\n\n".join([await stores.texts.get_or_damage(block) for block in cell["blocks"]])
