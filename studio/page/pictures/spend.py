"""Spending over time as a picture, against the limit that a run is nearest to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ....graph.run_times import RunTimes
from ....state.turn_rows import TurnRow
from ..numbers import amount, money, percent
from .drawing import line, picture, rect, words
from .scale import Scale

_TOP, _HEIGHT = 14, 40
_BASE = _TOP + _HEIGHT
_PIXEL = 0.2
_LIMIT_SEEN = 0.25
"""Share of a limit from which it is drawn: below, what was spent would be a flat line."""


@dataclass(frozen=True)
class Spend:
    """The picture, and a sentence that says the same."""

    drawn: Markup
    said: str


@dataclass(frozen=True)
class _Resource:
    name: str
    of: Callable[[TurnRow], float]
    number: Callable[[float], str]
    limit: float | None
    whole: float = 0.0
    """The spending of the whole run: calls after its last step, and the estimate for lost ones, are in no turn."""
    noun: str = ""

    def text(self, spent: float) -> str:
        return f"{self.number(spent)} {self.noun}".rstrip()

    def share(self, spent: float) -> float:
        return spent / self.limit if self.limit else 0.0


def spend_picture(
    times: RunTimes, scale: Scale, limits: Mapping[str, Any], usage: Mapping[str, Any] | None = None
) -> Spend | None:
    """Return the picture of what turns have spent; None when nothing that can be drawn was.

    `limits` (those in force) and `usage` (what the whole run has spent) as `RunQueries.about` has them. `usage` is None
    for a part of the run.
    """
    chosen = _chosen(times.turns, limits, usage or {})
    if chosen is None:
        return None
    resource, drawn_sum = chosen
    spent = max(resource.whole, drawn_sum)
    near = resource.share(spent) >= _LIMIT_SEEN
    top = max(resource.limit or 0.0, spent) if near else spent * 1.15
    drawn = [*_steps(times, scale, resource, top), line("s-line", 0, 100, _BASE + 0.5, _BASE + 0.5)]
    if resource.limit and near:
        y = _BASE - _HEIGHT * resource.limit / top
        drawn.append(line("s-limit", 0, 100, y, y))
        drawn.append(words("s-limit-words", 100, y - 4, f"limit {resource.text(resource.limit)}", "end"))
    said = _said(resource, spent, drawn_sum, usage)
    return Spend(picture("spend", f"{resource.name} over time: {said}", _BASE + 2, drawn), said)


def _said(resource: _Resource, spent: float, drawn_sum: float, usage: Mapping[str, Any] | None) -> str:
    if usage is None:
        return f"{resource.text(spent)} spent in these turns"
    said = f"{resource.text(spent)} spent"
    if resource.limit:
        said = f"{resource.number(spent)} of {resource.text(resource.limit)} spent ({percent(resource.share(spent))})"
    if spent - drawn_sum > spent / 200:
        lost = "estimated for lost calls or " if usage.get("uncertain_calls") else ""
        said += f", {resource.number(spent - drawn_sum)} of it {lost}by calls after the last step, which are not drawn"
    return said


def _chosen(
    turns: Sequence[TurnRow], limits: Mapping[str, Any], usage: Mapping[str, Any]
) -> tuple[_Resource, float] | None:
    """Return the limited resource of which the largest share is spent, else what was spent, with the sum of turns."""
    resources = [
        _Resource(
            "Dollars", lambda turn: turn.cost or 0.0, money, limits.get("max_cost"), usage.get("cost_usd") or 0.0
        ),
        _Resource(
            "Tokens",
            lambda turn: turn.input_tokens + turn.output_tokens,
            lambda number: amount(round(number)),
            limits.get("max_tokens"),
            usage.get("input_tokens", 0) + usage.get("output_tokens", 0),
            noun="tokens",
        ),
        _Resource(
            "Calls",
            lambda turn: turn.calls + 1,
            lambda number: amount(round(number)),
            limits.get("max_calls"),
            noun="calls",
        ),
    ]
    sums = [(resource, sum(map(resource.of, turns))) for resource in resources]
    spent = [one for one in sums if one[1] > 0]
    # There is always a limit of calls: unless it is near, dollars or tokens say more.
    limited = [one for one in spent if one[0].limit and (one[0].name != "Calls" or one[0].share(one[1]) >= 0.5)]
    return max(limited, key=lambda one: one[0].share(one[1])) if limited else next(iter(spent), None)


def _steps(times: RunTimes, scale: Scale, resource: _Resource, top: float) -> Iterator[Markup]:
    """Yield a rectangle for each rise, from the end of a turn to that of the next."""
    total, x, height = 0.0, 0.0, 0.0
    for turn in times.turns:
        at = next((one for one in (turn.ended, turn.last_call, turn.planned, turn.asked) if one is not None), None)
        total += resource.of(turn)
        if at is None:
            continue
        place = scale(at)
        if place - x >= _PIXEL:
            if height:
                yield rect("s-spent", x, _BASE - height, place - x + 0.03, height)
            x = place
        height = _HEIGHT * total / top
    if height:
        yield rect("s-spent", x, _BASE - height, max(100 - x, 0.3), height)
