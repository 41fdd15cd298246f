"""Saved REPL variables: chunks of opaque bytes, and manifests that say which chunks make up which variables.

A kernel pickles its variables in groups (variables that share objects are one group) and cuts the pickles into
chunks, which are never interpreted here. A manifest is the list of all groups as they were after a cell. It is
saved as the changes since another manifest, and whole once in a while, so that a step costs only what it changed.

Everything is committed with the step that refers to it: small chunks are rows in the database, large ones are blobs.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import Any

from typing_extensions import TypedDict

from ..db.connection import Database
from ..errors import StoredDataDamaged
from ..records import VariableRecord
from .store import Blobs, content_hash

LARGE = 256 << 10
"""Bytes from which a chunk is stored as a file."""
_MOST_DELTAS = 32
_BATCH_BYTES = 8 << 20
_KNOWN_DEPTHS = 10_000


class Group(TypedDict):
    """Variables that are saved together, because they share objects. Plain JSON; a wire format."""

    id: str
    names: list[str]
    chunks: list[str]
    """Hashes of all chunks that are needed to restore it; empty when it could not be saved."""
    lost: dict[str, str]
    """Variables that could not be saved, or were saved incompletely, and why."""
    about: list[VariableRecord]
    form: str
    """The way in which the chunks make the variables; opaque, for the kernel only."""


Groups = dict[str, Group]
"""All groups after a cell, by id."""


class UnknownChunk(ValueError):
    """A kernel refers to a chunk that it never sent and that its snapshot never had."""


class Snapshots:
    """Saves and reads snapshots. Reading checks every hash (promise P5)."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._depths: dict[str, int] = {}

    async def save(
        self, base: str | None, before: Groups, changed: Sequence[Group], gone: Collection[str], chunks: Sequence[bytes]
    ) -> tuple[str, Groups]:
        """Save what a cell changed; return the manifest's hash and all groups.

        `before` are the groups of the manifest `base`. Everything is on disk no later than the next commit. Raises
        UnknownChunk when a group needs a chunk that was neither sent now nor part of `before`; then nothing is saved.
        """
        names = await _hashes(chunks)
        known = {*names, *_chunks_of(before.values())}
        if strange := _chunks_of(changed) - known:
            raise UnknownChunk(f"chunk {min(strange)[:12]}… was never sent")
        groups = {number: group for number, group in before.items() if number not in gone}
        groups.update({group["id"]: group for group in changed})
        if base is not None and not changed and groups.keys() == before.keys():
            return base, groups
        needed = _chunks_of(changed)
        await self._put([(name, body) for name, body in zip(names, chunks, strict=True) if name in needed])
        return await self._put_manifest(base, groups, changed, gone), groups

    async def groups(self, manifest: str) -> Groups:
        """Return all groups of a manifest. Raises StoredDataDamaged."""
        line: list[dict[str, Any]] = []
        name: str | None = manifest
        while name is not None:
            line.append(found := await self._manifest(name))
            name = found["base"]
        return groups_of(line)

    async def line(self, manifest: str) -> AsyncIterator[str]:
        """Yield the names of the manifest and those that it builds on. Raises StoredDataDamaged at a damaged one."""
        name: str | None = manifest
        while name is not None:
            yield name
            name = (await self._manifest(name))["base"]

    async def chunk(self, name: str) -> bytes:
        """Return the bytes of one chunk. Raises StoredDataDamaged when they are missing or changed."""
        rows = await self._database.read("SELECT body FROM chunks WHERE hash = ?", (name,))
        if not rows:
            return await asyncio.to_thread(self._blobs.read, name)
        return _checked(name, rows[0][0], "piece of a variable")

    async def batches(self, groups: Iterable[Group]) -> AsyncIterator[dict[str, bytes]]:
        """Yield every chunk of the groups once, some megabytes at a time; damaged ones are left out."""
        batch: dict[str, bytes] = {}
        size = 0
        for name in sorted(_chunks_of(groups)):
            try:
                batch[name] = await self.chunk(name)
            except StoredDataDamaged:
                continue
            size += len(batch[name])
            if size >= _BATCH_BYTES:
                yield batch
                batch, size = {}, 0
        if batch:
            yield batch

    async def _put(self, chunks: Sequence[tuple[str, bytes]]) -> None:
        now = self._clock()
        small = [(name, body, now) for name, body in chunks if len(body) < LARGE]
        if large := [body for _, body in chunks if len(body) >= LARGE]:
            await asyncio.to_thread(self._blobs.put_all, large)
        if small:
            names = [name for name, _, _ in small]
            self._database.defer(lambda connection: _insert(connection, "chunks", small), saves=names)
        if sum(len(body) for _, body, _ in small) > 4 * _BATCH_BYTES:
            # Limits memory until the step is saved. Chunks that nothing refers to yet do no harm.
            await self._database.commit(lambda _: None, "pieces")

    async def _put_manifest(
        self, base: str | None, groups: Groups, changed: Sequence[Group], gone: Collection[str]
    ) -> str:
        depth = 0 if base is None else await self._depth(base) + 1
        whole = base is None or depth > _MOST_DELTAS or 2 * len(changed) > len(groups)
        found = list(groups.values()) if whole else list(changed)
        manifest = {
            "base": None if whole else base,
            "depth": 0 if whole else depth,
            "groups": found,
            "gone": [] if whole else sorted(gone),
        }
        body = json.dumps(manifest, separators=(",", ":")).encode()
        row = (content_hash(body), body, self._clock())
        self._depths[row[0]] = 0 if whole else depth

        def unit(connection: sqlite3.Connection) -> None:
            self._database.unsaved.check(connection, body)
            _insert(connection, "manifests", [row])

        self._database.defer(unit, saves=[row[0]])
        return row[0]

    async def _depth(self, name: str) -> int:
        if len(self._depths) > _KNOWN_DEPTHS:
            self._depths.clear()
        if name not in self._depths:
            self._depths[name] = (await self._manifest(name))["depth"]
        return self._depths[name]

    async def _manifest(self, name: str) -> dict[str, Any]:
        rows = await self._database.read("SELECT body FROM manifests WHERE hash = ?", (name,))
        if not rows:
            raise StoredDataDamaged(f"The stored snapshot {name[:12]}… is missing.", hint="Run `rlm verify`.")
        return json.loads(_checked(name, rows[0][0], "snapshot"))


def groups_of(line: Sequence[dict[str, Any]]) -> Groups:
    """Return all groups of a snapshot from the line of its manifest and those that it builds on, itself first."""
    groups: Groups = {}
    for change in reversed(line):
        for number in change["gone"]:
            groups.pop(number, None)
        groups.update({group["id"]: group for group in change["groups"]})
    return groups


async def _hashes(chunks: Sequence[bytes]) -> list[str]:
    # A thread costs more than hashing what a cell usually changes.
    if sum(map(len, chunks)) < LARGE:
        return [content_hash(chunk) for chunk in chunks]
    return await asyncio.to_thread(lambda: [content_hash(chunk) for chunk in chunks])


def _chunks_of(groups: Iterable[Group]) -> set[str]:
    return {name for group in groups for name in group["chunks"]}


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[str, bytes, float]]) -> None:
    connection.executemany(
        f"INSERT INTO {table} (hash, body, touched) VALUES (?, ?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET touched = excluded.touched",
        rows,
    )


def _checked(name: str, found: bytes | str, what: str) -> bytes:
    body = found.encode() if isinstance(found, str) else found
    if content_hash(body) != name:
        raise StoredDataDamaged(f"The stored {what} {name[:12]}… has changed on disk.", hint="Run `rlm verify`.")
    return body
