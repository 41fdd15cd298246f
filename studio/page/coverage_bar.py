"""Coverage as a bar: parts of a text from its beginning to its end, coloured by how often models read them."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ...graph.coverage_parts import PartRead

_CHANCE = 4
"""Bytes that a prompt and the input may have in common by chance, behind the passage that it was made from."""
_STEPS = 4
"""Heights of a bar: it is as high as the share of its part that was read."""
WORDS = {
    "c0": "never read",
    "c1": "read once",
    "c2": "read 2 or 3 times",
    "c3": "read more often",
    "cr": "read by the root model only",
}
"""The classes of parts in words."""


class Stretch(NamedTuple):
    """A rectangle of a bar, in per cent of its width and height."""

    x: str
    width: str
    y: str
    height: str
    level: str


def level_of(part: PartRead) -> str:
    """Return the class of a part."""
    if not part.read:
        return "c0"
    if part.by_root_model and not part.by_sub_models:
        return "cr"
    return "c1" if part.times < 1.5 else "c2" if part.times < 3.5 else "c3"


def bar(parts: Sequence[PartRead]) -> list[Stretch]:
    """Return the stretches of a bar that were read."""
    found: list[Stretch] = []
    at, whole = 0, len(parts)
    for (level, height), same in groupby(map(_look, parts)):
        width = sum(1 for _ in same)
        if level != "c0":
            x, wide, high = 100 * at / whole, 100 * width / whole, 100 * height // _STEPS
            found.append(Stretch(f"{x:.2f}%", f"{wide:.2f}%", f"{100 - high}%", f"{high}%", level))
        at += width
    return found


def _look(part: PartRead) -> tuple[str, int]:
    by_chance = part.read <= _CHANCE and part.share < 0.5
    return ("c0", 0) if by_chance else (level_of(part), max(1, round(_STEPS * part.share)))
