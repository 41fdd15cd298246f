"""`rlm show --follow`: shows a run while any process executes it, from what is saved."""

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from ...state.errors import NotAgreed, StoredDataDamaged, cli_command
from ...state.wording import counted
from ..invocation import Invocation
from ..progress.followed import FollowedProgress
from ..progress.lines import Display, open_display
from ..render.run import print_heading, print_outcome, print_run, print_turn
from ..terminal.console import put, reader_is_gone, say, stdout_console
from ..terminal.errors import NOT_BEGUN, report
from ..terminal.escape import safe_json, short_id
from ..terminal.printed_commands import command_line, pasteable_error
from .agreeing import reads_copy
from .common import from_saved_runs
from .signals import STOPPED, Stopping, interruptible
from .summary import ended, failure, what_next

if TYPE_CHECKING:
    from ...graph.following import Look
    from ...graph.run import Run
    from ...graph.saved_runs import SavedRuns

_LATEST = 10
"""Turns of the past that are shown at first."""


@dataclass
class Outcome:
    """A run that is not, or no longer, executed: its document, and what its summary needs."""

    document: dict[str, Any]
    run: "Run | None"
    """None when what is saved of its end is damaged."""
    limits: dict[str, float] = field(default_factory=dict[str, float])
    sub_rlms: int = 0


class ReaderGone(Exception):
    """Nobody reads the standard output any more."""


def follow(invocation: Invocation, name: str, *, full: bool) -> None:
    """Show the run until it ends or waits. Ctrl-C ends this command and not the run: exit status 130."""
    if reads_copy(invocation):
        raise NotAgreed(
            f"A run of {invocation.home} cannot be followed: the home is read as a copy, in which nothing changes.",
            hint=f"Agree to it: {cli_command('home', 'trust', str(invocation.home))}. `rlm show` without --follow "
            "needs no agreement.",
        )
    shown = Shown(invocation, full=full)
    try:
        outcome = _followed(invocation, name, shown)
    except ReaderGone:
        return
    if outcome is None:
        report(NOT_BEGUN, "No longer followed. The run itself was not stopped.", as_json=invocation.json)
        if not invocation.json:
            say(
                f"Go on: {command_line(invocation, 'show', short_id(invocation.thread or name), '--follow')}",
                whole=True,
            )
        raise typer.Exit(STOPPED)
    _print_outcome(invocation, outcome, shown)


class Shown:
    """Prints what is new of a run: turns on stdout, progress on stderr; with `--json` all of it on stderr."""

    def __init__(self, invocation: Invocation, *, full: bool) -> None:
        self._invocation = invocation
        self.full = full
        self._last: dict[str, Any] | None = None
        self.whole = False
        """True when the run had ended before anything was printed: then it is shown as `rlm show` does."""

    def printing(self, display: Display) -> AbstractContextManager[None]:
        """Return a context for output on stdout. A display on the same terminal gives way to it."""
        return display.aside() if sys.stdout.isatty() else nullcontext()

    def heading(self, about: dict[str, Any], earlier: int) -> None:
        """Print what is known of the run as a whole, and how many turns are left out."""
        print_heading({**about, "step": None, "note": None, "waiting": 0})
        if earlier:
            command = command_line(self._invocation, "show", short_id(about["thread_id"]))
            stdout_console().print(f"\n… {counted(earlier, 'earlier turn')}: {command}", soft_wrap=True)

    def turns(self, look: "Look") -> None:
        """Print the turns that are new, and what is new of the one before."""
        for turn in look.turns:
            last = self._last if self._last and self._last["turn"] == turn["turn"] else None
            print_turn({**turn, "under_way": "runs"} if not look.ended else turn, last, full=self.full)
            self._last = turn


@interruptible()
def _followed(invocation: Invocation, name: str, shown: Shown) -> Outcome | None:
    """Follow the run to its end and return that; None when this is interrupted."""
    try:
        with open_display() as display:
            return from_saved_runs(invocation, lambda runs: _follow(runs, invocation, name, shown, display))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return None


async def _follow(runs: "SavedRuns", invocation: Invocation, name: str, shown: Shown, display: Display) -> Outcome:
    this = asyncio.current_task()
    assert this is not None
    with Stopping(this.cancel):
        following = await runs.queries.following(name, runs.checkpoints, most=None if shown.full else _LATEST)
        invocation.thread = following.thread_id
        progress = FollowedProgress(display, whole=invocation.json)
        first = True

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            if reader_is_gone():
                raise ReaderGone
            progress.tick()

        async for look in following.follow(sleep=sleep):
            if first and look.ended:
                shown.whole = True
                break
            if not invocation.json and (first or look.turns):
                about = await runs.queries.about(look.thread_id) if first else {}
                with shown.printing(display):
                    if first:
                        shown.heading(about, look.earlier)
                    shown.turns(look)
            first = False
            for step in look.damaged:
                display.say(f"What is saved of step {step} has changed on disk.")
            progress.update(look)
        return await _outcome(runs, following.thread_id)


async def _outcome(runs: "SavedRuns", thread_id: str) -> Outcome:
    document = await runs.queries.show(thread_id, runs.checkpoints)
    try:
        run = await runs.read(thread_id)
    except StoredDataDamaged:
        return Outcome(document, None)
    limits = await runs.suggested_limits(thread_id) if run.status == "budget" else {}
    return Outcome(document, run, limits, await runs.queries.count_below(thread_id))


def _print_outcome(invocation: Invocation, outcome: Outcome, shown: Shown) -> None:
    """Print the result on stdout; the summary and what to do next on stderr."""
    document, run = outcome.document, outcome.run
    error = document["error"] = pasteable_error(document["error"], invocation) if document["error"] else None
    if invocation.json:
        put(safe_json(document))
    elif shown.whole:
        print_run(document, full=shown.full)
    else:
        print_outcome(document, full=shown.full)
    if error and document["status"] != "answered":
        for line in failure(error):
            say(line, style="red", whole=True)
    if run is None:
        return
    say(ended(run, document["seconds"] or None, outcome.sub_rlms), style="bold")
    for line in what_next(run, invocation, outcome.limits):
        say(line, whole=True)
