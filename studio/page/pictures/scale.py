"""The time scale of pictures: wall time in per cent of the width, with long pauses folded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ....graph.run_times import RunTimes
from ....state.executions import Execution
from ..numbers import span

_FOLDED_FROM = 0.06
"""Share of the busy time from which a pause is folded."""
_LEAST = 2.0
"""Seconds below which no pause is folded."""
_MARK = 0.02
"""Share of the width that a folded pause takes."""
_MOST_FOR_MARKS = 0.4
_TOGETHER = 0.05
"""Seconds between two times of work that are no pause."""
_WHY = {
    "paused": "waited {} for a person",
    "killed": "was killed; went on {} later",
    "stopped": "was stopped; went on {} later",
    "budget": "a budget was spent; went on {} later",
    "failed": "failed; went on {} later",
}


@dataclass(frozen=True)
class Fold:
    """A pause that is folded: its times in seconds since 1970, and a few words that say why."""

    begin: float
    end: float
    why: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.begin


class Scale:
    """Wall time to per cent of the width."""

    def __init__(self, times: RunTimes) -> None:
        spans = _spans(times)
        active = sum(high - low for low, high in spans) or 1.0
        self.folds: list[Fold] = []
        joined = [spans[0]]
        for low, high in spans[1:]:
            end = joined[-1][1]
            if low - end > max(_LEAST, _FOLDED_FROM * active):
                self.folds.append(Fold(end, low, _why(times.executions, end, low)))
                joined.append((low, high))
            else:
                joined[-1] = joined[-1][0], max(end, high)
        self.seconds = sum(high - low for low, high in joined)
        """Seconds that are drawn: those of folded pauses are not among them."""
        marks = min(_MOST_FOR_MARKS, _MARK * len(self.folds))
        self.gap = 100 * marks / max(1, len(self.folds))
        """Per cent of the width that a folded pause takes."""
        self._parts: list[tuple[float, float, float, float]] = []
        at = 0.0
        for low, high in joined:
            width = 100 * (1 - marks) * (high - low) / (self.seconds or 1.0)
            self._parts.append((low, high, at, width))
            at += width + self.gap

    def __call__(self, moment: float) -> float:
        """Return the place of a moment, in seconds since 1970, in per cent."""
        for low, high, at, width in self._parts:
            if moment <= high:
                return at + max(0.0, moment - low) / ((high - low) or 1.0) * width
        return 100.0


def _spans(times: RunTimes) -> list[tuple[float, float]]:
    """Return the times of work, sorted and joined where they touch; the whole begins and ends with one."""
    busy = [(times.begin, times.begin), *_work(times), (times.end, times.end)]
    spans: list[tuple[float, float]] = []
    for one, other in sorted(busy):
        low, high = max(one, times.begin), min(other, times.end)
        if high < low:
            continue
        if spans and low <= spans[-1][1] + _TOGETHER:
            spans[-1] = spans[-1][0], max(spans[-1][1], high)
        else:
            spans.append((low, high))
    return spans or [(times.begin, times.end)]


def _work(times: RunTimes) -> Iterable[tuple[float, float]]:
    for one in times.executions:
        yield one.begun, one.ended if one.ended is not None else times.end
    for turn in times.turns:
        for low, high in ((turn.asked, turn.planned), (turn.began, turn.ended), (turn.first_call, turn.last_call)):
            if low is not None:
                yield low, max(low, high if high is not None else low)
    for child in times.children:
        yield child.created, child.updated


def _why(executions: Sequence[Execution], begin: float, end: float) -> str:
    """Return why nothing was done between two times."""
    for before, after in pairwise(executions):
        if before.ended is not None and before.ended <= begin + 1 and after.begun >= end - 1:
            if after.reason == "forked":
                return f"was forked {span(end - begin)} later"
            return _WHY.get(before.outcome or "", "went on {} later").format(span(end - begin))
    return f"nothing was done for {span(end - begin)}"
