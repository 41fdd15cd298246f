"""Points from which an execution resumes a run: what is left to do, with which limits, and with which models."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langgraph.types import Command, StateSnapshot

from ..state.budget import Limits, time_for
from ..state.errors import UsageError, cli_command
from ..state.run_state import RunInput, RunState
from ..state.settings import saved_settings
from ..state.threads import Thread, Threads
from .approvals import ASKED_AGAIN, withdrawn
from .create import raised_limits
from .fork_edits import node_before
from .model_changes import ModelChange
from .suggested_limits import home_was_full


@dataclass(frozen=True)
class ResumePoint:
    """The point from which an execution resumes a run."""

    start: RunInput | Command[Any] | None
    """None to resume from the last saved step."""
    limits: Limits
    reopen: bool = False
    """True when the run had ended because its budget was spent, and can now continue with another turn."""
    checkpoint_id: str | None = None
    """The step to resume from, if not the last one."""
    change: ModelChange | None = None
    """Another model, server, price or option from here on."""
    withdraws: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values that take back what was approved on another branch."""
    as_node: str = "prepare"
    """The node as which changes are written before the run continues, so that the right node runs next."""


def with_change(point: ResumePoint | None, change: ModelChange | None, snapshot: StateSnapshot) -> ResumePoint | None:
    """Return the point with a change of models, which is then a step of its own before the run continues.

    What a task has written since the last step is not used: it runs again, with its recorded answers. A reviewer's
    decision belongs to the step that it was asked at, so that an execution which begins with one changes nothing.
    """
    if point is None or change is None or isinstance(point.start, Command):
        return point
    if point.start is not None:
        return replace(point, change=change)
    as_node = "prepare" if point.reopen else node_before(frozenset(snapshot.next))
    checkpoint_id = snapshot.config.get("configurable", {}).get("checkpoint_id")
    return replace(point, change=change, as_node=as_node, checkpoint_id=checkpoint_id)


def resume_point_of(
    row: Thread, snapshot: StateSnapshot, limits: Limits, *, more_time: bool = False
) -> ResumePoint | None:
    """Return where to resume a thread with these limits; None when it is recorded as ended or as waiting for review.

    A run that has ended because its budget was spent continues when its limits have been raised since, and with
    `more_time` also when its time was over although its own limit on it is not reached: that of its batch was. Raises
    StoreError for a run of another version that this one cannot resume.
    """
    state = cast(RunState, snapshot.values)
    status, raised = state.get("status", "running"), limits != row.limits
    if more_time and row.status == "budget" and (status == "running" or state.get("spent") == "time"):
        raised = raised or limits.max_time is None or row.seconds < time_for(limits.max_time, last_turn=False)
    if status == row.status and (status == "answered" or (status == "budget" and not raised)):
        return None
    if row.status == "budget" and status == "running" and not (raised or home_was_full(row)) and row.caller is None:
        # Its time was over in the middle of a step. Room in the home may have been made without any change to the run.
        return None
    if state:
        saved_settings(state.get("settings", {}))
    if snapshot.interrupts and status == "running" and row.status == "paused" and not raised:
        return None
    start = None if state else cast(RunInput, row.start)
    # A task that is left over means that the process died between the last node's writes and the checkpoint: then only
    # that checkpoint remains to be written.
    return ResumePoint(start, limits, reopen=status == "budget" and (raised or not snapshot.tasks))


def resume_point_at(checkpoint_id: str, snapshot: StateSnapshot, limits: Limits) -> ResumePoint | None:
    """Return where to resume a thread from an earlier step, on a new branch; None when nothing follows that step.

    Raises UsageError when there is no such step, StoreError for a run of another version.
    """
    state = cast(RunState, snapshot.values)
    if not snapshot.config.get("configurable", {}).get("checkpoint_id") or snapshot.metadata is None:
        raise UsageError(f"The run has no checkpoint {checkpoint_id}.")
    if not snapshot.next:
        return None
    if settings := state.get("settings"):
        saved_settings(settings)
    values = withdrawn(state)
    if values:
        values["step"] = [{"kind": "edit", "turn": state.get("turn", 0), "summary": ASKED_AGAIN}]
    as_node = node_before(frozenset(snapshot.next))
    return ResumePoint(None, limits, checkpoint_id=checkpoint_id, withdraws=values, as_node=as_node)


async def limits_for(threads: Threads, row: Thread, raises: Mapping[str, Any]) -> Limits:
    """Return the limits for resuming a run: for a child, those of the run at the top of its tree.

    Raises UsageError for invalid limits, and for a child with limits of its own: they are raised at the top.
    """
    if row.caller is None:
        return raised_limits(row.limits, dict(raises))
    top = await threads.top_of(row.thread_id)
    given = {f"--{name.replace('_', '-')}": value for name, value in raises.items() if value is not None}
    if given:
        flags = [word for name, value in given.items() for word in (name, f"{value}")]
        raise UsageError(
            f"{row.thread_id} is a part of {top} and spends out of its budget.",
            hint=f"Raise it there: {cli_command('resume', top, *flags)}",
        )
    return (await threads.get(top)).limits
