"""The state of the progress display, updated by a run's events. Updates are cheap: a second may bring thousands."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_RUNNING, _ANSWERED, _FAILED, _WAITING = range(4)
Phase = Literal["starting", "reading", "whole", "asking", "running", "calling", "restoring", "indexing", "stopping"]


@dataclass
class Calls:
    """The sub-calls of the running cell."""

    posted: int = 0
    answered: int = 0
    failed: int = 0
    reused: int = 0
    in_flight: int = 0

    @property
    def done(self) -> int:
        return self.answered + self.failed


@dataclass
class Child:
    """The current question and turn of a sub-RLM."""

    depth: int
    question: str
    turn: int


@dataclass
class Children:
    """The sub-RLMs that the running cell has started, and those below them."""

    running: dict[str, Child] = field(default_factory=dict[str, Child])
    """By thread, in the order of their latest events."""
    ended: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Depth and counted outcome, by thread."""
    counts: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Numbers of those that run, have answered, have failed and wait for a reviewer, by depth."""

    def update(self, event: Mapping[str, Any]) -> None:
        """Process an event of a sub-RLM."""
        thread, depth = str(event.get("thread_id", "")), int(event.get("depth", 1))
        if was := self.running.pop(thread, None):
            self._count(was.depth, _RUNNING, -1)
        if before := self.ended.pop(thread, None):
            self._count(*before, -1)
        if (status := event.get("status")) == "running":
            self.running[thread] = Child(depth, str(event.get("question", "")), int(event.get("turn", 0)))
            self._count(depth, _RUNNING, +1)
        else:
            what = {"answered": _ANSWERED, "paused": _WAITING}.get(str(status), _FAILED)
            self.ended[thread] = depth, what
            self._count(depth, what, +1)

    @property
    def number(self) -> int:
        """The number of sub-RLMs that have sent events."""
        return len(self.running) + len(self.ended)

    def _count(self, depth: int, what: int, by: int) -> None:
        self.counts.setdefault(depth, [0, 0, 0, 0])[what] += by

    @property
    def latest(self) -> tuple[str, Child] | None:
        """The running sub-RLM with the latest event, behind its thread; None when none runs."""
        return next(reversed(self.running.items()), None)


@dataclass
class Ended:
    """The outcome of the last cell."""

    turn: int
    status: str
    preview: str
    seconds: float
    children: int
    """The number of sub-RLMs that have sent events during the cell."""


@dataclass
class Retry:
    """A request that will be sent again."""

    model: str
    reason: str
    at: float
    """The time at which it is sent, by the display's clock in seconds."""


@dataclass
class Writing:
    """The reply of the root model that arrives, as far as it has."""

    tokens: int
    per_second: int


@dataclass
class Progress:
    """The display's state. `update` changes it; displays only read it."""

    clock: Callable[[], float] = time.monotonic
    phase: Phase = "starting"
    documents: int = 0
    bytes: int = 0
    document: str = ""
    files: int = 0
    of_files: int = 0
    seconds_left: float | None = None
    turn: int = 0
    turns: int = 0
    last: bool = False
    code: str = ""
    calls: Calls = field(default_factory=Calls)
    children: Children = field(default_factory=Children)
    ended: Ended | None = None
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    writing: Writing | None = None
    retry: Retry | None = None
    retries: int = 0
    restored: tuple[int, int] = (0, 0)
    """The number of the cell that is run again to restore the REPL, and the number of such cells."""
    restored_turn: int = 0
    indexed: tuple[int, int] = (0, 0)
    """Bytes of the input that are in the search index being built, and all bytes."""
    index_seconds: float = 0.0
    before_index: Phase = "running"
    under_way: bool = False
    """True when the run itself has begun, so that something of it is saved."""
    began: float = 0.0
    since: str = ""
    """The words behind the time that say from when `elapsed` counts; empty: the beginning of this execution."""

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds of this execution."""
        return self.clock() - self.began

    def update(self, event: Mapping[str, Any]) -> None:
        """Process one event; unknown ones are ignored."""
        name = event.get("event")
        if name == "input":
            self._input(event)
            return
        if name == "one_call":
            # It is about the input; the run has not begun yet.
            return
        self.under_way = True
        if name in ("child", "indexing"):
            (self._child if name == "child" else self._indexing)(event)
            return
        # A resumed run may continue in the middle of a turn that an earlier execution announced.
        self.turn = max(self.turn, int(event.get("turn", 0)))
        match name:
            case "direct" if event.get("outcome") == "asking":
                self._enter("whole")
            case "turn":
                self._turn(event)
            case "code":
                self.code, self.calls, self.children = str(event.get("code", "")), Calls(), Children()
                self._enter("running")
            case "calls":
                self._calls(event)
            case "output":
                self.ended = Ended(
                    int(event.get("turn", 0)),
                    str(event.get("status", "")),
                    str(event.get("preview", "")),
                    float(event.get("elapsed", 0.0)),
                    self.children.number,
                )
                self.children = Children()
                self._enter("asking")
            case "writing":
                self.writing = Writing(int(event.get("tokens", 0)), int(event.get("per_second", 0)))
            case "usage" | "retry":
                self._request_ended(event)
            case "restore":
                self.restored = int(event.get("cells", 0)), int(event.get("of", 0))
                self.restored_turn = int(event.get("turn", 0))
                self._enter("restoring")
            case _:
                pass

    def _indexing(self, event: Mapping[str, Any]) -> None:
        self.indexed = int(event.get("bytes", 0)), int(event.get("of_bytes", 0))
        self.index_seconds = float(event.get("seconds", 0.0))
        if self.phase != "indexing":
            self.before_index = self.phase
        self._enter(self.before_index if event.get("done") else "indexing")

    def _input(self, event: Mapping[str, Any]) -> None:
        self.documents, self.bytes = int(event.get("documents", 0)), int(event.get("bytes", 0))
        self.document = str(event.get("name", ""))
        self.files, self.of_files = int(event.get("files", 0)), int(event.get("of_files", 0))
        self.seconds_left = event.get("seconds_left")
        self._enter("starting" if event.get("done") else "reading")

    def _turn(self, event: Mapping[str, Any]) -> None:
        self.turns = int(event.get("of", 0))
        self.last = bool(event.get("last"))
        self.code, self.calls, self.children, self.writing = "", Calls(), Children(), None
        self._enter("asking")

    def _request_ended(self, event: Mapping[str, Any]) -> None:
        self.writing = None
        if event.get("event") == "usage":
            self.usage = event
            return
        self.retries += 1
        wait = float(event.get("seconds", 0.0))
        self.retry = Retry(str(event.get("model", "")), str(event.get("reason", "")), self.clock() + wait)

    def _calls(self, event: Mapping[str, Any]) -> None:
        turn = int(event.get("turn", self.turn))
        if turn < self.turn or (self.phase == "restoring" and turn <= self.restored_turn):
            return  # these calls belong to an earlier cell that is being replayed
        self.calls = Calls(
            *(int(event.get(name, 0)) for name in ("posted", "answered", "failed", "reused", "in_flight"))
        )
        if usage := event.get("usage"):
            self.usage = usage
        self._enter("running" if self.calls.done >= self.calls.posted else "calling")

    def _child(self, event: Mapping[str, Any]) -> None:
        self.children.update(event)
        if usage := event.get("usage"):
            self.usage = usage
        if self.children.running and self.phase != "restoring":
            self._enter("calling")

    def _enter(self, phase: Phase) -> None:
        if self.phase != "stopping":
            self.phase = phase
