"""Open the accounts of runs: what each has spent, by the journal, and the limits that hold for it."""

from collections.abc import Callable

from ...state.batch_budget import BatchLedger
from ...state.budget import BudgetLedger, Limits
from ...state.settings import RunSettings, saved_settings
from ...state.stores import Stores
from ...state.threads import Thread
from .output_limits import last_turn


class Accounts:
    """Opens accounts from what is saved. `clock` is in seconds, and is never set back."""

    def __init__(self, stores: Stores, clock: Callable[[], float]) -> None:
        self._stores = stores
        self._clock = clock

    async def of(
        self,
        thread_id: str,
        row: Thread | None,
        settings: RunSettings,
        *,
        above: BudgetLedger | None,
        shared: BatchLedger | None,
    ) -> BudgetLedger:
        """Return the account of a run, which is a part of that of its tree.

        `row` is the run in the index, `above` the account of its caller, if that is active, and `shared` that of its
        batch.
        """
        seconds = row.seconds if row else 0.0
        if row and row.caller and above is None:
            # The child is resumed without its caller, but its requests are still paid out of the whole tree's budget.
            top = await self._stores.threads.get(await self._stores.threads.top_of(thread_id))
            of_top = saved_settings(top.start.get("settings", {}))
            above = await self._of_top(top.thread_id, top.limits, top.seconds, of_top, None)
        if above:
            return above.below(await self._stores.spending.by(thread_id), seconds=seconds)
        return await self._of_top(thread_id, row.limits if row else Limits.of(settings), seconds, settings, shared)

    async def _of_top(
        self, thread_id: str, limits: Limits, seconds: float, settings: RunSettings, shared: BatchLedger | None
    ) -> BudgetLedger:
        spending = self._stores.spending
        ledger = BudgetLedger(
            *(limits, await spending.by(thread_id)),
            seconds=seconds,
            before=await spending.before(thread_id),
            outputs=await spending.outputs(thread_id),
            shared=shared,
            clock=self._clock,
        )
        # `plan` reserves what a last turn may take, but it may not run for a while when a cell is under way.
        if tokens := await spending.largest_turn(thread_id):
            ledger.keep(last_turn(settings.root_spec, tokens))
        return ledger
