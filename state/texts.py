"""Texts by the hash of their UTF-8: prompts, answers, replies, code, outputs.

The state holds hashes only. Small texts live in the database, so that they are committed together with
what refers to them and cost no fsync of their own; large ones are blobs.
"""

import asyncio
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable

from .blobs import Blobs, content_hash
from .database import Database
from .errors import StoredDataDamaged

LARGE = 256 << 10
"""Bytes from which a text is a file of its own."""
_CACHED_BYTES = 64 << 20


def well_formed(text: str) -> str:
    """`text` with lone surrogates replaced by U+FFFD: what UTF-8, JSON and model servers can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


class Texts:
    """Stores and reads texts. Reading checks the hash (promise P5)."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._database = database
        self._blobs = blobs
        self._recent: OrderedDict[str, str] = OrderedDict()
        self._recent_bytes = 0

    async def put(self, text: str) -> str:
        """The text's hash. It is on disk no later than the next commit, so before whatever refers to it."""
        body = well_formed(text).encode()
        name = content_hash(body)
        if len(body) >= LARGE:
            await asyncio.to_thread(self._blobs.put, body)
        else:
            now = self._clock()
            self._database.defer(lambda connection: _insert(connection, name, body, now))
        self._remember(name, body.decode())
        return name

    async def get(self, name: str) -> str:
        """The text. Raises StoredDataDamaged when it is missing or is not what was saved."""
        if name in self._recent:
            self._recent.move_to_end(name)
            return self._recent[name]
        rows = await self._database.read("SELECT body FROM texts WHERE hash = ?", (name,))
        if rows:
            found: bytes | str = rows[0][0]
            body = found.encode() if isinstance(found, str) else found
            if content_hash(body) != name:
                raise StoredDataDamaged(f"The stored text {name[:12]}… has changed on disk.", hint="Run `rlm verify`.")
        else:
            body = await asyncio.to_thread(self._blobs.read, name)
        text = body.decode()
        self._remember(name, text)
        return text

    def _remember(self, name: str, text: str) -> None:
        self._recent[name] = text
        self._recent_bytes += len(text)
        while self._recent_bytes > _CACHED_BYTES and len(self._recent) > 1:
            _, dropped = self._recent.popitem(last=False)
            self._recent_bytes -= len(dropped)


def _insert(connection: sqlite3.Connection, name: str, body: bytes, now: float) -> None:
    # Touched anew when it is there already: what nothing refers to yet must not be collected (`upkeep/collecting.py`).
    connection.execute(
        "INSERT INTO texts (hash, body, touched) VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET touched = excluded.touched",
        (name, body, now),
    )
