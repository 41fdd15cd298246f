"""Shows what a run waits for, and decides nothing: `rlm review` without a decision, where nobody can be asked."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from ...state.errors import UsageError
from ..approval.requests import pending_of
from ..approval.reviewers import chosen, show
from ..invocation import Invocation
from ..terminal.console import say
from ..terminal.escape import short_id
from .common import from_saved_runs
from .delivery import Delivery
from .run_loop import NOT_SANDBOXED, RunAttempt, read_of_input, report_outcome, sub_rlms_of
from .summary import as_flags, command_line

if TYPE_CHECKING:
    from ...graph.run import Run
    from ...graph.saved_runs import SavedRuns


def show_requests(
    invocation: Invocation, thread: str, interrupt: str | None, output: Path | None, files: Path | None
) -> NoReturn:
    """Print the requests, and end the command with the run's exit status, 3. Raises UsageError when nothing waits."""
    delivery = Delivery.to(output, files)

    async def look(runs: "SavedRuns") -> tuple[RunAttempt, bool]:
        run = await runs.read(thread)
        limits = await runs.suggested_limits(run.thread_id) if run.status == "budget" else {}
        check_waits(invocation, run, limits)
        about = await runs.queries.about(run.thread_id)
        pending = await pending_of(runs.queries, runs.checkpoints, run)
        sub_rlms, read = await sub_rlms_of(runs.queries, run), await read_of_input(runs.queries, run)
        came = RunAttempt(run, None, limits, sub_rlms, pending, read=read)
        return came, bool(about["settings"].get("unsandboxed"))

    came, unsandboxed = from_saved_runs(invocation, look)
    pending = came.pending
    if pending and (interrupt is not None or not invocation.json):
        waiting = chosen(pending.waiting, interrupt, pending.run)
        if not invocation.json:
            if unsandboxed:
                say(NOT_SANDBOXED)
            show(pending, waiting, to_stdout=True)
    raise typer.Exit(report_outcome(invocation, came, delivery))


def check_waits(invocation: Invocation, run: "Run", limits: dict[str, float]) -> None:
    """Raise UsageError, with a command to use instead, when the run does not wait for a reviewer.

    `limits` are those with which it can continue, when its budget is spent.
    """
    if run.status == "paused" and run.interrupts:
        return
    name = short_id(run.thread_id)
    again = ("resume", name, *as_flags(limits))
    go_on, look = (f"`{command_line(invocation, *words)}`" for words in (again, ("show", name)))
    how, hint = {
        "answered": ("is answered", f"Its answer: {go_on}"),
        "busy": ("is being run by another process now", f"Look: {look}"),
        "budget": ("has spent its budget", f"Raise it: {go_on}"),
        "failed": ("has failed", f"Go on: {go_on}"),
    }.get(run.status, ("has been stopped", f"Go on: {go_on}"))
    raise UsageError(f"Nothing waits for approval: {name} {how}.", hint=hint)
