"""Reads the status and the result of runs from what is saved: what `Runner.read` returns, without a runner."""

from typing import TYPE_CHECKING, cast

from ..nodes.evidence.citations import citations_of
from ..state.records import RestoreRecord
from ..state.stores import Stores
from ..state.threads import Thread
from .checkpoints import Checkpoints
from .queries import RunQueries
from .run import Run, answer_of, budget_error, files_of, status_now
from .saved_states import SavedCheckpoints
from .shown_requests import ShownRequests
from .suggested_limits import suggested_limits

if TYPE_CHECKING:
    from ..state.run_state import RunState


async def saved_run(stores: Stores, checkpoints: Checkpoints, row: Thread, restore: RestoreRecord | None = None) -> Run:
    """Return a run's current status and result, with the requests that it waits for. Raises StoreError."""
    queries = RunQueries(stores)
    snapshot = await ShownRequests(stores, whole=True).snapshot(await checkpoints.aget_state(_config(row.thread_id)))
    state = cast("RunState", snapshot.values)
    alive = row.status == "running" and bool(await stores.leases.holder_alive([row.thread_id]))
    status = status_now(row.status, state, alive=alive, waits=bool(snapshot.interrupts))
    return Run(
        thread_id=row.thread_id,
        status=status,
        answer=await answer_of(state, stores.texts),
        citations=await citations_of(state.get("answer"), stores.texts),
        files=files_of(state),
        interrupts=[{"id": found.id, "value": found.value} for found in snapshot.interrupts],
        usage=await queries.usage(row.thread_id),
        turns=row.turns,
        steps=await queries.count_steps(row.thread_id),
        error=row.error or (budget_error(state.get("note") or "") if status == "budget" else None),
        restore=restore,
    )


async def limits_to_go_on(stores: Stores, checkpoints: Checkpoints, row: Thread) -> dict[str, float]:
    """Return limits by name with which a run whose budget is spent can continue; empty for a sub-RLM."""
    if row.caller:
        return {}
    state = (await checkpoints.aget_state(_config(row.thread_id))).values
    return await suggested_limits(stores, row, cast("RunState", state))


class SavedRuns:
    """The runs of one home, to be read and not to be executed: the methods of `Runner` that read, without LangGraph."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.queries = RunQueries(stores)
        self.checkpoints = SavedCheckpoints(stores)

    async def read(self, thread: str) -> Run:
        """Return a run's current status and result from what is saved. Raises UnknownThread."""
        return await saved_run(self._stores, self.checkpoints, await self._row(thread))

    async def suggested_limits(self, thread: str) -> dict[str, float]:
        """Return limits by name with which a run whose budget is spent can continue. Raises UnknownThread."""
        return await limits_to_go_on(self._stores, self.checkpoints, await self._row(thread))

    async def _row(self, thread: str) -> Thread:
        return await self._stores.threads.get(await self.queries.resolve(thread))


def _config(thread_id: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": thread_id}}
