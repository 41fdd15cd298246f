"""Work that takes longer than a page should: done beside the requests, and kept for the next ones."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")


class Abandoned(Exception):
    """Nobody waits for the work any more."""


class Work(Generic[T]):
    """One piece of work, under way or done. What is known before its end stands in attributes of a subclass."""

    patience: ClassVar[float] = 0.4
    """Seconds that a page waits for work before it is shown without."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        """Begin it."""
        self.abandoned = False
        """True once nobody waits for it any more: it should end soon."""
        self.task: asyncio.Future[T] = asyncio.ensure_future(work)
        # Its exception is raised for those that ask for the result, and lost when nobody does.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def failed(self) -> bool:
        """True once it has ended without a result."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)

    async def soon(self) -> T | None:
        """Return the result if it is there soon, else None. Raises what it raised."""
        return await self._within(self.patience)

    async def at_last(self) -> T | None:
        """Return the result once it is there; None for what was abandoned. Raises what it raised."""
        return await self._within(None)

    async def now(self) -> T | None:
        """Return the result if it is there, else None. Raises what it raised."""
        return await self._within(0)

    async def _within(self, seconds: float | None) -> T | None:
        if not self.task.done():
            await asyncio.wait({self.task}, timeout=seconds)
        return self.task.result() if self.task.done() and not self.task.cancelled() else None

    def abandon(self) -> None:
        """Let it end soon, without a result."""
        self.abandoned = True
        self.task.cancel()

    def go_on(self) -> None:
        """Raise Abandoned once nobody waits for it: a thread cannot be ended from outside."""
        if self.abandoned:
            raise Abandoned


W = TypeVar("W", bound=Work[Any])


class Kept(Generic[W]):
    """The works that were asked for last, by their keys."""

    def __init__(self, most: int, *, heaviest: int = 0, weight: Callable[[W], int] = lambda _: 0) -> None:
        """Keep at most so many, and together no heavier than `heaviest`; one alone, whatever it weighs."""
        self._most, self._heaviest, self._weight = most, heaviest, weight
        self._works: OrderedDict[Hashable, W] = OrderedDict()

    def get(self, key: Hashable, begin: Callable[[], W]) -> W:
        """Return the work of that key, begun now unless it is there. One that failed is begun again."""
        found = self._works.get(key)
        if found is None or found.failed:
            found = self._works[key] = begin()
        self._works.move_to_end(key)
        while len(self._works) > 1 and (
            len(self._works) > self._most or sum(map(self._weight, self._works.values())) > self._heaviest
        ):
            self._works.popitem(last=False)[1].abandon()
        return found
