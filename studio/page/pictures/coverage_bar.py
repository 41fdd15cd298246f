"""An input as a bar: dark where models were shown all of it, empty where nobody looked."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from .drawing import picture, rect

_LEAST = 0.02
_HEIGHT = 10


def coverage_bar(shares: Sequence[float], label: str, css: str = "cover") -> Markup:
    """Return the bar. `shares`: of each part of the input, in order, how much was shown (0 to 1)."""
    drawn: list[Markup] = []
    at = 0
    for level, parts in groupby(_level(share) for share in shares):
        count = sum(1 for _ in parts)
        if level:
            drawn.append(rect(f"c{level}", 100 * at / len(shares), 0, 100 * count / len(shares), _HEIGHT))
        at += count
    return picture(css, label, _HEIGHT, drawn)


def _level(share: float) -> int:
    return 0 if share < _LEAST else 1 if share < 0.5 else 2 if share < 0.98 else 3
