"""Spending of runs, and apart from it what is held for requests in flight."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..state.errors import StoreError
from ..state.records import as_usage
from ..state.stores import Stores
from ..state.usage import Uncertain, UsageTotals


@dataclass(frozen=True)
class Spent:
    """The spending of a run with the runs below it, and what is held for its requests in flight."""

    totals: UsageTotals = field(default_factory=UsageTotals)
    held: Uncertain = field(default_factory=Uncertain)

    def usage(self) -> dict[str, Any]:
        """Return the usage as `--json` prints it."""
        cost = self.held.most_cost
        return {
            **as_usage(self.totals),
            "held_calls": self.held.calls,
            "held_tokens": self.held.most_tokens,
            "held_cost_usd": None if cost is None else round(cost, 6),
        }


async def spent_by(
    stores: Stores, known: Mapping[str, UsageTotals | None], executed: Collection[str]
) -> dict[str, Spent | None]:
    """Return totals with what is held taken out of them; None for a run whose calls cannot be read.

    `executed` are the runs that a living process runs: requests of others are in flight no longer, they are lost.
    """
    return {
        name: None if totals is None else await _apart(stores, name, totals) if name in executed else Spent(totals)
        for name, totals in known.items()
    }


async def _apart(stores: Stores, thread_id: str, totals: UsageTotals) -> Spent | None:
    try:
        held = await stores.spending.held(thread_id)
    except StoreError:
        return None
    return Spent(totals.without(held), held)
