"""Checks edits of a run's state by callers of the graph before any of them is saved.

`aupdate_state`, `abulk_update_state` and the Agent Server's routes on top of them all pass here. An edit may change
the keys in `EDITABLE_KEYS`, at the step where the run is, and nothing else: the rest of the state says what was
approved, what has been spent, whether the code is confined and what the run has answered (promise P11).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from langgraph.types import Send, StateSnapshot, StateUpdate

from ..state.errors import UsageError, cli_command
from ..state.run_state import RunState
from ..state.threads import Thread, Threads
from .fork_edits import checked_question
from .routes import after_direct, after_execute, after_finalize, after_plan, after_prepare, after_review

EDITABLE_KEYS: Mapping[str, Callable[[Any], Any]] = {"question": checked_question}
"""The keys of the state that an edit may change, with the functions that check their values."""

_ROUTES: Mapping[str, Callable[[RunState], str | list[Send]]] = {
    "__start__": lambda _: "prepare",
    "prepare": after_prepare,
    "direct": after_direct,
    "plan": after_plan,
    "review": after_review,
    "execute_code": after_execute,
    "sub_call": lambda _: "execute_code",
    "finalize": after_finalize,
}
"""The next node after each node: the edges of `build.py`."""

_FORK = cli_command("fork", "--help")
"""The command whose help lists what a fork may change."""

_ASKED_AGAIN: Mapping[str, Any] = {"approved": None}
"""Written with every edit, so that approvals given before it are asked for again."""


async def allowed_edit(
    threads: Threads, row: Thread, snapshot: StateSnapshot, supersteps: Sequence[Sequence[StateUpdate]]
) -> StateUpdate:
    """Return the update to write for an edit of the state `snapshot`. Raises UsageError with nothing saved."""
    if row.caller is not None:
        raise UsageError(
            f"{row.thread_id} is a part of {await threads.top_of(row.thread_id)}, so its state cannot be edited.",
            hint=f"Change it in a fork: {_FORK}",
        )
    update = _only_update(supersteps)
    changed = _changed_values(update.values, snapshot.values, row.thread_id)
    _check_step(snapshot, row.thread_id)
    as_node = _node_before(snapshot, update.as_node, row.thread_id)
    return StateUpdate({**changed, **_ASKED_AGAIN}, as_node)


def _only_update(supersteps: Sequence[Sequence[StateUpdate]]) -> StateUpdate:
    updates = [update for superstep in supersteps for update in superstep]
    if len(updates) != 1:
        raise UsageError(f"An edit of a run's state is one update, not {len(updates)}.", hint="Send one at a time.")
    return updates[0]


def _changed_values(values: Any, current: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """Return the values that differ from the current ones, since forms send the whole state back. Raises UsageError."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UsageError(
            f"An edit of a run's state gives new values by their keys, and only {_editable()} can be edited.",
            hint='Send an object: {"question": "…"}. A Command cannot be an edit.',
        )
    given = cast("Mapping[Any, Any]", values)
    changed = {key: value for key, value in given.items() if not _same(current.get(key), value)}
    if refused := sorted(str(key) for key in changed if key not in EDITABLE_KEYS):
        names = ", ".join(f"`{key}`" for key in refused)
        raise UsageError(
            f"{names} cannot be edited: only {_editable()} of a run's state can.",
            hint=_command_instead(refused[0], thread_id),
        )
    return {key: EDITABLE_KEYS[key](value) for key, value in changed.items()}


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON, where `true` is not `1`. A value that is not JSON equals nothing."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False


def _check_step(snapshot: StateSnapshot, thread_id: str) -> None:
    """Check that the step exists, that a node follows it, and that it is not in mid-cell. Raises UsageError."""
    name_a_step = "Name an earlier step by its checkpoint"
    if snapshot.metadata is None:
        raise UsageError(
            f"{thread_id} has no such step to edit.", hint=f"{cli_command('steps', thread_id)} lists them."
        )
    if not snapshot.next:
        raise UsageError(
            f"No node of {thread_id} is left to run after this step, so an edit would change nothing.",
            hint=f"{name_a_step}, or ask another question in a fork: {_FORK}",
        )
    if "__start__" in snapshot.next:
        raise UsageError(f"{thread_id} has no state to edit before its first step.", hint="Name a later step.")
    if snapshot.values.get("cell") and snapshot.values.get("waiting", 0) > 0:
        raise UsageError(
            f"The cell of turn {snapshot.values.get('turn', 0)} is under way at this step, so it cannot be edited.",
            hint=f"{name_a_step}, or fork it: {_FORK}, with --answer or --set.",
        )


def _node_before(snapshot: StateSnapshot, named: str | None, thread_id: str) -> str:
    """Return the node as which to write the edit, so that the same node runs next. Raises UsageError."""
    state, next_nodes = cast(RunState, snapshot.values), frozenset(snapshot.next)
    leading = [node for node in _ROUTES if _next_of(node, state) == next_nodes]
    if named is None and leading:
        return leading[0]
    if named is not None and named in leading:
        return named
    if named is None:
        raise UsageError(f"This step of {thread_id} cannot be edited.", hint=f"Fork it: {_FORK}")
    raise UsageError(
        f"An edit cannot change what runs next, here {' and '.join(sorted(next_nodes))}, as `as_node={named}` would.",
        hint=f"Leave out as_node, or go another way in a fork: {_FORK}",
    )


def _next_of(node: str, state: RunState) -> frozenset[str]:
    following = _ROUTES[node](state)
    return frozenset([following] if isinstance(following, str) else [send.node for send in following])


def _editable() -> str:
    return ", ".join(f"`{key}`" for key in EDITABLE_KEYS)


def _command_instead(key: str, thread_id: str) -> str:
    """Return a hint that names the command to use instead of an edit of this key."""
    match key:
        case "settings" | "approve" | "max_turns" | "max_calls" | "max_tokens" | "max_cost" | "max_time":
            return f"Limits and models are changed by {cli_command('resume', thread_id)} with --max-… or --model"
        case "context" | "context_ref":
            return f"Ask about another input in a run of its own: {cli_command('run', '--help')}"
        case "cell":
            return (
                f"Replace code before it runs with --edit of {cli_command('review', thread_id)}, or --code of {_FORK}"
            )
        case "edits" | "position" | "turns":
            return f"Set a variable with --set of {_FORK}"
        case "asks" | "approved" | "verdicts" | "leave" | "final" | "waiting":
            return f"Decide what waits: {cli_command('review', thread_id)}"
        case _:
            return f"Change a run in a fork, with --code, --set, --question or --answer: {_FORK}"
