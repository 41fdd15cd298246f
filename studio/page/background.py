"""Work that takes longer than a page should: done beside the requests, kept for the next ones, bounded in number."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

SOON = 0.25
"""Seconds that a page waits for such work before it is shown without."""


class Work(Generic[T]):
    """One piece of work, under way or done."""

    def __init__(self, begin: Callable[["Work[T]"], Awaitable[T]]) -> None:
        """Begin it. `begin` gets this, so that it can tell how far it is."""
        self.share = 0.0
        """The share of it that is done, 0 to 1, where that is known."""
        self.abandoned = False
        """True once nobody waits for it any more: it should end soon."""
        self.task: asyncio.Future[T] = asyncio.ensure_future(begin(self))
        # What it raises is told to those that ask for the result, and to nobody when nobody does.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def result(self) -> T | None:
        """The result; None while it is under way. Raises what it raised."""
        return self.task.result() if self.task.done() else None

    @property
    def failed(self) -> bool:
        """True once it has ended without a result."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)

    async def soon(self, seconds: float = SOON) -> T | None:
        """Return the result if it is there within so many seconds. Raises what it raised."""
        if not self.task.done():
            await asyncio.wait({self.task}, timeout=seconds)
        return self.result

    def abandon(self) -> None:
        """Let it end soon, without a result."""
        self.abandoned = True
        self.task.cancel()


class Kept(Generic[T]):
    """The latest works by their keys, at most so many, and together no heavier than that."""

    def __init__(self, most: int, *, heaviest: int = 0, weight: Callable[[T], int] = lambda _: 0) -> None:
        """`heaviest`: the most of `weight` over all results; one alone is kept whatever it weighs."""
        self._most, self._heaviest, self._weight = most, heaviest, weight
        self._works: OrderedDict[Hashable, Work[T]] = OrderedDict()

    def get(self, key: Hashable) -> Work[T] | None:
        """Return the work of that key, which is then the latest; None when there is none."""
        found = self._works.get(key)
        if found is not None:
            self._works.move_to_end(key)
        return found

    def begin(self, key: Hashable, begin: Callable[[Work[T]], Awaitable[T]]) -> Work[T]:
        """Return the work of that key, begun now unless it is there. One that failed is begun again."""
        found = self.get(key)
        if found is None or found.failed:
            found = self._works[key] = Work(begin)
            found.task.add_done_callback(lambda _: self._shed())
            self._works.move_to_end(key)
            self._shed()
        return found

    def _shed(self) -> None:
        while len(self._works) > 1 and (len(self._works) > self._most or self._weighs() > self._heaviest):
            self._works.popitem(last=False)[1].abandon()

    def _weighs(self) -> int:
        done = [one for one in self._works.values() if one.task.done() and not one.failed]
        return sum(self._weight(one.task.result()) for one in done)

    def clear(self) -> None:
        """Abandon all of it."""
        while self._works:
            self._works.popitem()[1].abandon()
