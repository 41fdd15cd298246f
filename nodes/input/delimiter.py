"""Detects what separates the cells of a CSV file."""

import re
from collections import Counter
from itertools import pairwise

_DELIMITERS = b",;\t|"
_QUOTED = re.compile(rb'"[^"]*+"')
_LOOKED_AT = 64 << 10
_MOST_ROWS = 200


def delimiter(beginning: bytes) -> str:
    """Return what separates the cells of a CSV file: the sign that is as frequent in each row as in the next."""
    text = _QUOTED.sub(b"", beginning[:_LOOKED_AT])
    # The last row may be cut short.
    rows = [row for row in text.splitlines() if row][:_MOST_ROWS]
    rows = rows[:-1] if len(rows) > 1 and len(beginning) > _LOOKED_AT else rows
    best = max(_DELIMITERS, key=lambda sign: _regularity([row.count(sign) for row in rows]))
    return chr(best)


def _regularity(counts: list[int]) -> tuple[float, float]:
    """Return how regular the numbers of a sign in each row are, and how many of them there are."""
    counted = Counter(counts)
    usual = counted.most_common(1)[0][0] if counted else 0
    if not usual:
        return 0.0, sum(counts) / (len(counts) or 1)
    same = sum(one == other for one, other in pairwise(counts)) if len(counts) > 1 else 1
    return same / max(1, len(counts) - 1), usual
