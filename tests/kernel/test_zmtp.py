"""One connection to a kernel: incoming messages are limited before they are read, and sending never blocks."""

import asyncio
import struct
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import zmq.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_rlm.kernel.host import zmtp as channels
from durable_rlm.kernel.host.message_filter import ProtocolViolation
from durable_rlm.kernel.host.zmtp import Address, ChannelClosed, NotTaken, OutboundQueue, ZmtpConnection


class _Nowhere:
    """A writer that discards its bytes."""

    def write(self, data: bytes) -> None:
        del data


async def receiving(*pieces: bytes) -> ZmtpConnection:
    reader = asyncio.StreamReader()
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    return ZmtpConnection(reader, cast(Any, _Nowhere()))


@pytest.fixture
async def router() -> AsyncGenerator[tuple[Any, Address]]:
    """A socket of ZeroMQ's own library, as in a kernel."""
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        context = zmq.asyncio.Context()
        router = context.socket(zmq.ROUTER)
        router.bind(f"ipc://{folder}/s-1")
        yield router, Address("ipc", str(Path(folder) / "s"), 1)
        context.destroy(linger=0)


MESSAGES = [[b"one"], [b"", b"a" * 255, b"b" * 256, b""], [b"c" * 5_000_000], [b"d"] * 8]


async def test_messages_are_exchanged_with_zeromqs_own_library(router: tuple[Any, Address]) -> None:
    socket, address = router
    connection = await ZmtpConnection.open(address)
    for message in MESSAGES:
        await connection.send(message)
        [who, *heard] = await socket.recv_multipart()
        assert heard == message
        await socket.send_multipart([who, *message])
        assert await connection.receive() == message
    connection.close()


async def test_opening_waits_for_a_later_listener_and_its_end_is_reported() -> None:
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        address = Address("ipc", str(Path(folder) / "s"), 1)
        opening = asyncio.create_task(ZmtpConnection.open(address))
        await asyncio.sleep(0)
        context = zmq.asyncio.Context()
        router = context.socket(zmq.ROUTER)
        router.bind(f"ipc://{folder}/s-1")
        connection = await asyncio.wait_for(opening, 10)
        router.close(linger=0)
        context.term()
        with pytest.raises(ChannelClosed):
            await asyncio.wait_for(connection.receive(), 10)
        connection.close()


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n" * 8, bytes(64), b"\xff" * 64, b"\xff\x00" * 64])
async def test_another_protocol_is_refused(greeting: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="another protocol"):
        await (await receiving(greeting))._greet()


async def test_the_size_of_a_message_is_limited_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_MESSAGE", 1000)
    assert await (await receiving(b"\x02" + struct.pack(">Q", 1000) + b"x" * 1000)).receive() == [b"x" * 1000]
    for sent in (
        b"\x02" + struct.pack(">Q", 1001),
        (b"\x01\xff" + b"x" * 255) * 4,
        b"\x01\x00" * 9,
        b"\x02" + struct.pack(">Q", (1 << 64) - 1),
    ):
        with pytest.raises(ProtocolViolation, match="great size"):
            await (await receiving(sent)).receive()


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\x00\x01x", b"\x01\x00", b"\x02" + bytes(8)]), max_size=20))
def test_any_bytes_are_messages_or_end_the_connection(pieces: list[bytes]) -> None:
    async def receive() -> None:
        connection = await receiving(*pieces)
        with pytest.raises((ChannelClosed, ProtocolViolation)):
            while True:
                assert 1 <= len(await connection.receive()) <= 8

    asyncio.run(receive())


async def test_untaken_messages_are_limited_and_sending_never_blocks() -> None:
    class Stuck:
        def __init__(self) -> None:
            self.sent: list[Sequence[bytes]] = []
            self.going = asyncio.Event()

        async def send(self, parts: Sequence[bytes]) -> None:
            await self.going.wait()
            self.sent.append(parts)

    stuck = Stuck()
    sending = OutboundQueue(cast(ZmtpConnection, stuck), 1000)
    carrying = asyncio.create_task(sending.carry())
    sending.put([b"x" * 5000])  # one message may be of any size
    with pytest.raises(NotTaken):
        sending.put([b"y"])
    stuck.going.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(10):
        sending.put([b"z" * 50, b"z" * 50])
    with pytest.raises(NotTaken):
        sending.put([b"z"])
    await asyncio.sleep(0)
    assert stuck.sent == [[b"x" * 5000], *[[b"z" * 50, b"z" * 50]] * 10]
    carrying.cancel()
