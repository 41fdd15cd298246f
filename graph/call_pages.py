"""The calls of a run by parts, for whoever shows them: sums, pages of rows, and the beginnings of their texts."""

from ..nodes.runtime.dependencies import Stores
from ..state import call_sums
from ..state.call_sums import LineSum


async def line_sums(stores: Stores, thread_id: str, turn: int) -> list[LineSum]:
    """Return the sums of a turn's sub-calls by the line of code that made them (`state/call_sums.py`).

    Calls of which no line is recorded come last. Raises StoreError.
    """
    return await call_sums.line_sums(stores.database, thread_id, turn)
