"""Finds a quotation in a text, and returns where it stands there.

Nothing is found that is only similar: `find` says how a passage differs from the quotation, and `nearest` is for the
note that a quotation is not there.
"""

from dataclasses import dataclass
from typing import Literal

How = Literal["exact", "folded", "folded with an omission", "across a page", "nearest"]
"""How a passage is the quotation: `nearest` means that it is not."""
LEAST = 3
"""Letters and digits that a quotation has at least."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage of a text, in characters."""

    start: int
    end: int
    how: How


def find(text: str, quote: str, start: int = 0, end: int | None = None) -> Found | None:
    """Return the first passage between `start` and `end` that is the quotation; None when there is none."""
    if sum(map(str.isalnum, quote)) < LEAST:
        return None
    at = text.find(quote, start, len(text) if end is None else end)
    return Found(at, at + len(quote), "exact") if at >= 0 else None


def nearest(text: str, quote: str) -> Found | None:
    """Return the passage that is most like the quotation; None when no word of it is there."""
    for word in sorted(quote.split(), key=len, reverse=True):
        at = text.find(word)
        if at >= 0:
            return Found(at, at + len(word), "nearest")
    return None


def same(found: str, quote: str) -> bool:
    """Return whether the words of a source are this quotation, once both are folded."""
    return found == quote
