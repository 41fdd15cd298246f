"""The facts that speak for an answer and against it, as far as they follow from what was saved."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...graph.coverage import rounded
from ...graph.run_times import ForkOf
from ...state.evidence.citations import Citation
from ...state.evidence.coverage import Coverage
from ...state.records import RestoreRecord
from ...state.saved_turns import steps_of_turn
from ...state.stores import Stores
from ...state.turn_rows import TurnRow
from .coverage_cache import CoverageNow

_PARTS = 160
_MOST_RESTORES = 10
_NAMED = 3


@dataclass(frozen=True)
class InputSeen:
    """The parts of the input that models were shown."""

    share: float | None
    documents: int
    """Those that have any text."""
    unseen: int
    names: list[str]
    """The first of the documents that nobody looked at."""
    parts: list[float]
    """The share of each of 160 equal parts of the input."""


@dataclass(frozen=True)
class Believed:
    """The facts beside an answer."""

    citations: Sequence[Citation]
    calls: int
    failed: int
    cut: int
    invented: list[int]
    """The turns whose replies had output that nothing printed."""
    edited: list[int]
    restored: list[tuple[int, RestoreRecord]]
    """Turns before which the REPL was restored, each with the report of it."""
    forks: Sequence[ForkOf]
    seen: InputSeen | None
    """None without an input, and while it is not known."""
    seen_now: CoverageNow
    damaged: list[int] = field(default_factory=list[int])
    """Turns whose rows are not what was saved."""

    @property
    def verified(self) -> int:
        """The number of citations whose words stand in the document that they name."""
        return sum(one["verified"] for one in self.citations)

    @property
    def diverged(self) -> list[tuple[int, Any]]:
        """Turns that asked for something else when they were replayed, with what is missing."""
        return [(number, one) for number, restore in self.restored for one in restore["diverged"]]

    @property
    def lost(self) -> list[tuple[int, dict[str, str]]]:
        """Turns before which variables could not be brought back, with the reasons."""
        return [(number, restore["lost"]) for number, restore in self.restored if restore["lost"]]


async def believed(
    stores: Stores,
    thread_id: str,
    turns: Sequence[TurnRow],
    citations: Sequence[Citation],
    forks: Sequence[ForkOf],
    coverage: CoverageNow,
) -> Believed:
    """Return the facts beside the answer of a run. Raises StoreError."""
    found = coverage.found.coverage if coverage.found else None
    restored = [turn.turn for turn in turns if "restored" in turn.flags][-_MOST_RESTORES:]
    return Believed(
        citations=citations,
        calls=sum(turn.calls for turn in turns),
        failed=sum(turn.failed for turn in turns),
        cut=sum(turn.cut for turn in turns),
        invented=[turn.turn for turn in turns if "invented" in turn.flags],
        edited=[turn.turn for turn in turns if "edited" in turn.flags],
        restored=[one for number in restored for one in await _restores(stores, thread_id, number)],
        forks=forks,
        seen=None if found is None else await asyncio.to_thread(_seen, found),
        seen_now=coverage,
        damaged=[turn.turn for turn in turns if turn.damaged],
    )


async def _restores(stores: Stores, thread_id: str, number: int) -> list[tuple[int, RestoreRecord]]:
    saved = await steps_of_turn(stores.database, thread_id, number)
    records = [record for step in saved.steps for record in step.records if record.get("number") == number]
    return [(number, record["restore"]) for record in records if "restore" in record]


def _seen(found: Coverage) -> InputSeen:
    import numpy

    sizes = numpy.array([one.size for one in found.documents], numpy.int64)
    starts = numpy.array([one.start for one in found.documents], numpy.int64)
    whole = int(sizes.sum())
    before = numpy.concatenate(([0], numpy.cumsum(sizes)))
    edges = numpy.linspace(0, whole, _PARTS + 1).astype(numpy.int64)
    read = numpy.array([one.read for one in found.documents], numpy.int64)
    read_before = numpy.concatenate(([0], numpy.cumsum(read)))
    # The place of each edge in the pack: documents may stand apart there, and what is between them is no input.
    number = numpy.clip(numpy.searchsorted(before, edges, "right") - 1, 0, max(0, len(sizes) - 1))
    parts: list[float] = []
    if whole:
        places = starts[number] + numpy.minimum(edges - before[number], sizes[number])
        inside = found.both.below(places) - found.both.below(starts[number])
        amounts = numpy.diff(read_before[number] + inside)
        parts = [float(one) for one in amounts / numpy.maximum(1, numpy.diff(edges))]
    never = found.never
    names = [one.name for one in never[:_NAMED]]
    return InputSeen(rounded(found.share), len(found.with_text), len(never), names, parts)
