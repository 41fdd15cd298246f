"""What the index says of a run, as `--json` prints it."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..nodes.runtime.dependencies import Stores
from ..state.errors import StoreError
from ..state.records import as_usage
from ..state.threads import Thread
from ..state.usage import Spent


def listed(row: Thread, alive: bool, spent: Spent | None) -> dict[str, Any]:
    """An entry of `rlm list --json`. `alive`: a process runs it now; `spent`: None when its calls cannot be read."""
    status: str = row.status
    if row.damaged or spent is None:
        status = "damaged"
    elif status == "running":
        status = "busy" if alive else "stopped"
    spent = spent or Spent(cost=None)
    return {
        "thread_id": row.thread_id,
        "status": status,
        "question": row.question,
        "parent": row.caller or row.parent,
        "model": row.model,
        "turns": row.turns,
        "model_calls": spent.model_calls,
        "cost_usd": as_usage(spent)["cost_usd"],
        "updated": time_text(row.updated),
    }


async def children_of(stores: Stores, thread_id: str) -> list[dict[str, Any]]:
    """The runs that calls of the thread have started, those that theirs have, and so on, as `rlm show --json` has them.

    A few queries, however many there are. Raises StoreError.
    """
    # Its own row is none of them, whatever a damaged one says.
    rows = [row for row in await stores.threads.below(thread_id) if row.thread_id != thread_id]
    alive = await stores.leases.holder_alive([row.thread_id for row in rows if row.status == "running"])
    spent: Mapping[str, Spent] = await stores.spending.below(thread_id) if rows else {}
    children: defaultdict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        entry = listed(row, row.thread_id in alive, spent.get(row.thread_id, Spent()))
        facts = {key: entry[key] for key in ("thread_id", "question", "status", "turns", "model_calls", "cost_usd")}
        children[row.caller].append({**facts, "call": row.call, "children": children[row.thread_id]})
    return children[thread_id]


async def children_or_unknown(stores: Stores, thread_id: str) -> list[dict[str, Any]] | None:
    """`children_of`; None when that cannot be read, which hides nothing else of a run."""
    try:
        return await children_of(stores, thread_id)
    except StoreError:
        return None


def time_text(seconds: float) -> str:
    """A moment (seconds since 1970) in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
