"""Characters that a reviewer cannot see, or that show others in another order than they are in: marked and counted.

Code that reads as something else than it does is the oldest trick against a reviewer ("Trojan Source",
CVE-2021-42574). Whatever a terminal must not be sent is escaped here, as everywhere, and remembered, so that it
can be told from an escape that the code itself spells out.
"""

import re
from dataclasses import dataclass

from ..progress.text import counted
from ..terminal.escape import HOSTILE, escape

_IN_CODE = re.compile(
    HOSTILE.pattern[:-1]
    + "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000"  # spaces that are not the space
    + "\ufe00-\ufe0f\ufffc"  # no width: variation selectors, the place of an object
    + "]"
)
_NAMED = 4
"""Characters that a warning names, each with its lines."""


@dataclass(frozen=True)
class Marked:
    """A text that is safe to show."""

    text: str
    places: tuple[tuple[int, int], ...]
    """Where in `text` an escape stands for a hidden character: beginnings and ends."""
    hidden: tuple[tuple[str, int], ...]
    """Those characters, each with the line that it is in, from 1."""


def marked(text: str, *, code: bool = False) -> Marked:
    """`text` with what hides in it escaped. In `code` that includes spaces that only look like the space."""
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
    """A line that says how many there are, which, and where; empty when there are none."""
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
