"""Events of runs that are worth a notification, and the facts that it reports: never an answer, input or code."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ..nodes.runtime.untrusted_text import shortened_line
from ..state.budget import FLAGS, Counted, Limits, Resource, counted
from ..state.errors import StoreError
from ..state.notifications import Occurrence
from ..state.notify_targets import notify_key, notify_targets
from ..state.run_state import RunState, Status, as_usage
from ..state.stores import Stores
from ..state.threads import Thread
from ..state.usage import UsageTotals
from .build import Graph
from .suggested_limits import suggested_limits

NEARLY = 0.8
"""The share of a limit from which on its use is reported."""
_MOST_QUESTION = 200
_MOST_ERROR = 300
_QUOTING = frozenset({"ModelFailed", "ReplayDiverged", "RlmError"})
"""Types of errors whose messages may quote a server, which may quote the prompt, or the model's code."""
_ENDS: Mapping[Status, str] = {"answered": "resume", "failed": "resume", "paused": "review", "budget": "resume"}
"""The statuses that are reported, each with the command to type next."""


def targets_of(row: Thread) -> tuple[str, ...]:
    """Return the targets of a run's notifications; none for a sub-RLM, and where the settings cannot be read."""
    if row.caller is not None:
        return ()
    try:
        return notify_targets(_settings(row).get("notify"))
    except (ValueError, TypeError):
        return ()


def key_of(row: Thread) -> str:
    """Return the variable of the key that signs a run's notifications, as `env:NAME`; empty when there is no key."""
    try:
        return notify_key(_settings(row).get("notify_key"))
    except ValueError:
        return ""


def _settings(row: Thread) -> Mapping[str, Any]:
    settings = row.start.get("settings")
    return cast(Mapping[str, Any], settings) if isinstance(settings, dict) else {}


def nearly_spent(limits: Limits, used: Counted, seconds: float) -> Iterator[tuple[Resource, float, float]]:
    """Yield each resource of which most is used, with what is used and its limit. Turns are not counted."""
    amounts: dict[Resource, tuple[float | None, float | None]] = {
        "calls": (used.model_calls, limits.max_calls),
        "tokens": (used.tokens, limits.max_tokens),
        "cost": (used.cost, limits.max_cost),
        "time": (seconds, limits.max_time),
    }
    for resource, (amount, limit) in amounts.items():
        if amount is not None and limit is not None and amount >= NEARLY * limit:
            yield resource, amount, limit


def limit_reached(
    stores: Stores, row: Thread, usage: UsageTotals, resource: Resource, used: float, limit: float
) -> Occurrence:
    """Return the event that most of a limit is used."""
    about = {"resource": resource, "used": round(used, 6), "limit": limit, "flag": FLAGS[resource]}
    facts = _facts(stores, row, "running", usage, ["show", row.thread_id])
    return Occurrence("limit", (resource, limit), {**facts, "limit": about})


async def at_end(
    stores: Stores, graph: Graph, row: Thread, status: Status, *, seconds: float, error: Mapping[str, Any] | None
) -> list[Occurrence]:
    """Return the events of an execution that ends with this status, in their order.

    They are made from what is saved, and so are the same when the execution is repeated after a crash.
    """
    spent = await stores.spending.by(row.thread_id)
    used = counted(row.limits, spent, await stores.spending.before(row.thread_id))
    reached = [limit_reached(stores, row, spent, *one) for one in nearly_spent(row.limits, used, seconds)]
    if status not in _ENDS:
        return reached
    snapshot = await graph.aget_state({"configurable": {"thread_id": row.thread_id}})
    words = [_ENDS[status], row.thread_id]
    if status == "budget":
        words += await _raising(stores, row, cast(RunState, snapshot.values))
    facts = _facts(stores, row, status, spent, words)
    steps = await stores.threads.count_steps(row.thread_id)
    match status:
        case "paused":
            asked = {found.id: found.value if isinstance(found.value, dict) else {} for found in snapshot.interrupts}
            ids = [[name, value.get("shown"), value.get("attempt")] for name, value in asked.items()]
            return [*reached, Occurrence("waiting", (ids,), {**facts, "waits_for": _kinds(asked.values())})]
        case "failed":
            token = stores.leases.token(row.thread_id)
            return [*reached, Occurrence("failed", (token,), {**facts, "error": _shown_error(error)})]
        case "budget":
            return [*reached, Occurrence("budget", (steps, row.limits.model_dump(mode="json")), facts)]
        case _:
            return [*reached, Occurrence("answered", (steps,), facts)]


def _facts(stores: Stores, row: Thread, status: str, usage: UsageTotals, words: Sequence[str]) -> dict[str, Any]:
    home = str(stores.home)
    return {
        "status": status,
        "question": shortened_line(row.question, _MOST_QUESTION),
        "home": home,
        "usage": as_usage(usage),
        "waits_for": [],
        "limit": None,
        "error": None,
        "command": shlex.join(["rlm", *words, "--home", home]),
    }


def _kinds(asked: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the actions that a reviewer is asked about."""
    actions = [action for value in asked for action in value.get("action_requests", ())]
    return list(dict.fromkeys(str(action.get("name")) for action in actions))


def _shown_error(error: Mapping[str, Any] | None) -> dict[str, str]:
    kind = str((error or {}).get("type", ""))
    message = "" if kind in _QUOTING else str((error or {}).get("message", ""))
    return {"type": kind, "message": shortened_line(message, _MOST_ERROR)}


async def _raising(stores: Stores, row: Thread, state: RunState) -> list[str]:
    """Return the flags with which a run whose budget is spent can continue."""
    try:
        limits = await suggested_limits(stores, replace(row, status="budget"), state)
    except StoreError:
        return []
    return [word for name, value in limits.items() for word in (f"--{name.replace('_', '-')}", f"{value:g}")]
