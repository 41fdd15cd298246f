"""Numbers of a spreadsheet as it shows them: number formats such as `#,##0.00 "€"`, `yyyy-mm-dd`, `[h]:mm`, `0.0%`.

Names of months and days are English, and the two formats that follow the settings of a computer (14 and 22) are ISO
dates. A format that shows nothing, such as `;;;`, shows the number anyway. `?`, fillers and spacers add no blanks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache

from .number_dates import render_date
from .number_tokens import Token, sections

Show = Callable[[float], str]

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    5: "$#,##0;-$#,##0",
    6: "$#,##0;-$#,##0",
    7: "$#,##0.00;-$#,##0.00",
    8: "$#,##0.00;-$#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    14: "yyyy-mm-dd",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
    **{number: "yyyy-mm-dd" for number in (*range(27, 32), 36, *range(50, 55), 57, 58)},
    **{number: "h:mm" for number in (32, 34, 55)},
    **{number: "h:mm:ss" for number in (33, 35, 56)},
}
"""The formats that files name by number alone. 27 to 36 and 50 to 58 are dates and times of East Asia."""

_MOST_DIGITS = 60
"""Digits of one number; more are not a number that a person reads."""


def plain(value: float) -> str:
    """Return a number without a format: at most fifteen digits, which is what spreadsheets keep."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}".replace("e", "E")


@dataclass(frozen=True)
class NumberFormat:
    """One number format. Every method returns text and raises nothing."""

    number: Show
    """Shows a number."""
    text: Callable[[str], str]
    """Shows a text."""
    general: bool = False
    """True where numbers are shown as they are."""


GENERAL = NumberFormat(plain, str, general=True)


@lru_cache(maxsize=4096)
def number_format(code: str, since_1904: bool = False) -> NumberFormat:
    """Return the format that a code means; GENERAL for one that is not understood."""
    if not code or code.lower() in ("general", "@", "standard"):
        return GENERAL
    parts = sections(code[:1000])
    texts = parts[3:4] or [part for part in parts if any(token.kind == "text" for token in part)][:1]
    numeric = [part for part in parts[:3] if not any(token.kind == "text" for token in part)]

    shows = [_shower(part, since_1904) for part in numeric]
    conditions = [next((token.text for token in part if token.kind == "condition"), "") for part in numeric]

    def number(value: float) -> str:
        if not shows:
            return plain(value)
        try:
            at, absolute = _section(conditions, value)
            return shows[at](abs(value) if absolute else value, value) or plain(value)
        except (ValueError, OverflowError, ArithmeticError):
            return plain(value)

    def text(value: str) -> str:
        if not texts:
            return value
        shown = "".join(value if one.kind == "text" else one.text if one.kind == "literal" else "" for one in texts[0])
        return shown if value in shown else value

    return NumberFormat(number, text)


def _shower(part: list[Token], since_1904: bool) -> Callable[[float, float], str]:
    """Return what shows a number by one section. It takes the number as the section shows it, and as it is."""
    kinds = {token.kind for token in part}
    if "date" in kinds:
        return lambda shown, value: render_date(part, value, since_1904)
    if "general" in kinds:
        return lambda shown, value: _around(part, plain(shown))
    if "digit" not in kinds:
        # Only words, as in `"yes";"no"`: the number itself is not in them.
        words = "".join(token.text for token in part if token.kind == "literal").strip()
        return lambda shown, value: f"{words} ({plain(value)})" if words else ""
    return _simple(part) or (lambda shown, value: _signed(part, shown))


def _signed(part: list[Token], shown: float) -> str:
    body = _digits(part, abs(shown))
    # What rounds to zero has no sign.
    return f"-{body}" if shown < 0 and re.search("[1-9]", body) else body


_SIMPLE = re.compile(r"(l*)(d(?:d|c(?=d))*)(pd+)?([l%]*)")
"""Kinds of tokens by their first letters, `%` for percent: literals, digits, point and digits, literals."""


def _simple(part: list[Token]) -> Callable[[float, float], str] | None:
    """Return what shows a number by one of the usual sections, such as `#,##0.00 "€"`; None for others. It is fast."""
    letters = "".join({"percent": "%", "comma": "c"}.get(token.kind, token.kind[0]) for token in part)
    match = _SIMPLE.fullmatch(letters)
    if not match:
        return None
    whole = "".join(token.text for token in part[match.start(2) : match.end(2)] if token.kind == "digit")
    decimals = "".join(token.text for token in part[match.end(2) : match.end(3)] if token.kind == "digit")
    if whole.strip("#") != "0" or decimals.strip("0") or len(decimals) > 15:
        return None
    before = "".join(token.text for token in part[: match.start(2)])
    after = "".join(token.text for token in part[match.start(4) :])
    quantum = Decimal(1).scaleb(-len(decimals))
    power = 2 * letters.count("%")
    style = ",f" if "c" in letters else "f"

    def show(shown: float, value: float) -> str:
        number = Decimal(f"{shown:.15g}").scaleb(power).quantize(quantum, ROUND_HALF_UP)
        sign = "-" if number < 0 else ""
        return f"{sign}{before}{format(abs(number), style)}{after}".strip()

    return show


def _section(conditions: list[str], value: float) -> tuple[int, bool]:
    """Return the section for a value, and whether it shows the value without its sign."""
    if any(conditions):
        for at, condition in enumerate(conditions):
            if not condition or _holds(condition, value):
                return at, condition.startswith("<") and value < 0 and len(conditions) > 1
        return len(conditions) - 1, False
    if value < 0 and len(conditions) > 1:
        return 1, True
    if value == 0 and len(conditions) > 2:
        return 2, False
    return 0, False


def _holds(condition: str, value: float) -> bool:
    match = re.fullmatch(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)", condition)
    if not match:
        return False
    other = float(match[2])
    return {
        "<": value < other,
        "<=": value <= other,
        ">": value > other,
        ">=": value >= other,
        "=": value == other,
        "<>": value != other,
    }[match[1]]


def _around(part: list[Token], body: str) -> str:
    """Return a section's literals with `body` in place of `General`."""
    found: list[str] = []
    for token in part:
        if token.kind == "general" and body:
            found.append(body)
            body = ""
        elif token.kind in ("literal", "percent"):
            found.append(token.text)
    return "".join(found).strip()


def _digits(part: list[Token], value: float) -> str:
    number = Decimal(f"{value:.15g}")
    number = number.scaleb(2 * sum(token.kind == "percent" for token in part))
    if any(token.kind == "slash" for token in part):
        return _fraction(part, number)
    if any(token.kind == "exponent" for token in part):
        return _scientific(part, number)
    number = number.scaleb(-3 * _scale(part))
    if number.adjusted() > _MOST_DIGITS:
        raise ValueError("too many digits")
    point = next((at for at, token in enumerate(part) if token.kind == "point"), len(part))
    places = sum(token.kind == "digit" for token in part[point:])
    whole, _, decimals = _rounded(number, min(places, _MOST_DIGITS)).partition(".")
    grouped = _groups(part[:point])
    return (_whole(part[:point], whole, grouped) + _decimals(part[point:], decimals)).strip()


def _rounded(number: Decimal, places: int) -> str:
    with localcontext() as context:
        context.prec = 2 * _MOST_DIGITS + 20
        return f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def _scale(part: list[Token]) -> int:
    """Return how many commas follow the last digit before the point: each divides by a thousand."""
    count = 0
    seen = False
    for token in part:
        if token.kind == "digit":
            seen, count = True, 0
        elif token.kind == "comma" and seen:
            count += 1
        elif token.kind == "point":
            break
    return count


def _groups(part: list[Token]) -> bool:
    """Return whether a comma stands between two digits."""
    digits = [at for at, token in enumerate(part) if token.kind == "digit"]
    return bool(digits) and any(token.kind == "comma" for token in part[digits[0] : digits[-1]])


def _whole(part: list[Token], digits: str, grouped: bool) -> str:
    """Place the digits before the point, from the right; the first placeholder takes all that are left."""
    digits = digits.lstrip("0")
    left = sum(token.kind == "digit" for token in part)
    found: list[str] = []
    placed = 0

    def place(digit: str) -> None:
        nonlocal placed
        if grouped and placed and placed % 3 == 0:
            found.append(",")
        found.append(digit)
        placed += 1

    for token in reversed(part):
        if token.kind in ("literal", "percent"):
            found.append(token.text[::-1])
        if token.kind != "digit":
            continue
        left -= 1
        if digits:
            place(digits[-1])
            digits = digits[:-1]
        elif token.text == "0":
            place("0")
        while digits and not left:
            place(digits[-1])
            digits = digits[:-1]
    return "".join(found)[::-1]


def _decimals(part: list[Token], digits: str) -> str:
    """Place the digits after the point; `#` and `?` show no zero at the end."""
    places = [token.text for token in part if token.kind == "digit"]
    keep = len(digits)
    while keep and digits[keep - 1] == "0" and places[keep - 1] != "0":
        keep -= 1
    found: list[str] = []
    at = 0
    for token in part:
        if token.kind == "point" and (keep or not places):
            found.append(".")
        elif token.kind in ("literal", "percent"):
            found.append(token.text)
        elif token.kind == "digit":
            found.append(digits[at] if at < keep else "")
            at += 1
    return "".join(found)


def _scientific(part: list[Token], number: Decimal) -> str:
    cut = next(at for at, token in enumerate(part) if token.kind == "exponent")
    head, tail = part[:cut], part[cut + 1 :]
    point = next((at for at, token in enumerate(head) if token.kind == "point"), len(head))
    step = max(1, sum(token.kind == "digit" for token in head[:point]))
    places = sum(token.kind == "digit" for token in head[point:])
    power = (number.adjusted() // step) * step if number else 0
    mantissa = _rounded(number.scaleb(-power), places)
    if len(mantissa.partition(".")[0]) > step:  # rounded up to ten
        power += step
        mantissa = _rounded(number.scaleb(-power), places)
    whole, _, decimals = mantissa.partition(".")
    width = sum(token.kind == "digit" for token in tail)
    sign = "-" if power < 0 else "+" if part[cut].text.endswith("+") else ""
    literals = "".join(token.text for token in tail if token.kind in ("literal", "percent"))
    shown = _whole(head[:point], whole, False) + _decimals(head[point:], decimals)
    return f"{shown}E{sign}{abs(power):0{max(1, width)}d}{literals}".strip()


def _fraction(part: list[Token], number: Decimal) -> str:
    """Show `2 1/4` for `# ?/?`, and `18/8` for `?/8`."""
    from fractions import Fraction

    slash = next(at for at, token in enumerate(part) if token.kind == "slash")
    after = part[slash + 1 :]
    fixed = "".join(token.text for token in after if token.kind == "literal" and token.text.isdigit())
    width = sum(token.kind == "digit" for token in after)
    exact = Fraction(number)
    if fixed:
        bottom = int(fixed[:6])
        top = int(exact * bottom + Fraction(1, 2))
    else:
        near = exact.limit_denominator(10 ** min(max(width, 1), 5) - 1)
        top, bottom = near.numerator, near.denominator
    before = part[:slash]
    numerator = _numerator(before)
    mixed = any(token.kind == "digit" for token in before[:numerator])
    whole, top = divmod(top, bottom) if mixed and bottom else (0, top)
    shown = " ".join(
        filter(None, [str(whole) if mixed and (whole or not top) else "", f"{top}/{bottom}" if top else ""])
    )
    lead = "".join(token.text for token in before if token.kind == "literal").strip()
    trail = "".join(token.text for token in after if token.kind == "literal" and not token.text.isdigit()).strip()
    return " ".join(filter(None, [lead, shown or "0", trail]))


def _numerator(before: list[Token]) -> int:
    """Return where the placeholders of the numerator begin: the last ones before the slash."""
    at = len(before)
    while at and before[at - 1].kind != "digit":
        at -= 1
    while at and before[at - 1].kind == "digit":
        at -= 1
    return at
