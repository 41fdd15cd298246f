"""The budget of a batch: the limits that the user has set hold for all of its questions together.

Each run has its own account (`budget.py`) and reserves with that of the batch as well. What a last turn may take is
kept back for each run that is executed, as long as there is enough: a run whose last turn is near leaves the turns of
the others alone.
"""

import time
from collections.abc import Callable, Collection, Sequence
from functools import reduce

from .budget import BudgetLedger, BudgetSpent, Limits, Resource
from .reservations import NO_REQUEST, NOTHING, CostEstimate, Reservation, added, at_most_half
from .settings import MOST_COUNT, RunSettings
from .shared_account import LeftForAll
from .usage import UsageTotals


def limits_of_batch(settings: RunSettings, chosen: Collection[str]) -> Limits:
    """Return the limits that hold for all questions of a batch together. `chosen`: the settings that the user gave."""
    limits = Limits.of(settings)
    return limits.model_copy(
        update={
            "max_turns": MOST_COUNT,
            "max_calls": limits.max_calls if "max_calls" in chosen else MOST_COUNT,
            **{name: None for name in ("max_tokens", "max_cost", "max_time") if name not in chosen},
        }
    )


class BatchLedger(BudgetLedger):
    """The running account of a batch. `seconds` are those of this execution of it."""

    def __init__(
        self,
        limits: Limits,
        spent: Sequence[UsageTotals] = (),
        *,
        outputs: Sequence[int] = (),
        seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent`: by each of its runs so far. `outputs`: the output tokens of their answered requests, ascending."""
        super().__init__(limits, reduce(added, spent, UsageTotals()), outputs=outputs, seconds=seconds, clock=clock)
        self._last_turns: dict[object, tuple[int, Reservation]] = {}
        """A call, tokens and dollars that are kept back for a last turn of each run."""

    @property
    def left_for_all(self) -> LeftForAll:
        """The amounts that the limits still allow all runs together."""
        calls = self._limits.max_calls - self.counted.model_calls - self._reserved.model_calls
        return LeftForAll(calls, *self.left(NOTHING, self._reserved), self.seconds_left)

    def keep_for(self, member: object, needed: Reservation) -> None:
        """Keep back what a last turn of this run may take; at most half of what is left beside the other runs'."""
        self._last_turns.pop(member, None)
        calls, others = self._kept_back()
        tokens, dollars = self.left(others, self._reserved)
        left = self.left_for_all.calls - calls
        self._last_turns[member] = (1 if left > 1 else 0, at_most_half(needed, tokens, dollars))

    def granted_to(self, member: object, wanted: CostEstimate, *, last_turn: bool) -> Reservation | None:
        """Return what this run can reserve now; None when others have to settle first. Raises BudgetSpent."""
        calls, kept = self._kept_back(without=member if last_turn else None)
        granted = self.granted_beside(calls, kept, wanted, last_turn=last_turn)
        if granted and last_turn:
            # What was kept back for it is reserved from here on.
            self._last_turns.pop(member, None)
        return granted

    def spent_for_a_new_run(self) -> Resource | None:
        """Return the resource of which nothing is left for another run, or None."""
        try:
            self.granted_beside(*self._kept_back(), NO_REQUEST, last_turn=False)
        except BudgetSpent as spent:
            return spent.resource
        return None

    def leave(self, member: object) -> None:
        """Keep nothing back any more for this run, which is no longer executed."""
        self._last_turns.pop(member, None)
        self._wake()

    def _kept_back(self, *, without: object | None = None) -> tuple[int, Reservation]:
        """Return the calls, and the tokens and dollars, that are kept back for last turns."""
        kept = [one for member, one in self._last_turns.items() if member is not without]
        return sum(calls for calls, _ in kept), Reservation(
            sum(amount.input_tokens for _, amount in kept), 0, sum(amount.cost or 0.0 for _, amount in kept)
        )
