"""Marking and counting of characters that a reviewer cannot see, or that change the order in which others are shown.

Code that reads differently from what it does is an old attack on reviewers ("Trojan Source", CVE-2021-42574).
Characters that must not be sent to a terminal are escaped here, as everywhere, and their places are recorded, so that
they can be distinguished from escapes that the code itself contains.
"""

import re
from dataclasses import dataclass

from ...state.wording import counted
from ..terminal.escape import HOSTILE, escape

_IN_CODE = re.compile(
    HOSTILE.pattern[:-1]
    + "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000"  # spaces that are not the space
    + "\ufe00-\ufe0f\ufffc"  # no width: variation selectors, the place of an object
    + "]"
)
_NAMED = 4
"""The number of characters that a warning names, each with its lines."""


@dataclass(frozen=True)
class Marked:
    """A text that is safe to show."""

    text: str
    places: tuple[tuple[int, int], ...]
    """The beginning and end in `text` of each escape that stands for a hidden character."""
    hidden: tuple[tuple[str, int], ...]
    """The hidden characters, each with the number of its line, from 1."""


def marked(text: str, *, code: bool = False) -> Marked:
    """Return `text` with hidden characters escaped; in `code` also spaces that only look like the space."""
    text = text.replace("\r\n", "\n")
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    hidden: list[tuple[str, int]] = []
    size = taken = counted_to = 0
    line = 1
    for found in (_IN_CODE if code else HOSTILE).finditer(text):
        before, shown = text[taken : found.start()], escape(found)
        line += text.count("\n", counted_to, found.start())
        taken, counted_to = found.end(), found.start()
        parts += [before, shown]
        places.append((size + len(before), size + len(before) + len(shown)))
        size = places[-1][1]
        hidden.append((found[0], line))
    return Marked("".join([*parts, text[taken:]]), tuple(places), tuple(hidden))


def warning(hidden: tuple[tuple[str, int], ...]) -> str:
    """Return a line with the number of hidden characters, their names and lines; empty when there are none."""
    if not hidden:
        return ""
    lines: dict[str, list[int]] = {}
    for character, line in hidden:
        lines.setdefault(character, []).append(line)
    named = [_named(character, at) for character, at in list(lines.items())[:_NAMED]]
    more = [counted(len(lines) - _NAMED, "other kind")] if len(lines) > _NAMED else []
    what = counted(len(hidden), "invisible or direction-changing character")
    return f"{what}, shown as escapes: {', '.join([*named, *more])}"


def _named(character: str, at: list[int]) -> str:
    numbers = list(dict.fromkeys(at))
    where = ", ".join(str(number) for number in numbers[:3]) + (", …" if len(numbers) > 3 else "")
    return f"U+{ord(character):04X} in line {where}"
