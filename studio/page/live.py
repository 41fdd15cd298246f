"""Tells followers that something new is saved, whichever process saved it. A followed home has one watcher.

SQLite says in microseconds whether anything was committed; only then the marks of what is followed are read again
(`graph/marks.py`). A process that is killed commits nothing: while a run that somebody follows is busy, its holder is
looked for every second.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...graph.marks import GONE, marks_of
from .home import HomeOpener, NoHome

EVERY = 0.1
"""Seconds between two looks at the database."""
HOLDERS_EVERY = 1.0
"""Seconds between two looks at whether the holders of busy runs are alive."""
_log = logging.getLogger(__name__)
HEARTBEAT = 15.0
"""Seconds after which a follower hears something in any case, so that a dead connection is noticed."""


@dataclass(frozen=True)
class News:
    """Something followed that has changed: a run by its name, or the home by the empty name, and its mark now."""

    name: str
    mark: str


@dataclass(eq=False)
class _Follower:
    known: dict[str, str]
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The watcher of a home. Its task runs only while it is followed."""

    def __init__(
        self,
        opener: HomeOpener,
        *,
        heartbeat: float = HEARTBEAT,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opener = opener
        self._heartbeat = heartbeat
        self._sleep = sleep
        self._clock = clock
        self._followers: set[_Follower] = set()
        self._watching: asyncio.Task[None] | None = None
        self._marks: dict[str, str] = {}
        self._version: object = None
        self._holders_after = float("inf")
        self._ended = False

    @property
    def watching(self) -> bool:
        """True while the database is looked at again and again."""
        return self._watching is not None and not self._watching.done()

    async def follow(self, known: Mapping[str, str]) -> AsyncGenerator[News | None]:
        """Yield what of `known` (marks by name) has another mark, now and whenever that changes; None as a heartbeat.

        Ends when the server stops.
        """
        follower = _Follower({**known})
        self._followers.add(follower)
        if not self.watching:
            self._watching = asyncio.create_task(self._watch())
        try:
            while not self._ended:
                news = [
                    News(name, mark)
                    for name in follower.known
                    if (mark := self._marks.get(name)) is not None and mark != follower.known[name]
                ]
                follower.known.update({one.name: one.mark for one in news})
                for one in news:
                    yield one
                try:
                    async with asyncio.timeout(self._heartbeat):
                        await follower.woken.wait()
                except TimeoutError:
                    yield None
                follower.woken.clear()
        finally:
            self._followers.discard(follower)

    def end(self) -> None:
        """End all followers at once: the server stops."""
        self._ended = True
        for follower in self._followers:
            follower.woken.set()

    async def aclose(self) -> None:
        """End all followers, and the watcher."""
        self.end()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while self._followers and not self._ended:
            await self._look()
            await self._sleep(EVERY)
        self._marks.clear()

    async def _look(self) -> None:
        names = {name for follower in self._followers for name in follower.known}
        try:
            home = await self._opener.opened()
            version = (id(home.stores), await home.stores.database.version(), frozenset(names))
            now = self._clock()
            if version == self._version and now < self._holders_after:
                return
            found = await marks_of(home.stores, names)
            self._marks, self._version = found.by_name, version
            self._holders_after = now + HOLDERS_EVERY if found.busy else float("inf")
        except NoHome:
            self._marks, self._version = dict.fromkeys(names, GONE), None
        except Exception:
            # Busy or damaged, or closed at this moment because another home has come: a later look tells. Pages say by
            # themselves what is wrong.
            _log.debug("What is followed could not be read.", exc_info=True)
            self._version = None
            return
        for follower in self._followers:
            if any(self._marks.get(name, mark) != mark for name, mark in follower.known.items()):
                follower.woken.set()
