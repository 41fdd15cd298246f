"""The reviewers other than the one at the terminal: a flag of the command, and a view that decides nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...state.errors import UsageError, cli_command
from ..terminal.console import say, stderr_console, stdout_console
from ..terminal.errors import report
from ..terminal.escape import safe, short_id
from .decisions import Decision, checked
from .render import whole_screen
from .requests import Kind, Pending, Request, Waiting, purposes

if TYPE_CHECKING:
    from ...graph.run import Run


@dataclass(frozen=True)
class Answer:
    """Decisions on all requests of an interrupt, and the hash over what was shown."""

    interrupt: str
    shown: str
    decisions: list[Decision]


class Reviewer(Protocol):
    """A source of decisions, which is asked each time that a run waits."""

    def decide(self, pending: Pending) -> Answer | None:
        """Return the decisions; None leaves the run waiting. Raises UsageError for what cannot be decided so."""
        ...

    def refused(self, why: UsageError, *, changed: bool) -> None:
        """Handle a refusal of the last answer, before the next question. `changed`: something else waits now."""
        ...


def chosen(waiting: Sequence[Waiting], interrupt: str | None, run: "Run") -> Waiting:
    """Return the interrupt that is meant. Raises UsageError, listing those that wait, unless it is exactly one."""
    found = [one for one in waiting if interrupt in (None, one.id)]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{one.id}, to {purposes(one.requests)}" for one in waiting)
    what = f"{len(waiting)} requests wait" if interrupt is None else f"no request {safe(interrupt)} waits"
    raise UsageError(f"In {short_id(run.thread_id)} {what}. Waiting: {listed}.", hint="Name one: --interrupt ID.")


class FlagReviewer:
    """A reviewer that decides once, all requests of one interrupt alike.

    `shown`: the hash of the request that was shown elsewhere. Nothing is decided when another one waits.
    """

    def __init__(
        self,
        kind: Kind,
        decision: Callable[[Request], Decision],
        interrupt: str | None = None,
        shown: str | None = None,
    ) -> None:
        self._kind: Kind = kind
        self._decision = decision
        self._interrupt = interrupt
        self._shown = shown
        self._decided = False
        self._outdated = False

    def decide(self, pending: Pending) -> Answer | None:
        if self._outdated:
            for one in pending.waiting:
                show(pending, one)
        if self._decided:
            return None
        waiting = chosen(pending.waiting, self._interrupt, pending.run)
        if self._shown not in (None, waiting.shown):
            raise UsageError(
                f"The request has changed since it was shown. What waits now: to {purposes(waiting.requests)}.",
                hint=f"Nothing was decided. Look: {cli_command('review', pending.run.thread_id)}",
            )
        if self._kind == "edit" and len(waiting.requests) > 1:
            raise UsageError(
                f"The run asks for {len(waiting.requests)} things at once ({purposes(waiting.requests)}); "
                "--edit replaces only one.",
                hint="Decide at a terminal, one after another, or with another flag for all of them.",
            )
        decisions = [checked(request, self._decision(request)) for request in waiting.requests]
        # Shown even without a question, so that a log contains what was decided.
        show(pending, waiting)
        self._decided = True
        return Answer(waiting.id, waiting.shown, decisions)

    def refused(self, why: UsageError, *, changed: bool) -> None:
        if not changed or self._shown is not None:
            raise why
        self._outdated = True
        say_refusal(why, changed=True)


def show(pending: Pending, waiting: Waiting, *, to_stdout: bool = False) -> None:
    """Print an interrupt with all of its requests."""
    console = stdout_console() if to_stdout else stderr_console()
    for line in whole_screen(pending, waiting, console.width if console.is_terminal else None):
        console.print(line, soft_wrap=True)


def say_refusal(why: UsageError, *, changed: bool) -> None:
    """Report that a decision was not accepted, and why."""
    report(why.type, f"Nothing was decided. {why.message}", "" if changed else why.hint, as_json=False)
    if changed:
        say("Something else waits than what you were shown.", style="bold red")
