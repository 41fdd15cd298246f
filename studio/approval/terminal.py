"""The reviewer at the terminal."""

import contextlib
import io
import sys
import termios
from collections.abc import Callable
from functools import partial

from rich.text import Text

from ...state.errors import UsageError
from ..terminal.console import say, stderr_console
from ..terminal.escape import safe
from .decisions import APPROVED, Decision, edit, editable, rejected, responded
from .editor import edited
from .pager import paged
from .render import ON_SCREEN, is_cut, screen
from .requests import Kind, Pending, Request, Waiting
from .reviewers import Answer, say_refusal

_KEYS: dict[Kind, tuple[str, str]] = {
    "approve": ("a", "[a]pprove"),
    "edit": ("e", "[e]dit"),
    "reject": ("r", "[r]eject"),
    "respond": ("p", "res[p]ond"),
}
_MEANING: dict[tuple[str, Kind], str] = {
    ("budget", "approve"): ": it answers now",
    ("budget", "edit"): " the limit: it continues",
    ("budget", "reject"): ": it stops",
    ("spend", "reject"): ": it answers with what it has",
    ("sub_calls", "reject"): ": its code gets an exception",
    ("sub_calls", "respond"): ": your words are the answer",
}
"""The effect of a decision, where its name does not say it."""
_SKIP = ("s", "skip", "q", "quit")
_ALL = "all"
_VIEW = ("v", "view")


class _Left(Exception):
    """Raised when the reviewer leaves the run waiting."""


class TerminalReviewer:
    """A reviewer that shows each request on stderr and reads the decision from stdin."""

    def __init__(self, interrupt: str | None = None) -> None:
        self._interrupt = interrupt

    def decide(self, pending: Pending) -> Answer | None:
        """Return the reviewer's decisions; None when they skip, press Ctrl-C, or stdin has ended."""
        waiting = next((one for one in pending.waiting if one.id == self._interrupt), pending.waiting[0])
        forget_typed()
        try:
            decisions = _decisions(pending, waiting)
        except (_Left, EOFError, KeyboardInterrupt) as left:
            if not isinstance(left, _Left):
                say("")
            say("Nothing was decided: the run waits.")
            return None
        return Answer(waiting.id, waiting.shown, decisions)

    def refused(self, why: UsageError, *, changed: bool) -> None:
        say_refusal(why, changed=changed)


def _decisions(pending: Pending, waiting: Waiting) -> list[Decision]:
    """Ask for a decision on each request and return them. Raises _Left, EOFError."""
    decisions: list[Decision] = []
    while (at := len(decisions)) < len(waiting.requests):
        _show(pending, waiting, at, most=ON_SCREEN)
        rest = waiting.requests[at:]
        # Approving all at once is offered for the remaining requests, if all of them can be approved.
        every = len(rest) > 1 and all("approve" in one.allowed for one in rest)
        view = partial(_view, pending, waiting, at) if is_cut(waiting.requests[at], ON_SCREEN) else None
        decided = _decided(waiting.requests[at], len(rest) if every else 0, view)
        decisions += [APPROVED] * len(rest) if decided is None else [decided]
    return decisions


def _show(pending: Pending, waiting: Waiting, at: int, *, most: int | None) -> None:
    console = stderr_console()
    for line in screen(pending, waiting, at, console.width, most=most):
        console.print(line, soft_wrap=True)


def _view(pending: Pending, waiting: Waiting, at: int) -> None:
    """Show all of a request, in the reviewer's pager if there is one."""
    if not paged(line.plain for line in screen(pending, waiting, at, stderr_console().width)):
        _show(pending, waiting, at, most=None)


def _decided(request: Request, rest: int, view: Callable[[], None] | None) -> Decision | None:
    """Ask for the decision on one request. Return None to approve all `rest` requests. Raises _Left, EOFError.

    `view` shows all of a request of which only a part is on the screen.
    """
    offered = [f"{_KEYS[kind][1]}{_MEANING.get((request.name, kind), '')}" for kind in request.allowed]
    offered += [f"approve [all] {rest}"] if rest else []
    offered += ["[v]iew all of it"] if view else []
    question = f"{' · '.join([*offered, '[s]kip'])} > "
    while True:
        said = _read(question).lower()
        if said in _SKIP:
            raise _Left
        if said == _ALL and rest:
            return None
        if said in _VIEW and view:
            view()
            continue
        meant: list[Kind] = [kind for kind in request.allowed if said in (kind, _KEYS[kind][0])]
        if meant and (decision := _of_kind(request, meant[0])):
            return decision


def _of_kind(request: Request, kind: Kind) -> Decision | None:
    """Ask for what a decision of that kind needs and return it; None when the reviewer gives nothing."""
    match kind:
        case "approve":
            return APPROVED
        case "edit":
            return _edit(request)
        case "reject":
            reason = _read("Why? The model gets this > ")
            return rejected(reason) if reason else None
        case "respond":
            words = _read(f"{'Its answer' if request.name == 'sub_calls' else 'Your words to the model'} > ")
            return responded(words) if words else None


def _edit(request: Request) -> Decision | None:
    before, suffix = editable(request)
    text = before
    while True:
        try:
            text = edited(text, suffix)
            if text == before:
                say("Nothing was changed.")
                return None
            return edit(request, text)
        except UsageError as error:
            say(safe(f"{error.message} {error.hint}".strip()), style="red")
        if _read("Edit it again? [y]es · [n]o > ").lower() not in ("y", "yes"):
            return None


def _read(question: str) -> str:
    """Ask a question and return the line that the reviewer types. Raises EOFError at the end of stdin."""
    stderr_console().print(Text(question, style="bold"), end="", soft_wrap=True)
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        return ""
    if not line:
        raise EOFError
    return line.strip()


def forget_typed() -> None:
    """Discard input that was typed before the question, since it cannot be an answer to it."""
    with contextlib.suppress(termios.error, io.UnsupportedOperation, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
