"""Kernels that were forked ahead, so that whoever needs one does not wait."""

import asyncio
import contextlib
import signal

from .fork_server import Forked, ForkFailed, ForkServer

AHEAD = 2
_PAUSE = 0.05
"""Seconds in which whoever has taken one starts it, undisturbed by the making of the next."""


class ReadyKernels:
    """Keeps some kernels ready that nobody has used."""

    def __init__(self, server: ForkServer, ahead: int = AHEAD) -> None:
        self._server = server
        self._ahead = ahead
        self._ready: list[Forked] = []
        self._forking = 0
        self._filling: asyncio.Task[None] | None = None
        self._pausing: asyncio.TimerHandle | None = None

    async def take(self) -> Forked:
        """A kernel for one user. Raises ForkFailed."""
        while self._ready:
            kernel = self._ready.pop()
            if not kernel.ended.done():
                self._fill_later()
                return kernel
            kernel.status.close()
        self._forking += 1
        try:
            return await self._server.fork()
        finally:
            self._forking -= 1
            self._fill_later()

    def fill(self) -> None:
        """Fork more in the background, unless somebody waits for one now."""
        if not self._forking and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    def _fill_later(self) -> None:
        if self._pausing:
            self._pausing.cancel()
        self._pausing = asyncio.get_running_loop().call_later(_PAUSE, self.fill)

    async def _fill(self) -> None:
        with contextlib.suppress(ForkFailed, OSError):
            while len(self._ready) < self._ahead and not self._forking:
                self._ready.append(await self._server.fork())

    async def close(self) -> None:
        """End those that nobody took."""
        if self._pausing:
            self._pausing.cancel()
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        while self._ready:
            kernel = self._ready.pop()
            self._server.signal(kernel, signal.SIGKILL)
            kernel.status.close()
