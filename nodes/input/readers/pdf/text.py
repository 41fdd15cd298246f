"""Text as PDF engines return it, made into text as people know it, and lists of pages in words."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

_LINE_END_HYPHEN = re.compile("\ufffe[ \t]*(?:\r\n|\r|\n)?")
"""A hyphen at a line's end, behind which pdfium gives no line end."""
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_LIGATURES = re.compile("[\ufb00-\ufb06]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_DATE = re.compile(r"D?:?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?\s*(Z|[+-]\d\d)?'?(\d\d)?")
UNKNOWN = "\ufffd"
"""Stands for a character that the file does not let a reader know."""


def clean(text: str) -> str:
    """Return the text of a page with `\\n` as line ends, its hyphens, ligatures as letters, and no control characters.

    A control character was a sign of a font that does not name its signs; it becomes U+FFFD.
    """
    text = _LINE_END_HYPHEN.sub("-\n", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub(UNKNOWN, text)
    return _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)


def undecoded(text: str) -> int:
    """Return the number of characters in a cleaned text that stand for a sign without a meaning."""
    return 0 if text.isascii() else text.count(UNKNOWN) + len(_PRIVATE.findall(text))


def is_right_to_left(text: str) -> bool:
    """Return whether the text has Arabic or Hebrew letters."""
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


def letters(text: str) -> int:
    """Return the number of characters that are not blanks."""
    return len("".join(text.split()))


def pages_in_words(numbers: Sequence[int]) -> str:
    """Return ascending page numbers as words: `page 7`, `pages 3–5 and 9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{first:,}" if first == last else f"{first:,}–{last:,}" for first, last in runs]
    if len(words) > 20:
        words = [*words[:20], f"{sum(last - first + 1 for first, last in runs[20:]):,} more"]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{'page' if len(numbers) == 1 else 'pages'} {listed}"


def iso_date(text: str) -> str:
    """Return a PDF's date (`D:20261129001315+00'00'`) as ISO 8601; an empty text for one that is not a date."""
    found = _DATE.match(text.strip())
    if not found:
        return ""
    year, month, day, hour, minute, second, zone, zone_minutes = found.groups()
    try:
        offset = None
        if zone:
            sign = -1 if zone[0] == "-" else 1
            minutes = sign * int(zone_minutes or 0)
            offset = timezone(timedelta(hours=0 if zone == "Z" else int(zone), minutes=minutes))
        date = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=offset
        )
    except ValueError:
        return ""
    return date.isoformat()
