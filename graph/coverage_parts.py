"""Adds up for parts of an input how much of each was read, how often and by whom: for pictures, and beside lines."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .coverage import InputRead

BINS = 240
"""Parts of a whole input, or of a document, in a picture of it."""


class PartRead(NamedTuple):
    """The reading of one part."""

    share: float
    """The share of its bytes that was read, 0 to 1."""
    read: int
    """The number of these bytes."""
    times: float
    """The mean number of times that the bytes were read of those that were; 1 at least where any were."""
    by_sub_models: bool
    by_root_model: bool


def parts_read(found: InputRead, places: Sequence[tuple[int, int]]) -> list[PartRead]:
    """Return what was read of each of these ranges of the pack, in bytes. `rlm show --coverage` counts the same."""
    import numpy

    starts, ends = numpy.array(places, numpy.int64).reshape(-1, 2).T
    covered = found.coverage
    read, subs, root = (
        some.below(ends) - some.below(starts)
        for some in (covered.both, covered.sub_models.ranges, covered.root_model.ranges)
    )
    shares = read / numpy.maximum(ends - starts, 1)
    # White space between passages counts as read, and was sent by none.
    times = numpy.where(read > 0, numpy.maximum(found.sent.mean_times(starts, ends), 1.0), 0.0)
    columns: list[Any] = [one.tolist() for one in (shares, read, times, subs > 0, root > 0)]
    return [PartRead(*values) for values in zip(*columns, strict=True)]


def bins_of(start: int, end: int, count: int = BINS) -> list[tuple[int, int]]:
    """Return so many ranges of equal length between two places; fewer when there are not that many bytes."""
    count = max(0, min(count, end - start))
    edges = [start + (end - start) * at // count for at in range(count + 1)] if count else [start]
    return list(pairwise(edges))
