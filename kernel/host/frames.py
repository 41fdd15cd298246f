"""Messages between the graph's process and the kernel host: a length, then one JSON object."""

import asyncio
import json
import struct
from typing import Any

_LENGTH = struct.Struct(">I")
MAX_FRAME = 1 << 30
"""Bytes of one message."""


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message, or None when the other side is gone. Raises ValueError for what is no message."""
    try:
        [size] = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if size > MAX_FRAME:
            raise ValueError(f"a frame of {size} bytes")
        body = await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a frame that is no object")
    return message


def write_frame(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    """Queue one message; await `writer.drain()` where there may be many."""
    body = json.dumps(message, separators=(",", ":")).encode()
    writer.write(_LENGTH.pack(len(body)) + body)
