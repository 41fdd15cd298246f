"""Dates, times and durations of a spreadsheet, which are numbers of days with a format."""

from datetime import datetime, timedelta

from .number_tokens import Token

_LAST_DAY = 2_958_466
"""The day after 9999-12-31."""
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def render_date(part: list[Token], value: float, since_1904: bool) -> str:
    """Return a date, time or duration as the section of a format shows it; an empty text for other numbers."""
    places = _fraction_digits(part)
    unit = 10**places
    ticks = _rounded(abs(value) * 86_400 * unit)
    elapsed = any(token.text.startswith("[") for token in part if token.kind == "date")
    if elapsed:
        sign = "-" if value < 0 else ""
        return sign + "".join(_shown(part, None, ticks, unit))
    if not 0 <= value < _LAST_DAY:
        return ""
    days, rest = divmod(ticks, 86_400 * unit)
    return "".join(_shown(part, _Day(int(days), since_1904), int(rest), unit)).strip()


def _rounded(ticks: float) -> int:
    return int(ticks + 0.5)


def _fraction_digits(part: list[Token]) -> int:
    """Return how many digits of a second are shown: `ss.000` shows three."""
    for at, token in enumerate(part):
        if token.kind == "point":
            count = 0
            while at + 1 + count < len(part) and part[at + 1 + count].kind == "digit":
                count += 1
            return min(count, 3)
    return 0


class _Day:
    """One day, by the number that a spreadsheet gives it."""

    def __init__(self, number: int, since_1904: bool) -> None:
        self.leap = not since_1904 and number == 60
        """True for 1900-02-29, which these programs believe in."""
        if since_1904:
            day = datetime(1904, 1, 1) + timedelta(number)
        else:
            day = datetime(1899, 12, 30 if number > 60 else 31) + timedelta(number)
        self.year, self.month, self.weekday = day.year, day.month, day.weekday()
        self.day = day.day
        if self.leap:
            self.month, self.day = 2, 29


def _shown(part: list[Token], day: _Day | None, ticks: int, unit: int) -> list[str]:
    signs = [token.text for token in part]
    half = any(token.kind == "date" and token.text in ("am/pm", "a/p") for token in part)
    dates = [at for at, token in enumerate(part) if token.kind == "date"]
    shown: list[str] = []
    fraction = False
    for at, token in enumerate(part):
        if token.kind == "date":
            minutes = token.text in ("m", "mm") and _is_minutes(signs, dates, at)
            shown.append(_field(token.text, minutes, half, day, ticks, unit))
        elif token.kind == "digit" and fraction:
            shown.append("")
        elif token.kind == "point" and at + 1 < len(part) and part[at + 1].kind == "digit" and unit > 1:
            fraction = True
            shown.append(f".{ticks % unit:0{len(str(unit)) - 1}d}")
        else:
            fraction = False
            shown.append("" if token.kind in ("condition", "general", "text") else token.text)
    return shown


def _is_minutes(signs: list[str], dates: list[int], at: int) -> bool:
    """Return whether an `m` is minutes: after hours, or before seconds."""
    place = dates.index(at)
    before = signs[dates[place - 1]] if place else ""
    after = signs[dates[place + 1]] if place + 1 < len(dates) else ""
    return before.strip("[]")[:1] == "h" or after.strip("[]")[:1] == "s"


def _field(sign: str, minutes: bool, half: bool, day: _Day | None, ticks: int, unit: int) -> str:
    seconds = ticks // unit
    if sign.startswith("["):
        whole = seconds // {"h": 3600, "m": 60, "s": 1}[sign[1]]
        return f"{whole:0{len(sign) - 2}d}"
    width = min(len(sign), 2)
    hour = seconds // 3600 % 24
    if minutes:
        return f"{seconds // 60 % 60:0{width}d}"
    match sign[0]:
        case "h":
            return f"{(hour % 12 or 12) if half else hour:0{width}d}"
        case "s":
            return f"{seconds % 60:0{width}d}"
        case "a" if "/" in sign:
            return ("AM" if hour < 12 else "PM")[: 1 if sign == "a/p" else 2]
        case _:
            return _day_field(sign, day) if day else ""


def _day_field(sign: str, day: _Day) -> str:
    length = len(sign)
    match sign[0]:
        case "y":
            return f"{day.year:04d}" if length > 2 else f"{day.year % 100:02d}"
        case "e":
            return str(day.year)
        case "b":
            return str(day.year + 543) if length > 2 else f"{(day.year + 543) % 100:02d}"
        case "m":
            name = _MONTHS[day.month - 1]
            return [f"{day.month}", f"{day.month:02d}", name[:3], name, name[:1]][min(length, 5) - 1]
        case "d":
            name = _DAYS[day.weekday]
            return [f"{day.day}", f"{day.day:02d}", name[:3], name][min(length, 4) - 1]
        case "a":
            return _DAYS[day.weekday][: 3 if length == 3 else None]
        case _:
            return ""
