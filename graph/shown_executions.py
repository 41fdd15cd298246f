"""The executions of a run as `rlm show --json` prints them."""

from typing import Any

from ..state.errors import StoreError
from ..state.executions import Execution
from ..state.stores import Stores
from .calls import time_text


async def executions_or_unknown(stores: Stores, thread_id: str) -> list[dict[str, Any]] | None:
    """Return the executions of a run, the first one first; None when they cannot be read.

    A run of an earlier version has none.
    """
    try:
        return [_document(one) for one in await stores.executions.of(thread_id)]
    except StoreError:
        return None


def _document(one: Execution) -> dict[str, Any]:
    if one.damaged:
        nothing = dict.fromkeys(("reason", "begun", "ended", "outcome", "detail"))
        return {"number": one.number, **nothing, "damaged": True}
    return {
        "number": one.number,
        "reason": one.reason,
        "begun": time_text(one.begun),
        "ended": None if one.ended is None else time_text(one.ended),
        "outcome": one.outcome,
        "detail": one.detail,
        "damaged": False,
    }
