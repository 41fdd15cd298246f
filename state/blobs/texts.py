"""Texts by the hash of their UTF-8: prompts, answers, replies, code, outputs.

The state holds hashes only. Small texts are rows in the database, so that they are committed together with
what refers to them and cost no fsync of their own; large ones are blobs. A text that is mostly made of ranges of a
blob is stored as a delta (`deltas.py`).
"""

import asyncio
import json
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

from ..db.connection import Database
from ..errors import MISSING, StoredDataDamaged
from .delta_indexes import DeltaIndexes
from .deltas import DeltaError, TextDelta
from .range_index import RangeIndex
from .store import Blobs, content_hash

LARGE = 256 << 10
"""Bytes from which a text is stored as a file."""
CACHED_BYTES = 64 << 20
"""Bytes of texts that a process keeps at most, those read or written last."""
_BYTES = 4
"""Bytes of a character in UTF-8 at most."""
_BEGINNINGS = (
    "SELECT hash, CAST(substr(CAST(body AS BLOB), 1, ?) AS BLOB) FROM texts "
    "WHERE hash IN (SELECT value FROM json_each(?))"
)


def well_formed(text: str) -> str:
    """Return `text` with lone surrogates replaced by U+FFFD, since UTF-8, JSON and model servers cannot carry them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


class Texts:
    """Stores and reads texts. Reading checks the hash (promise P5)."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Callable[[], float] = time.time,
        cached_bytes: int = CACHED_BYTES,
    ) -> None:
        self._cached_bytes = cached_bytes
        self._clock = clock
        self._database = database
        self._blobs = blobs
        self._packs = DeltaIndexes(blobs)
        self._recent: OrderedDict[str, str] = OrderedDict()
        self._recent_bytes = 0

    async def put(self, text: str, source: str | None = None) -> str:
        """Store a text and return its hash. It is on disk no later than the next commit.

        So it is on disk before any record that refers to it. `source`: the blob that it may have been cut from. Ranges
        of that blob are not stored again, so a record that refers to the text must also refer to the blob.
        """
        text = well_formed(text)
        body = text.encode()
        name, recipe = (content_hash(body), None) if source is None else await self._packs.recipe(source, body)
        now = self._clock()
        if len(body) >= LARGE and (recipe is None or await asyncio.to_thread(self._blobs.has, name)):
            await asyncio.to_thread(self._blobs.put, body)
        elif recipe is not None:
            stored = recipe
            self._database.defer(lambda connection: _insert_recipe(connection, name, stored, now), saves=[name])
        else:
            self._database.defer(lambda connection: _insert(connection, name, body, now), saves=[name])
        self._remember(name, text)
        return name

    async def get(self, name: str) -> str:
        """Return the text. Raises StoredDataDamaged when it is missing or is not what was saved."""
        if name in self._recent:
            self._recent.move_to_end(name)
            return self._recent[name]
        rows = await self._database.read("SELECT body FROM texts WHERE hash = ?", (name,))
        if rows:
            found: bytes | str = rows[0][0]
            body = found.encode() if isinstance(found, str) else found
            if content_hash(body) != name:
                raise StoredDataDamaged(f"The stored text {name[:12]}… has changed on disk.", hint="Run `rlm verify`.")
        elif await asyncio.to_thread(self._blobs.has, name):
            # Looked for before deltas: where their table is damaged, files are still whole.
            body = await asyncio.to_thread(self._blobs.read, name)
        else:
            body = await self._assembled(name)
        text = body.decode()
        self._remember(name, text)
        return text

    async def _assembled(self, name: str) -> bytes:
        rows = await self._database.read("SELECT CAST(body AS BLOB) FROM recipes WHERE hash = ?", (name,))
        try:
            if not rows:
                raise DeltaError(MISSING)
            recipe = TextDelta.from_json(name, rows[0][0])
            return await asyncio.to_thread(lambda: b"".join(recipe.chunks(self._blobs)))
        except DeltaError as fault:
            raise StoredDataDamaged(f"The stored text {name[:12]}… {fault}.", hint="Run `rlm verify`.") from None

    async def beginnings(self, names: Collection[str], most: int) -> dict[str, str]:
        """Return the first `most` characters of those texts that are rows of the database, unchecked, by their names.

        For lists of many texts: large ones and deltas are left out.
        """
        rows = await self._database.read(_BEGINNINGS, (_BYTES * most, json.dumps([*names])))
        return {name: body.decode(errors="ignore")[:most] for name, body in rows}

    async def range_index(self, source: str) -> RangeIndex | None:
        """Return the index in which texts that may have been cut from this blob are looked up; None without one."""
        return await self._packs.index(source)

    async def get_or_damage(self, name: str) -> str:
        """Return a text, or how it is damaged, in brackets: for displays that show the rest all the same."""
        try:
            return await self.get(name)
        except StoredDataDamaged as damaged:
            return f"[{damaged.message}]"

    def _remember(self, name: str, text: str) -> None:
        self._recent[name] = text
        self._recent_bytes += len(text)
        while self._recent_bytes > self._cached_bytes and len(self._recent) > 1:
            _, dropped = self._recent.popitem(last=False)
            self._recent_bytes -= len(dropped)


def _insert(connection: sqlite3.Connection, name: str, body: bytes, now: float) -> None:
    # Touch an existing row too: a text that nothing refers to yet must not be collected (`maintenance/gc.py`).
    connection.execute(
        "INSERT INTO texts (hash, body, touched) VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET touched = excluded.touched",
        (name, body, now),
    )


def _insert_recipe(connection: sqlite3.Connection, name: str, recipe: bytes, now: float) -> None:
    # A text that is stored whole stays so. An existing delta is replaced: its blob may be about to be collected, the
    # new one's is not.
    if not connection.execute("UPDATE texts SET touched = ? WHERE hash = ?", (now, name)).rowcount:
        connection.execute(
            "INSERT INTO recipes (hash, body, touched) VALUES (?, ?, ?) "
            "ON CONFLICT (hash) DO UPDATE SET body = excluded.body, touched = excluded.touched",
            (name, recipe, now),
        )
