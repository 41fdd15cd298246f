"""The passages of an input that requests held: how often each part was sent, and by which requests.

`coverage.py` tells what was read and what was not, and decides that alone. This adds the times and the requests, for
pictures and for links.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .journal_places import PlacedRow
from .recorded import edges_of

Array = Any
"""A numpy array of 64-bit numbers."""


class Request(NamedTuple):
    """A request that a model answered."""

    thread_id: str
    key: str
    kind: str
    turn: int
    by_root: bool
    """True for a request to the root model of the run at the top; all others are to sub-models."""


@dataclass(frozen=True, eq=False)
class SentPassages:
    """Passages in the order of their first bytes, and the requests that held them."""

    starts: Array
    ends: Array
    of: Array
    """For each passage the number of its request."""
    requests: tuple[Request, ...]
    at: Array
    """Places, in order, from which another number of passages lies over the bytes."""
    times: Array
    """The number of passages from each of these places on."""

    @classmethod
    def of_rows(cls, rows: Sequence[PlacedRow], top: str, pack: str) -> "SentPassages":
        """Return what answered requests of these rows held of a pack. The root model is that of the run `top`."""
        import numpy

        answered = [row for row in rows if row.answered and row.places]
        requests: list[Request] = []
        edges, counts = array("q"), list[int]()
        names: dict[str, str] = {}
        for number, found in edges_of([row.places or "" for row in answered], pack):
            row = answered[number]
            # Each row has a string of its own for the name of its thread.
            thread = names.setdefault(row.thread_id, row.thread_id)
            edges.extend(found)
            counts.append(len(found) // 2)
            requests.append(Request(thread, row.key, row.kind, row.turn, row.kind == "root" and thread == top))
        both = numpy.array(edges, numpy.int64).reshape(-1, 2)
        order = numpy.argsort(both[:, 0], kind="stable")
        starts, ends = both[order, 0], both[order, 1]
        of = numpy.repeat(numpy.arange(len(counts)), counts)[order]
        return cls(starts, ends, of, tuple(requests), *_depths(starts, ends))

    def within(self, start: int, end: int) -> list[tuple[Request, list[tuple[int, int]]]]:
        """Return the requests that held bytes between two places, in their order, each with its passages there."""
        import numpy

        behind = int(numpy.searchsorted(self.starts, end, "left"))
        here = numpy.flatnonzero(self.ends[:behind] > start)
        found: dict[int, list[tuple[int, int]]] = {}
        for at in here.tolist():
            passage = max(start, int(self.starts[at])), min(end, int(self.ends[at]))
            found.setdefault(int(self.of[at]), []).append(passage)
        return [(self.requests[number], passages) for number, passages in sorted(found.items())]

    def mean_times(self, starts: Array, ends: Array) -> Array:
        """Return for each range how often those of its bytes were sent that were sent at all; 0 where none was.

        The mean, not the most: a passage may go on for a byte that is alike by chance.
        """
        import numpy

        if not len(self.at):
            return numpy.zeros(len(starts))
        lengths = numpy.diff(numpy.append(self.at, self.at[-1]))
        sent = numpy.concatenate(([0], numpy.cumsum(lengths * self.times)))
        held = numpy.concatenate(([0], numpy.cumsum(lengths * (self.times > 0))))

        def below(places: Array, sums: Array, weights: Array) -> Array:
            number = numpy.searchsorted(self.at, places, "right") - 1
            known = numpy.maximum(number, 0)
            return numpy.where(number < 0, 0, sums[known] + (places - self.at[known]) * weights[known])

        amounts, sizes = (
            below(ends, sums, weights) - below(starts, sums, weights)
            for sums, weights in ((sent, self.times), (held, self.times > 0))
        )
        return numpy.divide(amounts, sizes, out=numpy.zeros(len(sizes)), where=sizes > 0)


def _depths(starts: Array, ends: Array) -> tuple[Array, Array]:
    """Return the places where the number of passages changes, and the numbers from there on."""
    import numpy

    places = numpy.concatenate((starts, ends))
    changes = numpy.concatenate((numpy.ones(len(starts), numpy.int64), -numpy.ones(len(ends), numpy.int64)))
    at, inverse = numpy.unique(places, return_inverse=True)
    summed = numpy.zeros(len(at), numpy.int64)
    numpy.add.at(summed, inverse, changes)
    return at, numpy.cumsum(summed)
