"""Reads texts in parts: their beginnings, many at once, and one text piece by piece, in bounded memory.

A text of any size is read, so a list of calls can show how prompts of megabytes begin.
"""

import asyncio
import codecs
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..db.connection import Database
from ..db.corruption import is_damage
from ..errors import CHANGED, MISSING, StoredDataDamaged
from .deltas import DeltaError, TextDelta
from .store import Blobs, content_hash

UNREADABLE = "is on a damaged page of the database"
_CHUNK = 1 << 20
_WIDEST = 4
"""The most bytes of a character in UTF-8."""
_SMALL = "SELECT hash, CAST(body AS BLOB) FROM texts WHERE hash IN (SELECT value FROM json_each(?))"
_RECIPES = "SELECT hash, CAST(body AS BLOB) FROM recipes WHERE hash IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Part:
    """A part of a text."""

    text: str
    more: bool = False
    """True when the text goes on behind it."""
    damage: str | None = None
    """The reason why the text cannot be read, as a sentence; there is no text then."""


@dataclass(frozen=True)
class Piece:
    """A part of a text that was read to its end."""

    text: str
    start: int
    """The first of its characters, counted from 0."""
    size: int
    """The characters of the whole text."""


async def beginnings(database: Database, blobs: Blobs, names: Sequence[str], most: int) -> dict[str, Part]:
    """Return the first `most` characters of texts by their hashes, and for those that cannot be read why.

    A text is compared with its hash where all of it is read: in the database, or when it is short. Raises StoreError.
    """
    wanted = sorted(set(names))
    small, recipes, unreadable = await database.look(lambda connection: _stored(connection, wanted, most))
    others = [name for name in wanted if name not in small]
    if others:
        small |= await asyncio.to_thread(lambda: {name: _begun(name, recipes, blobs, most) for name in others})
    return {
        # It is in no file either, so it was on a page that cannot be read.
        name: Part("", damage=_said(name, UNREADABLE)) if part.damage and name in unreadable else part
        for name, part in small.items()
    }


def _stored(
    connection: sqlite3.Connection, names: Sequence[str], most: int
) -> tuple[dict[str, Part], dict[str, bytes], set[str]]:
    """Return the beginnings of the texts that the database has, the deltas of others, and names that it cannot read."""
    bodies, damaged = _rows(connection, _SMALL, names)
    found = {
        name: _part(body, most) if content_hash(body) == name else Part("", damage=_said(name, CHANGED))
        for name, body in bodies.items()
    }
    recipes, lost = _rows(connection, _RECIPES, [name for name in names if name not in bodies])
    return found, recipes, damaged | lost


def _rows(connection: sqlite3.Connection, query: str, names: Sequence[str]) -> tuple[dict[str, bytes], set[str]]:
    """Return the rows with these names, and the names whose rows may be on a page that cannot be read."""
    try:
        return dict(connection.execute(query, (json.dumps(names),)).fetchall()), set()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        if len(names) == 1:
            return {}, {*names}
    found: dict[str, bytes] = {}
    damaged: set[str] = set()
    for name in names:
        row, lost = _rows(connection, query, [name])
        found |= row
        damaged |= lost
    return found, damaged


def _begun(name: str, recipes: dict[str, bytes], blobs: Blobs, most: int) -> Part:
    """Return the beginning of a text that is a file or a delta."""
    try:
        begun = bytearray()
        for chunk in _chunks(name, recipes.get(name), blobs, chunk=_WIDEST * most):
            begun += chunk
            if len(begun) > _WIDEST * most:
                break
        return _part(bytes(begun), most)
    except StoredDataDamaged as damaged:
        return Part("", damage=damaged.message)


def _part(body: bytes, most: int) -> Part:
    text = body[: _WIDEST * most + _WIDEST].decode("utf-8", "ignore")
    return Part(text[:most], more=len(text) > most)


def _chunks(name: str, recipe: bytes | None, blobs: Blobs, chunk: int) -> Iterator[bytes]:
    """Yield a text that is a file or a delta. Raises StoredDataDamaged, for a wrong hash only at the end."""
    try:
        if blobs.has(name):
            yield from blobs.chunks(name, chunk)
        elif recipe is None:
            raise DeltaError(MISSING)
        else:
            yield from TextDelta.from_json(name, recipe).chunks(blobs, chunk)
    except DeltaError as fault:
        raise StoredDataDamaged(_said(name, str(fault)), hint="Run `rlm verify`.") from None


def _said(name: str, fault: str) -> str:
    return f"The stored text {name[:12]}… {fault}."


class TextReader:
    """One text, read piece by piece."""

    def __init__(self, name: str, body: bytes | None, recipe: bytes | None, blobs: Blobs) -> None:
        self.name = name
        self._body = body
        self._recipe = recipe
        self._blobs = blobs

    @classmethod
    async def of(cls, database: Database, blobs: Blobs, name: str) -> "TextReader":
        """Return a reader of a text. Nothing is checked yet. Raises StoreError."""
        named = json.dumps([name])
        small = await database.read(_SMALL, (named,))
        recipes = [] if small else await database.read(_RECIPES, (named,))
        return cls(name, small[0][1] if small else None, recipes[0][1] if recipes else None, blobs)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the text, at most some megabytes at a time. Raises StoredDataDamaged.

        A wrong hash is found at the end only; a text in the database is checked before.
        """
        if self._body is None:
            yield from _chunks(self.name, self._recipe, self._blobs, _CHUNK)
        elif content_hash(self._body) == self.name:
            yield self._body
        else:
            raise StoredDataDamaged(_said(self.name, CHANGED), hint="Run `rlm verify`.")

    def piece(self, start: int, most: int) -> Piece:
        """Return the `most` characters from `start` on, after reading the text to its end. Raises StoredDataDamaged."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        parts: list[str] = []
        at = 0
        for chunk in self.chunks():
            text = decoder.decode(chunk)
            if at < start + most and at + len(text) > start:
                parts.append(text[max(0, start - at) : start + most - at])
            at += len(text)
        return Piece("".join(parts), min(start, at), at)
