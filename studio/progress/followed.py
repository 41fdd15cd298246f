"""The progress of a run that another process executes, from what is saved of it."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .lines import Display
from .state import Child

if TYPE_CHECKING:
    from ...graph.following import CellCounts, Look

_PREVIEW = 2_000
_SINCE = " since its last step"


class FollowedProgress:
    """Passes looks at a run to a display, as the events that the run's own process has."""

    def __init__(self, display: Display, *, whole: bool, now: Callable[[], float] = time.time) -> None:
        """`whole`: the display also says how each turn ends, because nothing else does. `now`: seconds since 1970."""
        self._display = display
        self._whole = whole
        self._now = now
        self._at: tuple[str, int] | None = None
        self._cell: CellCounts | None = None
        self._counts: dict[str, Any] | None = None
        """The numbers of the cell under way, as an event."""
        display.progress.since = _SINCE

    def update(self, look: "Look") -> None:
        """Process a look."""
        progress = self._display.progress
        progress.usage = dict(look.usage) if look.usage else progress.usage
        progress.began = progress.clock() - max(0.0, self._now() - look.saved)
        progress.turns, progress.last, progress.under_way = look.max_turns, look.last, True
        if self._whole:
            for turn in look.turns:
                self._ended(turn)
        if look.ended:
            return
        # A cell that runs and one that waits for sub-calls are the same one.
        at = ("cell" if look.doing in ("running", "calling") else look.doing), look.turn
        if at != self._at:
            self._at, self._cell, self._counts = at, None, None
            self._begun(look)
        if at[0] == "cell" and look.cell != self._cell:
            self._cell = look.cell
            self._counted(look)

    def _begun(self, look: "Look") -> None:
        match look.doing:
            case "asking":
                about: Mapping[str, Any] = {"turn": look.turn, "of": look.max_turns, "last": look.last}
                self._display.update({"event": "turn", **about})
            case "whole":
                self._display.update({"event": "direct", "outcome": "asking"})
            case "running" | "calling":
                code = "\n\n".join(look.turns[-1]["code"]) if look.turns else ""
                event = {"event": "code", "turn": look.turn, "code": code}
                if self._whole and code:
                    self._display.update(event)
                else:
                    # The code is printed already.
                    self._display.progress.update({**event, "code": ""})
            case "starting" | "ending":
                pass

    def _counted(self, look: "Look") -> None:
        """Show the numbers of sub-calls and sub-RLMs of the cell under way."""
        children, cell = self._display.progress.children, look.cell
        children.counts = {depth: _by_outcome(counts) for depth, counts in cell.children.items()}
        children.running = {}
        if cell.latest:
            thread, depth, turn, question = cell.latest
            children.running[thread] = Child(depth, question, turn)
        counts = {name: getattr(cell, name) for name in ("posted", "answered", "failed", "in_flight")}
        if cell.posted or cell.children:
            self._counts = {"event": "calls", "turn": look.turn, **counts}
            self.tick()

    def tick(self) -> None:
        """Show the numbers again: plain lines show them now and then only, and they may not change any more."""
        if self._counts:
            self._display.update(self._counts)

    def _ended(self, turn: Mapping[str, Any]) -> None:
        if turn["status"]:
            shown = turn["error"] if turn["status"] != "ok" and turn["error"] else turn["output"] or ""
            facts = {"status": turn["status"], "preview": shown[:_PREVIEW], "elapsed": turn["seconds"] or 0.0}
            self._display.update({"event": "output", "turn": turn["turn"], **facts})
        elif turn["nudge"]:
            self._display.update({"event": "nudge", "turn": turn["turn"], "reason": turn["nudge"]})


def _by_outcome(counts: Mapping[str, int]) -> list[int]:
    """Return the numbers of sub-RLMs that run, have answered, have not, and wait for a reviewer."""
    running, answered, waiting = (counts.get(status, 0) for status in ("running", "answered", "paused"))
    return [running, answered, sum(counts.values()) - running - answered - waiting, waiting]
