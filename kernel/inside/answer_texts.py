"""The texts of values that JSON has no form for, but a usual text: dates and times, numbers in digits, names."""

import datetime as dt
import sys
from decimal import Decimal
from typing import Any

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
NONE = object()
"""In place of a text: the value has none."""


def scalar_text(value: Any) -> Any:
    """Return the usual text of a value, None for one that stands for a missing value, and NONE where it has none."""
    if isinstance(value, dt.datetime):
        # pandas' NaT is a datetime that equals nothing.
        return value.isoformat() if value == value else None
    if isinstance(value, dt.timedelta):
        return duration(nanoseconds(value)) if value == value else None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        # The sign of an infinite number stays for the caller to see.
        return NONE if value.is_infinite() else None if value.is_nan() else str(value)
    names = {f"{one.__module__.partition('.')[0]}.{one.__name__}" for one in type(value).__mro__}
    if names & {"pandas.NAType", "pandas.NaTType"}:
        return None
    return str(value) if names & _WITH_TEXTS else NONE


_WITH_TEXTS = {
    *("uuid.UUID", "pathlib.PurePath", "fractions.Fraction", "zoneinfo.ZoneInfo", "collections.UserString"),
    *("ipaddress._BaseAddress", "ipaddress._BaseNetwork", "pandas.Period", "pandas.Interval", "datetime.timezone"),
}
"""Types whose `str` says all that they are: by name, so that their modules need not be imported."""


def nanoseconds(value: dt.timedelta) -> int:
    """Return a duration in nanoseconds, which pandas' own has."""
    whole = (value.days * 86_400 + value.seconds) * _SECOND + value.microseconds * 1000
    return whole + int(getattr(value, "nanoseconds", 0))


def duration(total: int) -> str:
    """Return nanoseconds as ISO 8601 writes a duration: `P1DT2H3M4.5S`."""
    sign, total = ("-" if total < 0 else ""), abs(total)
    days, rest = divmod(total, _DAY)
    hours, rest = divmod(rest, 3600 * _SECOND)
    minutes, rest = divmod(rest, 60 * _SECOND)
    seconds, below = divmod(rest, _SECOND)
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    if seconds or below or not total:
        parts.append(f"{seconds}{_fraction(below)}S")
    clock = "".join(parts)
    return f"{sign}P{f'{days}D' if days else ''}{'T' if clock else ''}{clock}"


def time_of_day(total: int) -> str:
    """Return nanoseconds since midnight as a time."""
    minutes, rest = divmod(total, 60 * _SECOND)
    seconds, below = divmod(rest, _SECOND)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{_fraction(below)}"


def with_nanoseconds(moment: dt.datetime, total: int) -> str:
    """Return a time as text, with the digits below a microsecond of the nanoseconds that it was made from."""
    below = total % 1000
    if not below:
        return moment.isoformat()
    bare = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    zone = moment.isoformat(timespec="microseconds")[len(bare) :]
    return f"{bare}{below:03}{zone}"


def numpy_plain(value: Any) -> Any:
    """Return numpy's scalar or array as Python's own values; NONE where it is no such value."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic | numpy.ndarray):
        return NONE
    if numpy.ma.isMaskedArray(value) and value.dtype.names is None and value.dtype.kind not in "mM":
        return value.tolist()
    if value.dtype.names is not None:
        return _structured(value)
    if value.dtype.kind == "M":
        return _each(value, _moment)
    if value.dtype.kind == "m":
        return _each(value.astype("m8[ns]").astype("int64"), _ticks)
    if value.dtype.kind == "f" and value.dtype.itemsize > 8:
        return value.astype("float64").tolist()
    return value.tolist()


def _structured(value: Any) -> Any:
    if value.ndim:
        return [_structured(one) for one in value]
    return {name: value[name] for name in value.dtype.names}


def _moment(value: Any) -> "str | None":
    return None if str(value) == "NaT" else str(value)


def _ticks(value: Any) -> "str | None":
    return None if value == -(1 << 63) else duration(int(value))


def _each(value: Any, text: Any) -> Any:
    return [_each(one, text) for one in value] if value.ndim else text(value)


def _fraction(below: int) -> str:
    return f".{below:09}".rstrip("0") if below else ""
