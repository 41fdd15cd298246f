"""Checks of a reviewer's decisions, made before any of them is applied."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Interrupt, StateSnapshot

from ..nodes.approval.decisions import DecisionsUnusable, decisions_in
from ..nodes.approval.requests import BUDGET
from ..state.approval_policy import Gates
from ..state.errors import UsageError, cli_command
from ..state.run_state import RunState
from ..state.threads import Thread, Threads
from ..state.wording import listed

ASKED_AGAIN = "what was approved is asked about again"
"""The summary of a step that takes back approvals."""
_RESUME = "__resume__"
"""The channel in which LangGraph saves answers to interrupts."""


async def check_asked_here(threads: Threads, row: Thread) -> None:
    """Check that the run is no sub-RLM. Raises UsageError for one: its requests are decided in the run at the top."""
    if row.caller is None:
        return
    top = await threads.top_of(row.thread_id)
    raise UsageError(
        f"{row.thread_id} is a part of {top}, which asks for it.", hint=f"Decide there: {cli_command('review', top)}"
    )


def withdrawn(state: RunState) -> dict[str, Any]:
    """Return the values that take back what was approved and is not done yet; empty when nothing was.

    An approval is of one run, as it was when it was given: on another branch, in a fork, and where other models answer,
    code is asked about again before it runs, also code that was under way, and so are calls and answers (promise P11).
    """
    gates = Gates.of(state.get("settings", {}).get("approve", ()))
    values: dict[str, Any] = {}
    if state.get("verdicts"):
        values["verdicts"] = []
    if gates.code and state.get("cell") is not None and (state.get("approved") or state.get("waiting", 0)):
        # The cell begins anew, with its recorded answers.
        values |= {"approved": None, "waiting": 0, "asks": None}
    if gates.final and state.get("final") is not None and state.get("approved"):
        values["approved"] = None
    if (gates.cost is not None or gates.budget) and state.get("leave"):
        values["leave"] = None
    return values


def waits_for(waiting: Sequence[Interrupt[Any]]) -> str:
    """Return what a run waits for, for a person: the first request in words, and how many there are beside it."""
    asked = [action["description"] for found in waiting for action in found.value["action_requests"]]
    return listed([f"waits for a person: {asked[0]}", *asked[1:]], 1) if asked else "waits for a person"


def waiting_one(thread_id: str, waiting: Sequence[Interrupt[Any]], name: str | None) -> Interrupt[Any]:
    """Return the interrupt called `name`, or the only one. Raises UsageError."""
    if not waiting:
        raise UsageError(
            f"{thread_id} does not wait for approval.", hint=f"Resume it: {cli_command('resume', thread_id)}"
        )
    named = [found for found in waiting if name in (None, found.id)]
    if len(named) == 1:
        return named[0]
    ids = ", ".join(found.id for found in waiting)
    if name is None:
        raise UsageError(f"{len(waiting)} requests of {thread_id} wait.", hint=f"Name one with --interrupt: {ids}")
    raise UsageError(
        f"{name} does not wait in {thread_id}: it was decided already, or is of another state or run.",
        hint=f"Look at what waits now ({ids}): {cli_command('review', thread_id)}",
    )


def check_answer(request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Check that an answer decides the request, which has all of its calls. Raises UsageError."""
    try:
        decisions_in(answer, request)
    except DecisionsUnusable as unusable:
        raise UsageError(str(unusable), hint="Nothing was decided; it still waits.") from None


def raising(waiting: Sequence[Interrupt[Any]], raises: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the decisions that the raised limits amount to; None unless these limits are all that is asked about."""
    if len(waiting) != 1 or raises.get("strict_budget"):
        return None
    decisions: list[dict[str, Any]] = []
    for action in waiting[0].value["action_requests"]:
        args = action["args"]
        limit = raises.get(f"max_{args.get('resource')}")
        if action["name"] != BUDGET or limit is None or limit <= (args["limit"] or 0):
            return None
        decisions.append({"type": "edit", "edited_action": {"name": BUDGET, "args": {"limit": limit}}})
    return decisions


async def check_undecided(
    saver: BaseCheckpointSaver[Any], snapshot: StateSnapshot, interrupt: Interrupt[Any], same: Mapping[str, Any] | None
) -> None:
    """Check that the interrupt is not decided yet at this checkpoint. Raises UsageError, unless the decision is `same`.

    LangGraph would use the decision that it has saved and silently drop the new one.
    """
    found = await saver.aget_tuple(snapshot.config)
    of_tasks = {task.id for task in snapshot.tasks if interrupt in task.interrupts}
    for task, channel, value in found.pending_writes or () if found else ():
        saved: list[Any] = value if isinstance(value, list) else [value]
        before = int(interrupt.value.get("attempt", 0))
        if task in of_tasks and channel == _RESUME and len(saved) > before and saved[before] != same:
            raise UsageError(
                f"{interrupt.id} was decided already, at that step.",
                hint="Go on from there first, with no answer: what it asks then is decided anew.",
            )
