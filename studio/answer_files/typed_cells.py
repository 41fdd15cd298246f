"""Values that JSON carries as text: dates, times, durations and decimals, read back strictly or not at all."""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATETIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.(?P<fraction>\d{1,9}))?)?(Z|[+-]\d\d:?\d\d(:\d\d)?)?", re.ASCII
)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.(?P<fraction>\d{1,9}))?)?", re.ASCII)
_DURATION = re.compile(
    r"(?P<sign>-?)P((?P<days>\d{1,9})D)?"
    r"(T((?P<hours>\d{1,9})H)?((?P<minutes>\d{1,9})M)?((?P<seconds>\d{1,12})(\.(?P<fraction>\d{1,9}))?S)?)?",
    re.ASCII,
)
_MICRO = 6
_MOST_DIGITS = 1_000


def read_date(cell: Any) -> date | None:
    """Return the date of an ISO text; None for anything else."""
    if not isinstance(cell, str) or not _DATE.fullmatch(cell):
        return None
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return None


def read_datetime(cell: Any) -> datetime | None:
    """Return the moment of an ISO text, with its zone if it has one.

    None for anything else, and for a moment with nanoseconds, which Python's moments do not have.
    """
    if not isinstance(cell, str) or not (found := _DATETIME.fullmatch(cell)) or _too_fine(found):
        return None
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def read_time(cell: Any) -> time | None:
    """Return the time of day of an ISO text without a zone; None for anything else."""
    if not isinstance(cell, str) or not (found := _TIME.fullmatch(cell)) or _too_fine(found):
        return None
    try:
        return time.fromisoformat(cell)
    except ValueError:
        return None


def read_duration(cell: Any) -> timedelta | None:
    """Return the duration of an ISO text in days, hours, minutes and seconds; None for anything else."""
    if not isinstance(cell, str) or len(cell) < len("P1D") or cell.endswith("T"):
        return None
    found = _DURATION.fullmatch(cell)
    if not found or _too_fine(found):
        return None
    parts = {name: int(found[name] or 0) for name in ("days", "hours", "minutes", "seconds")}
    try:
        whole = timedelta(**parts, microseconds=int((found["fraction"] or "").ljust(_MICRO, "0")[:_MICRO]))
    except OverflowError:
        return None
    return -whole if found["sign"] else whole


def read_decimal(cell: Any) -> Decimal | None:
    """Return the number of a text, or a number, exactly; None for anything else and for what is not finite."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    text = str(cell)
    try:
        number = Decimal(text) if len(text) <= _MOST_DIGITS else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _too_fine(found: re.Match[str]) -> bool:
    return bool((found["fraction"] or "")[_MICRO:].strip("0"))
