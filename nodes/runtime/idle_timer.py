"""End the kernel of a run that has not needed it for a while: the next cell gets a restored one, as after a crash."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager


class IdleTimer:
    """A timer that ends one run's kernel after a time in which nothing needed it. Bound to one event loop."""

    def __init__(self, seconds: float, busy: Callable[[], bool], drop: Callable[[], Awaitable[None]]) -> None:
        """Call `drop` after `seconds` in which nothing needed the kernel and `busy` returned False."""
        self._seconds = seconds
        self._busy = busy
        self._drop = drop
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._dropping: asyncio.Task[None] | None = None

    @contextmanager
    def needed(self) -> Generator[None]:
        """Keep the kernel while this lasts."""
        self._users += 1
        self._cancel()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._wait()

    def stop(self) -> None:
        """Stop the timer for good."""
        self._cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._over)

    def _over(self) -> None:
        self._dropping = asyncio.ensure_future(self._unless_needed())

    async def _unless_needed(self) -> None:
        if self._users:
            return
        if self._busy():
            self._wait()
        else:
            await self._drop()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
