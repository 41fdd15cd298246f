"""A kernel that nobody needs for a while is let go: a model or a person may take long, and memory is dear.

The next cell gets a restored one, as after a crash.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager


class Idleness:
    """Watches one run's kernel. Bound to one event loop."""

    def __init__(self, seconds: float, busy: Callable[[], bool], let_go: Callable[[], Awaitable[None]]) -> None:
        """After `seconds` in which nobody needed the kernel and it was not `busy` by itself, it is `let_go`."""
        self._seconds = seconds
        self._busy = busy
        self._let_go = let_go
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._letting_go: asyncio.Task[None] | None = None

    @contextmanager
    def needed(self) -> Generator[None]:
        """While this lasts, the kernel stays."""
        self._users += 1
        self._cancel()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._wait()

    def stop(self) -> None:
        """Watch no longer."""
        self._cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._over)

    def _over(self) -> None:
        self._letting_go = asyncio.ensure_future(self._unless_needed())

    async def _unless_needed(self) -> None:
        if self._users:
            return
        if self._busy():
            self._wait()
        else:
            await self._let_go()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
