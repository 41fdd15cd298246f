"""The coverage of the runs of a home: added up beside the requests, and kept until the runs have read more."""

from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.requests import Request

from ...graph.coverage import InputRead, coverage_mark, input_read
from ...state.db.connection import Database
from ...state.errors import StoreError
from ...state.stores import Stores
from .background import Work
from .home import PageHome

_MOST_RUNS = 8
_HEAVIEST = 400_000
"""Requests, passages and documents that are kept of all runs together: about a hundred bytes each."""


@dataclass(frozen=True)
class CoverageNow:
    """The coverage of a run as it is known now."""

    found: InputRead | None
    """The parts that were read; None for a run without an input, and while nothing is known."""
    current: bool
    """False while it is added up: `found` is then None, or as it was before."""
    problem: str = ""
    """A sentence that says why it is not known; empty otherwise."""


@dataclass
class _Run:
    work: Work[InputRead | None]
    mark: tuple[int, ...]
    """The mark of what is added up now."""
    found: InputRead | None = None
    weight: int = 0


@dataclass
class CoverageCache:
    """The coverage of the runs that were looked at last."""

    most_runs: int = _MOST_RUNS
    heaviest: int = _HEAVIEST
    _runs: OrderedDict[tuple[Database, str], _Run] = field(default_factory=OrderedDict[tuple[Database, str], _Run])

    async def look(self, home: PageHome, thread: str) -> CoverageNow:
        """Return what is known of a run's coverage after a short wait. Raises UnknownThread, StoreError."""
        stores = home.stores
        mark = await coverage_mark(stores, thread)
        key = stores.database, thread
        run = self._runs.get(key)
        if run is None or (run.work.task.done() and (run.mark != mark or run.work.failed)):
            before = run.found if run else None
            run = self._runs[key] = _Run(Work(_read(stores, thread)), mark, before, _weight(before))
        self._runs.move_to_end(key)
        try:
            found = await run.work.soon()
        except StoreError as error:
            return CoverageNow(run.found, current=True, problem=error.message)
        if run.work.task.done():
            run.found, run.weight = found, _weight(found)
            self._shed()
        return CoverageNow(run.found, current=run.work.task.done() and run.mark == mark)

    def _shed(self) -> None:
        runs = self._runs
        while len(runs) > 1 and (
            len(runs) > self.most_runs or sum(run.weight for run in runs.values()) > self.heaviest
        ):
            runs.popitem(last=False)[1].work.abandon()


async def _read(stores: Stores, thread: str) -> InputRead | None:
    return await input_read(stores, await stores.threads.look(thread))


def _weight(found: InputRead | None) -> int:
    return len(found.sent.requests) + len(found.sent.starts) + len(found.coverage.documents) if found else 0


def coverages_of(request: Request) -> CoverageCache:
    """Return the coverage of the runs of the home that a request is about."""
    cache: CoverageCache = request.app.state.coverages
    return cache
