"""Numbers and times as the page shows them, short enough for columns."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from ...state.turn_rows import TurnRow
from ..progress.text import dollars


def amount(number: int) -> str:
    """Return a number with three digits at most and a unit: `812`, `43 k`, `1.2 M`."""
    for unit, name in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        # What would be rounded to the next unit is said in it.
        if number >= unit * 0.9995:
            value = number / unit
            return f"{value:.1f} {name}" if value < 9.95 else f"{value:,.0f} {name}"
    return str(number)


def count(number: int) -> str:
    """Return a whole number with separators: `30,000`."""
    return f"{number:,}"


def money(cost: float | None) -> str:
    """Return US dollars, `?` when they are not known."""
    return dollars(cost) or "?"


def span(seconds: float | None) -> str:
    """Return seconds as a short text: `7 ms`, `2.7 s`, `04:10 min`, `2:05 h`, `3 d`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    hours = minutes // 60
    return f"{hours}:{minutes % 60:02d} h" if hours < 48 else f"{hours // 24} d"


def ticking(seconds: float, begun: float | str) -> Markup:
    """Return the seconds of something under way as HTML that a browser counts on: those before it began, and since.

    `begun` is in seconds since 1970, or in ISO 8601.
    """
    try:
        at = datetime.fromisoformat(begun) if isinstance(begun, str) else datetime.fromtimestamp(begun, UTC)
        since = at.isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return Markup('<span class="ticking"></span>')
    return Markup('<span class="ticking" data-since="{}" data-before="{:.1f}"></span>').format(since, seconds)


def took(turn: TurnRow) -> float | None:
    """Return the seconds from the request of a turn to its end, as far as it has come; None when it is not known."""
    if turn.asked is None:
        return None
    ends = [at for at in (turn.planned, turn.ended, turn.last_call) if at is not None]
    return max(0.0, max(ends) - turn.asked) if ends else None


def percent(share: float | None) -> str:
    """Return a share between 0 and 1 in per cent, `?` when it is not known. Neither 0 nor 100 is rounded to."""
    if share is None:
        return "?"
    hundred = 100 * share
    if 0 < hundred < 10:
        return f"{max(hundred, 0.1):.1f} %"
    return f"{min(hundred, 99) if share < 1 else 100:.0f} %"


def moment(when: Any) -> Markup:
    """Return a time, in seconds since 1970 or as ISO 8601, as HTML; a browser shows it in its own time zone."""
    try:
        at = datetime.fromisoformat(when) if isinstance(when, str) else datetime.fromtimestamp(when, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return Markup("<time>?</time>")
    at = at.astimezone(UTC)
    exact, text = at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(exact, text)
