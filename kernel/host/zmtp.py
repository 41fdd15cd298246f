"""One connection to a kernel's socket: the client's half of ZeroMQ's protocol, as far as Jupyter needs it.

ZeroMQ's own library reads a message before it can be checked: an endless one, which a kernel's code can send by
bypassing that library, would fill this process's memory. Here nothing is read before its size is checked.
https://rfc.zeromq.org/spec/23/ (ZMTP 3.0, NULL security, a DEALER that speaks to a ROUTER)

Messages to a kernel wait in an `OutboundQueue`. The host waits for no kernel: one that reads nothing would block the
others.
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from .message_filter import MOST_PARTS, ProtocolViolation

MAX_MESSAGE = 512 << 20
"""Most bytes of one message: enough for the longest allowed prompt, as JSON."""
_MORE, _LONG, _COMMAND = 1, 2, 4
_SIZE = struct.Struct(">Q")
_SHORTEST = 256
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY"
_MOST_READY = 512
_AHEAD = 256 << 10
_AGAIN_SECONDS = 0.02


class Address(NamedTuple):
    """The address of a kernel's socket."""

    transport: str
    """`ipc` or `tcp`."""
    ip: str
    port: int


class ChannelClosed(Exception):
    """The other side is gone."""


class ZmtpConnection:
    """A connection that sends and receives messages of several parts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        writer.write(_GREETING + _command(_READY + _property("Socket-Type", "DEALER") + _property("Identity", "")))

    @classmethod
    async def open(cls, address: Address) -> "ZmtpConnection":
        """Connect as soon as a kernel listens at the address. Raises ChannelClosed, ProtocolViolation."""
        while True:
            try:
                connection = cls(*await _connected(address))
                break
            except (FileNotFoundError, ConnectionError):
                # A kernel that was not forked does not report when it starts to listen.
                await asyncio.sleep(_AGAIN_SECONDS)
        try:
            # Nothing may be sent before the other side has sent its greeting, too.
            await connection._greet()
        except BaseException as error:
            connection.close()
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                raise ChannelClosed from error
            raise
        return connection

    async def send(self, parts: Sequence[bytes]) -> None:
        """Send one message, and wait until most of it has left. Raises ChannelClosed."""
        for place, part in enumerate(parts, 1):
            more = _MORE if place < len(parts) else 0
            short = len(part) < _SHORTEST
            self._writer.write(bytes([more, len(part)]) if short else bytes([more | _LONG]) + _SIZE.pack(len(part)))
            self._writer.write(part)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise ChannelClosed from error

    async def receive(self) -> list[bytes]:
        """Return the next message. Raises ChannelClosed, ProtocolViolation."""
        try:
            return await self._message()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChannelClosed from error

    def close(self) -> None:
        """Close at once: unsent data is dropped."""
        with contextlib.suppress(RuntimeError):
            self._writer.transport.abort()

    async def _message(self) -> list[bytes]:
        parts: list[bytes] = []
        total = 0
        while True:
            flags, size = await self._head()
            total += size
            if flags & ~(_MORE | _LONG):
                raise ProtocolViolation("what is no message")
            if total > MAX_MESSAGE or len(parts) >= MOST_PARTS:
                raise ProtocolViolation("a message of great size")
            parts.append(await self._reader.readexactly(size))
            if not flags & _MORE:
                return parts

    async def _head(self) -> tuple[int, int]:
        [flags] = await self._reader.readexactly(1)
        if flags & _LONG:
            [size] = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
        else:
            [size] = await self._reader.readexactly(1)
        return flags, size

    async def _greet(self) -> None:
        greeting = await self._reader.readexactly(len(_GREETING))
        if greeting[:1] != b"\xff" or greeting[10] < 3 or greeting[12:32] != _GREETING[12:32]:
            raise ProtocolViolation("another protocol")
        flags, size = await self._head()
        if not flags & _COMMAND or size > _MOST_READY:
            raise ProtocolViolation("another protocol")
        if not (await self._reader.readexactly(size)).startswith(_READY):
            raise ProtocolViolation("another protocol")


async def _connected(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.transport == "ipc":
        return await asyncio.open_unix_connection(f"{address.ip}-{address.port}", limit=_AHEAD)
    return await asyncio.open_connection(address.ip, address.port, limit=_AHEAD)


def _command(body: bytes) -> bytes:
    return bytes([_COMMAND, len(body)]) + body


def _property(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + struct.pack(">I", len(value)) + value.encode()


class NotTaken(Exception):
    """A kernel does not read its messages."""


class OutboundQueue:
    """The queue of messages that are sent over one channel, in order, in the background."""

    def __init__(self, connection: ZmtpConnection, most: int) -> None:
        """Let at most `most` bytes wait."""
        self._channel = connection
        self._most = most
        self._waiting: deque[Sequence[bytes]] = deque()
        self._bytes = 0
        self._more = asyncio.Event()

    def put(self, parts: Sequence[bytes]) -> None:
        """Queue a message. Raises NotTaken when too much waits already."""
        size = sum(map(len, parts))
        if self._waiting and self._bytes + size > self._most:
            raise NotTaken("it does not take what it is sent")
        self._waiting.append(parts)
        self._bytes += size
        self._more.set()

    async def carry(self) -> None:
        """Send queued messages until cancelled or the other side is gone."""
        with contextlib.suppress(ChannelClosed):
            while True:
                while self._waiting:
                    parts = self._waiting[0]
                    await self._channel.send(parts)
                    self._waiting.popleft()
                    self._bytes -= sum(map(len, parts))
                self._more.clear()
                await self._more.wait()
