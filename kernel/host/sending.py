"""What is on its way to one kernel. The host waits for none: one that takes nothing would keep the others waiting."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

from .zmtp import Channel, ChannelClosed


class NotTaken(Exception):
    """A kernel does not take what it is sent."""


class Sending:
    """Sends messages over one channel, one after the other, in the background."""

    def __init__(self, channel: Channel, most: int) -> None:
        """`most`: bytes that may wait."""
        self._channel = channel
        self._most = most
        self._waiting: deque[Sequence[bytes]] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    def put(self, parts: Sequence[bytes]) -> None:
        """Send this next. Raises NotTaken when too much waits already."""
        size = sum(map(len, parts))
        if self._waiting and self._bytes + size > self._most:
            raise NotTaken("it does not take what it is sent")
        self._waiting.append(parts)
        self._bytes += size
        self._more.set()

    async def carry(self) -> None:
        """Send, until cancelled or the other side is gone."""
        with contextlib.suppress(ChannelClosed):
            while True:
                while self._waiting:
                    parts = self._waiting[0]
                    await self._channel.send(parts)
                    self._waiting.popleft()
                    self._bytes -= sum(map(len, parts))
                self._more.clear()
                await self._more.wait()
