"""Finds a quotation in a text, and returns where it stands there.

Nothing is found that is only similar: `find` says how a passage differs from the quotation, and `nearest` is for the
note that a quotation is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["exact", "folded", "folded with an omission", "across a page", "nearest"]
"""The way in which a passage is the quotation: `nearest` means that it is not."""
LEAST = 3
"""Letters and digits that a quotation has at least."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage of a text, in characters."""

    start: int
    end: int
    how: How
    share: float = 1.0
    """The part of the quotation that it has, from 0 to 1."""


def find(text: str, quote: str, start: int = 0, end: int | None = None, *, pages: Sequence[int] = ()) -> Found | None:
    """Return the first passage between `start` and `end` that is the quotation, or None.

    `pages`: the offsets at which pages begin. A passage may go over from one to the next.
    """
    return next(iter(find_all(text, quote, start, end, pages=pages, most=1)), None)


def find_all(
    text: str, quote: str, start: int = 0, end: int | None = None, *, pages: Sequence[int] = (), most: int = 10_000
) -> list[Found]:
    """Return the first passages that are the quotation, in order, all of them alike in `how`."""
    if sum(map(str.isalnum, quote)) < LEAST:
        return []
    found: list[Found] = []
    at = text.find(quote, start, end)
    while at >= 0 and len(found) < most:
        found.append(Found(at, at + len(quote), "exact"))
        at = text.find(quote, at + len(quote), end)
    return found


def nearest(text: str, quote: str, start: int = 0, end: int | None = None) -> Found | None:
    """Return the passage that is most like the quotation; None when no word of it is there."""
    for word in sorted(quote.split(), key=len, reverse=True):
        at = text.find(word, start, end)
        if at >= 0:
            return Found(at, at + len(word), "nearest", len(word) / len(quote))
    return None


def same(found: str, quote: str) -> bool:
    """Return whether the words of a source are this quotation, once both are folded."""
    return found == quote
