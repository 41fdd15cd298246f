"""Messages between the graph's process and the kernel host: two lengths, one JSON object, and attached bytes."""

import asyncio
import json
import struct
from typing import Any

_LENGTHS = struct.Struct(">II")
BYTES = "bytes"
"""The key of a received message's attached bytes."""
MAX_FRAME = 1 << 30
"""Most bytes of one message."""


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, or None when the other side is gone. Raises ValueError for an invalid message."""
    try:
        size, beside = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if size + beside > MAX_FRAME:
            raise ValueError(f"a frame of {size + beside} bytes")
        body = await reader.readexactly(size)
        attached = await reader.readexactly(beside) if beside else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a frame that is no object")
    if attached:
        message[BYTES] = attached
    return message


def write_frame(writer: asyncio.StreamWriter, message: dict[str, Any], attached: bytes = b"") -> None:
    """Queue one message; await `writer.drain()` when there may be many."""
    body = json.dumps(message, separators=(",", ":")).encode()
    writer.write(_LENGTHS.pack(len(body), len(attached)) + body)
    if attached:
        writer.write(attached)
