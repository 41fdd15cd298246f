"""The end of many questions: the counts, what each group of them needs next, and the exit status."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...state.wording import listed
from ..cli.signals import STOPPED
from ..cli.summary import as_flags
from ..invocation import Invocation
from ..terminal.escape import safe, safe_line, short_id
from ..terminal.printed_commands import command_line, pasteable, program
from .progress import BatchProgress, counts, totals

if TYPE_CHECKING:
    from ...graph.run import Run
    from ...state.errors import StoreError

_NAMED = 5
"""Questions of a kind that the summary names."""


@dataclass
class Ended:
    """The outcome of the questions, as far as they have ended. Only a few of each kind are kept by name."""

    total: int
    statuses: Counter[str] = field(default_factory=Counter[str])
    """The number of questions, by status."""
    exit_status: int = 0
    """The highest exit status of their runs."""
    threads: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The first threads of each status but `answered`."""
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """The first error of each status."""
    too_large: list[str] = field(default_factory=list[str])
    """Threads whose answers are tables that only files can have."""
    raises: dict[str, float] = field(default_factory=dict[str, float])
    """A higher limit for all questions by name (`max_calls`), where one is spent."""
    own_raises: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """A higher limit for one run, by thread, where one of its own is spent, such as its turns."""
    stopped: bool = False
    """True when the user has stopped the command."""

    def add(self, run: "Run", *, too_large: bool = False) -> None:
        """Add a question that has ended."""
        self.statuses[run.status] += 1
        self.exit_status = max(self.exit_status, run.exit_code)
        if run.status != "answered":
            names = self.threads.setdefault(run.status, [])
            if len(names) < _NAMED:
                names.append(run.thread_id)
            if run.error:
                self.reasons.setdefault(run.status, run.error.get("message", ""))
        elif too_large and len(self.too_large) < _NAMED:
            self.too_large.append(run.thread_id)

    @property
    def all_have_lines(self) -> bool:
        """True when each question has ended, and none was stopped, by this command's user or from elsewhere."""
        return not self.stopped and not self.statuses["stopped"] and self.statuses.total() == self.total

    def code(self, problem: "StoreError | None") -> int:
        """Return the exit status: 0 when all are answered, and all answers are where they should be."""
        if self.stopped or self.statuses.total() < self.total:
            return max(STOPPED, self.exit_status)
        return max(self.exit_status, 1 if self.too_large else 0, problem.exit_code if problem else 0)


def closing_lines(ended: Ended, progress: BatchProgress, invocation: Invocation) -> tuple[str, list[str]]:
    """Return the line with the counts, and the lines about what to do next."""
    lines: list[str] = []
    for status, said in (("failed", "Failed"), ("budget", "Out of budget"), ("busy", "Run by another process")):
        if names := ended.threads.get(status):
            why = safe(pasteable(ended.reasons.get(status, ""), invocation)).strip()
            lines.append(f"{said}: {_names(names, ended.statuses[status])}.{f' {why}' if why else ''}")
    if waiting := ended.threads.get("paused"):
        many = _names(waiting, ended.statuses["paused"])
        lines.append(f"Waiting for approval: {many}.")
        lines.append(f"Decide: {command_line(invocation, 'review', short_id(waiting[0]))}")
    for thread in ended.too_large:
        command = command_line(invocation, "resume", short_id(thread), "-o", "FILE.csv")
        lines.append(f"The answer of {safe_line(thread, 80)} is a table too large for a line; every row: {command}")
    for thread, limits in ended.own_raises.items():
        command = command_line(invocation, "resume", short_id(thread), *as_flags(limits))
        lines.append(f"A limit of its own is spent: {command}")
    if ended.statuses["answered"] < ended.total:
        lines.append(f"Go on: {again(invocation, ended.raises)}")
        lines.append(_advice(ended))
    else:
        lines.append(f"Look: {command_line(invocation, 'list')}")
    return f"{counts(progress)} · {totals(progress)}", lines


def _advice(ended: Ended) -> str:
    same = "This asks only what has no answer yet, and pays for nothing twice"
    return f"{same}; decide first what waits." if ended.threads.get("paused") else f"{same}."


def _names(names: Sequence[str], number: int) -> str:
    shown = [safe_line(name, 60) for name in names]
    return listed([*shown, *[""] * (number - len(names))], len(shown))


def again(invocation: Invocation, raises: Mapping[str, float]) -> str:
    """Return the command line as it was given, with these limits in place of its own, to be pasted."""
    words = list(invocation.words)
    for name, limit in raises.items():
        words = _with_flag(words, *as_flags({name: limit}))
    return f"{program()} {safe(shlex.join(words))}"


def _with_flag(words: list[str], flag: str, value: str) -> list[str]:
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        if word == flag:
            return [*words[: at + 1], value, *words[at + 2 :]]
        if word.startswith(f"{flag}="):
            return [*words[:at], f"{flag}={value}", *words[at + 1 :]]
    return [*words[:end], flag, value, *words[end:]]
