"""The loop around a run in `run`, `resume`, `review`, `fork` and `demo`: display, signals, review, answer, summary.

A reviewer at the terminal is asked between two stretches of work, so that nothing is drawn over the question and
nothing runs behind it. The home stays open meanwhile, because starting the kernel host again would take seconds.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...state.errors import StoreError, TimeSpent, UnknownThread, UsageError
from ..invocation import Invocation
from ..progress.lines import Display, open_display
from ..terminal.console import at_terminal, put, say
from ..terminal.errors import NOT_BEGUN, report, report_known
from ..terminal.escape import safe, safe_json, short_id
from ..terminal.printed_commands import pasteable, pasteable_error
from .delivery import Delivery, beside
from .detaching import Detached, detach
from .open_runner import TIDYING, OpenRunner
from .page_beside import PageBeside
from .shown_answer import is_too_large, put_shown
from .signals import STOPPED, Stopping, interruptible, leave
from .summary import brought_back, command_line, ended, failure, to_json, what_next

if TYPE_CHECKING:
    from ...graph.queries import RunQueries
    from ...graph.run import Run
    from ...graph.runner import Runner
    from ...nodes.runtime.events import Event
    from ..approval.requests import Pending
    from ..approval.reviewers import Answer, Reviewer


OnEvent = Callable[["Event"], None]
Work = Callable[["Runner", OnEvent], Awaitable["Run"]]
LinesAfter = Callable[["Run"], list[str]]

NOT_SANDBOXED = (
    "Warning: the model's code runs on this machine as your user, NOT SANDBOXED (--unsandboxed): it can read, change "
    "and send whatever you can. Use only models and documents that you trust."
)
_NOTIFYING = 2.0


@dataclass
class CliRun:
    """The work of a command and its settings. `work` starts or resumes the thread `thread` (a name, or its beginning).

    For a new run without a name, `thread` is set when the run gets its name.
    """

    invocation: Invocation
    thread: str | None
    work: Work
    output: Path | None = None
    """The file of `-o`."""
    unsandboxed: bool = False
    """True when the model's code runs without a sandbox, as with `--unsandboxed`."""
    after: "LinesAfter" = lambda run: []
    """Returns the lines that follow the summary."""
    reviewer: "Reviewer | None" = None
    """Decides what the run waits for. None: the user at the terminal, if there is one."""
    warned: bool = False
    """True once the warning that nothing confines the code has been shown."""
    keep_open: bool = False
    """True when the home stays open afterwards, for other work in it."""
    tracing: bool = False
    """True when the user has asked for traces, as with `--tracing`."""
    warnings: list[str] = field(default_factory=list[str])
    """Further lines to show before any code runs."""
    files: Path | None = None
    """The folder of `--files`."""
    delivery: Delivery = field(default_factory=Delivery)
    """The places of `output` and `files`, once they are checked."""
    detach: bool = False
    """True when the run goes on without the terminal once it has begun, as with `--detach`."""
    detached: Detached | None = None
    """The process of its own, once it is there."""
    view: Callable[[str | None], None] | None = None
    """Serves the page of a run until a signal comes, when the page is opened, as with `--view`."""
    page: PageBeside | None = None
    """The page beside the run, if it is opened in this process's name."""


@dataclass
class RunAttempt:
    """The outcome of the work. `run` is None when it was stopped before anything was saved."""

    run: "Run | None"
    seconds: float | None
    """None when the time of the execution is not known."""
    limits: dict[str, float] = field(default_factory=dict[str, float])
    """Limits with which the run could continue, when its budget is spent."""
    sub_rlms: int = 0
    pending: "Pending | None" = None
    """The requests that the run waits for, when there is a reviewer to decide them."""
    stuck: bool = False
    """True when something is left that does not end: then only the end of the process ends it."""
    read: str = ""
    """The amount of its input that models were shown, in words; empty where that is not known."""


def execute(cli_run: CliRun) -> None:
    """Do the work and end the command with the run's exit status. Raises RlmError when there is no run to report."""
    cli_run.delivery = Delivery.to(cli_run.output, cli_run.files)
    if cli_run.detach:
        cli_run.detached = detach(cli_run.invocation, then=cli_run.view)
    elif cli_run.reviewer is None and at_terminal() and not cli_run.invocation.json:
        from ..approval.terminal import TerminalReviewer

        cli_run.reviewer = TerminalReviewer()
    if cli_run.view and not cli_run.detach:
        cli_run.page = PageBeside(cli_run.invocation.home)
    stays = False
    try:
        came = _worked(cli_run)
        status = report_outcome(cli_run.invocation, came, cli_run.delivery, cli_run.after)
        stays = status != STOPPED
    except TimeSpent as spent:
        # An ordinary exit would wait for the thread that reads the input.
        leave(report_known(spent, cli_run.invocation, as_json=cli_run.invocation.json))
    finally:
        if cli_run.page:
            cli_run.page.end(stays=stays)
    if came.stuck:
        leave(status)
    raise typer.Exit(status)


@interruptible()
def _worked(cli_run: CliRun) -> RunAttempt:
    """Do the work, and ask the reviewer each time the run waits. Return the final outcome."""
    home = OpenRunner(cli_run.invocation.home, tracing=cli_run.tracing)
    came = None
    try:
        came = drive(cli_run, home)
        while came.pending and cli_run.reviewer and (answer := _asked(cli_run, cli_run.reviewer, came.pending)):
            came = _decided(cli_run, home, cli_run.reviewer, came, came.pending, answer)
        return came
    finally:
        # Without a run nothing is ended here: that would wait for threads that cannot be stopped (see `leave`).
        if came is None or came.run is not None:
            # The user may interrupt this: what is left ends with the process.
            with contextlib.suppress(KeyboardInterrupt):
                home.end()
            if came is not None:
                came.stuck = home.stuck


@interruptible()
def _ask(reviewer: "Reviewer", pending: "Pending") -> "Answer | None":
    return reviewer.decide(pending)


def _asked(cli_run: CliRun, reviewer: "Reviewer", pending: "Pending") -> "Answer | None":
    if cli_run.unsandboxed and not cli_run.warned:
        # Before the decision: after it, the code runs.
        cli_run.warned = True
        say(NOT_SANDBOXED)
    try:
        return _ask(reviewer, pending)
    except KeyboardInterrupt:
        return None


def _decided(
    cli_run: CliRun, home: OpenRunner, reviewer: "Reviewer", before: RunAttempt, pending: "Pending", answer: "Answer"
) -> RunAttempt:
    """Continue the run with a decision and return the outcome.

    When the decision is refused and the run still waits, that is reported to the reviewer. Raises UsageError when it is
    refused and the run does not wait any more.
    """
    refusals: list[UsageError] = []

    async def decide(runner: "Runner", on_event: OnEvent) -> "Run":
        thread = pending.run.thread_id
        try:
            return await runner.decide(
                thread,
                answer.decisions,
                interrupt=answer.interrupt,
                shown=answer.shown,
                unsandboxed=cli_run.unsandboxed,
                on_event=on_event,
            )
        except UsageError as refused:
            run = await _standing(runner, thread, on_event)
            if run.status != "paused":
                raise
            refusals.append(refused)
            return run

    cli_run.work = decide
    came = drive(cli_run, home)
    for refused in refusals:
        changed = came.run is not None and came.run.interrupts != pending.run.interrupts
        reviewer.refused(refused, changed=changed)
    if came.run is None:
        # Stopped before the decision was taken: the run waits as before.
        return replace(before, pending=None)
    return replace(came, seconds=(before.seconds or 0.0) + (came.seconds or 0.0))


async def _standing(runner: "Runner", thread: str, on_event: OnEvent) -> "Run":
    """Return the run. If its state was edited, it is resumed first: only then are its requests known."""
    run = await runner.read(thread)
    if run.interrupts or run.status not in ("paused", "stopped"):
        return run
    snapshot = await runner.graph.aget_state({"configurable": {"thread_id": thread}})
    return await runner.resume(thread, on_event=on_event) if "review" in snapshot.next else run


@interruptible()
def drive(cli_run: CliRun, home: OpenRunner) -> RunAttempt:
    """Do the work under a display until it ends or waits for a reviewer. Raises RlmError."""
    try:
        with open_display(plain=cli_run.detach) as display:
            return home.loop.run(_work(cli_run, display, home))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return RunAttempt(None, 0.0)


async def _work(cli_run: CliRun, display: Display, home: OpenRunner) -> RunAttempt:
    this = asyncio.current_task()
    assert this is not None
    pending: Pending | None = None
    with Stopping(this.cancel) as stopping:
        try:
            runner = await home.runner()
            work = asyncio.ensure_future(cli_run.work(runner, _warning_first(cli_run, display)))
            stops: list[asyncio.Task[None]] = []

            def stop() -> None:
                display.progress.phase = "stopping"
                display.say("Stopping. A second signal leaves at once.")
                stops.append(asyncio.ensure_future(_stop(runner, display, work)))

            stopping.stop = stop
            try:
                run = await work
            except asyncio.CancelledError:
                if not stopping.requested:
                    raise
                run = await _saved(runner, cli_run.thread)
                if run is None:
                    # The thread that reads the input checks now and then whether to stop, and then cleans up.
                    await asyncio.sleep(TIDYING)
            limits, sub_rlms = await _limits(runner, run), await sub_rlms_of(runner.queries, run)
            read = await read_of_input(runner.queries, run)
            pending = await _pending(runner, run) if cli_run.reviewer and not stopping.requested else None
            if pending:
                # The loop does not run while the reviewer is asked, who waits little for it.
                await runner.notifier.settle(_NOTIFYING)
            if run is not None:
                await cli_run.delivery.deliver(runner, run)
            seconds = display.progress.elapsed
        finally:
            if pending is None and not cli_run.keep_open:
                await home.close()
    return RunAttempt(run, seconds, limits, sub_rlms, pending, read=read)


async def _stop(runner: "Runner", display: Display, work: "asyncio.Future[Run]") -> None:
    runner.notifier.hurry()
    # No run was stopped: either the input is still being read, or the run has ended and is being recorded.
    if not await runner.stop_all() and not display.progress.under_way:
        work.cancel()


def _warning_first(cli_run: CliRun, display: Display) -> OnEvent:
    """Return a callback that passes events to the display.

    Before the first event, and so before any code runs, it shows the warnings: that nothing confines the code, if so,
    and those of `cli_run`.
    """

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "named":
            # Not shown: it lets the command find the run's status if it is stopped at any point.
            cli_run.thread = event["thread_id"]
            return
        if cli_run.unsandboxed and not cli_run.warned:
            cli_run.warned = True
            display.say(NOT_SANDBOXED)
        while cli_run.warnings:
            display.say(cli_run.warnings.pop(0))
        if event["event"] == "begun":
            if cli_run.detached:
                cli_run.detached.begun(event["thread_id"])
            if cli_run.page:
                cli_run.page.begun(event["thread_id"], in_loop(display.say))
            return
        display.update(event)

    return on_event


def in_loop(show: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function for other threads that calls `show` in the loop that runs now; it does nothing later."""
    loop = asyncio.get_running_loop()

    def shown(text: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(show, text)

    return shown


async def _pending(runner: "Runner", run: "Run | None") -> "Pending | None":
    if run is None or run.status != "paused":
        return None
    from ..approval.requests import pending_of

    return await pending_of(runner.queries, runner.graph, run)


async def _saved(runner: "Runner", thread: str | None) -> "Run | None":
    """Return the run after its execution was cancelled; None when it had not begun."""
    try:
        return None if thread is None else await runner.read(thread)
    except UnknownThread:
        return None


async def _limits(runner: "Runner", run: "Run | None") -> dict[str, float]:
    return await runner.suggested_limits(run.thread_id) if run and run.status == "budget" else {}


async def sub_rlms_of(queries: "RunQueries", run: "Run | None") -> int:
    """Return the number of sub-RLMs below a run; 0 where that is not known."""
    with contextlib.suppress(StoreError):
        return await queries.count_below(run.thread_id) if run else 0
    return 0


async def read_of_input(queries: "RunQueries", run: "Run | None") -> str:
    """Return how much of its input a run has read, in words; empty where that is not known."""
    if run is None or run.usage.get("coverage") is None:
        return ""
    from ..render.coverage import read_of

    with contextlib.suppress(StoreError):
        return read_of(await queries.coverage(run.thread_id, lines=False))
    return ""


def report_outcome(
    invocation: Invocation, came: RunAttempt, delivery: Delivery, after: LinesAfter = lambda run: []
) -> int:
    """Print the answer on stdout or into its file, everything else on stderr. Return the exit status.

    `after` returns the lines that follow the summary. Ends the process when the work was stopped before anything was
    saved.
    """
    run = came.run
    if run is None:
        report(NOT_BEGUN, "Stopped before the run began; nothing was saved.", as_json=invocation.json)
        # An ordinary exit would wait for the thread that reads the input.
        leave(STOPPED)
    answered, status = run.status == "answered", run.exit_code
    invocation.thread = run.thread_id
    error = pasteable_error(run.error, invocation) if run.error else None
    for line in delivery.lines:
        say(line, whole=True)
    for problem in delivery.problems:
        say(f"Error: {safe(pasteable(str(problem), invocation))}", style="bold red", whole=True)
        status = problem.exit_code
    lines = what_next(run, invocation, came.limits)
    if answered and status and not is_too_large(run.answer):
        lines = [f"Print it: {command_line(invocation, 'resume', short_id(run.thread_id))}"]
    if invocation.json:
        files = run.files if delivery.files is None else delivery.files
        put(safe_json(to_json(replace(run, error=error, files=files), lines)))
    elif answered:
        put_shown(run, delivery.file)
    if error and not answered:
        for line in failure(error):
            say(line, style="red", whole=True)
    for line in brought_back(run.restore):
        say(line, style="dim")
    say(ended(run, came.seconds, came.sub_rlms, came.read), style="bold")
    if more := beside(run, delivery):
        say(more)
    for line in [*lines, *after(run)]:
        say(line, whole=True)
    return status
