"""The state of the display of many questions, updated by their events. It keeps only numbers of what has ended."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...state.wording import duration
from ..progress.state import Progress
from ..progress.text import calls_line, children_line, failed_request, retry_line, spent, turn_title, writing_line
from ..terminal.escape import safe_line

if TYPE_CHECKING:
    from ...graph.run import Run

WORDS = {
    "answered": "answered",
    "failed": "failed",
    "paused": "waiting for approval",
    "budget": "out of budget",
    "busy": "run by another process",
    "stopped": "stopped",
}
"""The statuses of questions that have ended, in the order and in the words in which they are counted."""
_BEFORE = ("named", "input", "one_call")
"""Events of a question that precede its execution."""
_ENOUGH = 3
"""Questions that must have ended before the time left is estimated."""
_SUMS = ("model_calls", "reused_calls", "input_tokens", "output_tokens", "uncertain_calls", "uncertain_tokens")


@dataclass
class Spent:
    """The usage of several runs together."""

    sums: Counter[str] = field(default_factory=Counter[str])
    cost: float = 0.0
    lost: float = 0.0
    priced: bool = True
    """False once a call was made whose cost is not known."""

    def add(self, usage: Mapping[str, Any]) -> None:
        """Add the usage of a run."""
        for name in _SUMS:
            self.sums[name] += int(usage.get(name) or 0)
        self.cost += usage.get("cost_usd") or 0.0
        self.lost += usage.get("uncertain_cost_usd") or 0.0
        self.priced = self.priced and not (usage.get("model_calls") and usage.get("cost_usd") is None)

    def usage(self) -> dict[str, Any]:
        """Return the sums under the names that a run's usage has."""
        return {**self.sums, "cost_usd": self.cost if self.priced else None, "uncertain_cost_usd": self.lost}

    def copy(self) -> "Spent":
        """Return a copy, to which more can be added."""
        return Spent(self.sums.copy(), self.cost, self.lost, self.priced)


@dataclass
class BatchProgress:
    """The display's state. `update` and `ended` change it; displays only read it."""

    total: int
    clock: Callable[[], float] = time.monotonic
    ended_by: Counter[str] = field(default_factory=Counter[str])
    """The number of questions that have ended, by status."""
    kept: int = 0
    """The number of those that had been answered before, and were only read."""
    running: dict[str, Progress] = field(default_factory=dict[str, Progress])
    """The questions under way, by id, in the order in which they began."""
    shared: Progress = field(default_factory=Progress)
    """The state of the input that is read."""
    begun: bool = False
    """True once every question is entered, so that all of it can be continued."""
    stopping: bool = False
    began: float = 0.0
    _first: float | None = None
    _spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self.shared = Progress(self.clock)
        self.began = self.clock()

    def update(self, id: str, event: Mapping[str, Any]) -> Progress:
        """Process an event of a question; an empty `id` is that of all of them. Return the state that it changed."""
        name = event.get("event")
        # A notice may also come after the end: a notification could not be sent.
        if not id or name in _BEFORE or (name == "notice" and id not in self.running):
            self.begun = self.begun or name == "begun"
            if name == "input":
                self.shared.update(event)
            return self.shared
        if id not in self.running:
            self.running[id] = Progress(self.clock)
            if self._first is None:
                self._first = self.clock()
        self.running[id].update(event)
        return self.running[id]

    def ended(self, id: str, run: "Run") -> bool:
        """Process the end of a question. Return whether that is news: it was executed, and not only read or stopped."""
        executed = self.running.pop(id, None) is not None
        self.ended_by[run.status] += 1
        self.kept += not executed and run.status == "answered"
        self._spent.add(run.usage)
        return executed and not (self.stopping and run.status == "stopped")

    @property
    def elapsed(self) -> float:
        """Seconds of this execution."""
        return self.clock() - self.began

    @property
    def number_ended(self) -> int:
        """The number of questions that have ended."""
        return self.ended_by.total()

    def usage(self) -> dict[str, Any]:
        """Return the usage of all questions so far, over all executions."""
        together = self._spent.copy()
        for one in list(self.running.values()):
            together.add(one.usage)
        return together.usage()

    @property
    def seconds_left(self) -> float | None:
        """An estimate by the questions that have ended in this execution; None while there are too few."""
        executed = self.number_ended - self.kept
        left = self.total - self.number_ended
        if self._first is None or executed < _ENOUGH or not left or self.stopping:
            return None
        return (self.clock() - self._first) / executed * left


def counts(progress: BatchProgress) -> str:
    """Return how many questions have which status: `57 of 200 ended: 55 answered (12 before) · 2 failed`."""
    parts: list[str] = []
    for status, words in WORDS.items():
        if number := progress.ended_by[status]:
            before = f" ({progress.kept:,} before)" if status == "answered" and progress.kept else ""
            parts.append(f"{number:,} {words}{before}")
    ended = f"{progress.number_ended:,} of {progress.total:,} ended"
    return f"{ended}: {' · '.join(parts)}" if parts else ended


def under_way(progress: BatchProgress) -> str:
    """Return how many questions are under way, and how many of them repeat a request, with the first reason."""
    again = [one.retry for one in progress.running.values() if one.retry and retry_line(one)]
    why = f", {len(again):,} repeat a request ({failed_request(again[0])})" if again else ""
    return f"{len(progress.running):,} running{why}"


def totals(progress: BatchProgress) -> str:
    """Return the time, what was spent, and an estimate of the time left."""
    parts = [duration(progress.elapsed), *spent(progress.usage())]
    if (left := progress.seconds_left) is not None:
        parts.append(f"about {duration(max(1.0, left))} left")
    return " · ".join(parts)


def doing(progress: Progress) -> str:
    """Return what a question under way does, on one line."""
    turn = turn_title(progress) if progress.turn else "starting"
    match progress.phase:
        case "asking" | "whole":
            return f"{turn} · {writing_line(progress) or 'asking the root model'}"
        case "running":
            return f"{turn} · running its code"
        case "calling":
            waits = calls_line(progress) if progress.calls.posted else children_line(progress)
            return f"{turn} · {waits}"
        case "reading":
            return f"reading {safe_line(progress.document, 60)}"
        case "restoring":
            return "restoring its REPL"
        case "indexing":
            return f"{turn} · building the search index"
        case "starting" | "stopping":
            return progress.phase
