"""Suggests limits with which a run whose budget is spent can continue: what it has spent plus what it needs."""

import math
from typing import TYPE_CHECKING

from ..nodes.models.pricing import cost_usd
from ..nodes.runtime.output_limits import ANOTHER_TURN, ROOT_OUTPUT_TOKENS
from ..state.budget import Resource, counted
from ..state.errors import HomeFull
from ..state.reservations import Counted
from ..state.settings import RunSettings, saved_settings
from ..state.stores import Stores
from ..state.threads import Thread

if TYPE_CHECKING:
    from ..state.run_state import RunState

_FIRST_TURN = 5_000
"""Input tokens of a first root request."""
_TURNS = 10
_SECONDS = 60.0
_MORE_ROOM = 1.5


def home_was_full(row: Thread) -> bool:
    """Return whether the run ended because the home had no room, and not because its own budget is spent."""
    return row.error is not None and row.error.get("type") == HomeFull.__name__


async def suggested_limits(stores: Stores, run: Thread, state: "RunState") -> dict[str, float]:
    """Return the limit by name (`max_tokens`) to give to `rlm resume`; empty when there is no limit to raise.

    `run` is at the top of its tree. The limit is all that counts as spent plus the larger of the old limit and what a
    turn and the waiting calls are likely to take. So it lets the run continue even if work was lost in a crash.
    """
    if home_was_full(run):
        most = max(run.limits.max_home_size or 0, await stores.size.count())
        return {"max_home_size": _rounded_up(_MORE_ROOM * most)}
    # Only `--max-time` ends a run in the middle of a step.
    otherwise = "time" if run.status == "budget" and state.get("status", "running") == "running" else "turns"
    resource: Resource = state.get("spent") or otherwise  # pyright: ignore[reportAssignmentType]
    limit = getattr(run.limits, f"max_{resource}")
    if limit is None:
        return {}
    spent = await stores.spending.by(run.thread_id)
    counts = counted(run.limits, spent, await stores.spending.before(run.thread_id))
    turn = (await stores.spending.largest_turn(run.thread_id) or _FIRST_TURN) + ANOTHER_TURN
    settings = saved_settings(state.get("settings") or run.start.get("settings", {}))
    done = {
        "calls": counts.model_calls,
        "tokens": counts.tokens,
        "cost": counts.cost or 0.0,
        "time": run.seconds,
        "turns": state.get("turn", 0),
    }[resource]
    needed = _needed(resource, turn, state.get("waiting", 0), counts, settings)
    return {f"max_{resource}": _rounded_up(done + max(limit, needed))}


def _needed(resource: Resource, turn: int, waiting: int, counts: Counted, settings: RunSettings) -> float:
    """Return what a root turn of `turn` tokens and the waiting sub-calls are likely to take of a resource."""
    calls = max(counts.model_calls, 1)
    match resource:
        case "calls":
            return waiting + _TURNS
        case "tokens":
            return turn + ROOT_OUTPUT_TOKENS + waiting * counts.tokens / calls
        case "cost":
            root = cost_usd(settings.model, turn, ROOT_OUTPUT_TOKENS, price=settings.root_spec.price) or 0.0
            return root + waiting * (counts.cost or 0.0) / calls
        case "time":
            return _SECONDS
        case "turns":
            return _TURNS


def _rounded_up(number: float) -> float:
    """Round up to two significant digits, and to a whole number above ten."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    rounded = math.ceil(number / unit - 1e-9) * unit
    return round(rounded) if number > 10 else float(f"{rounded:.2g}")
