"""Reads stored texts for a search: of a prompt only its own words, which are those that are not cut from the input.

Otherwise a word that is frequent in the input would be found in every call. Texts are checked as everywhere; one that
is missing or damaged has no words.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..blobs.deltas import DeltaError, TextDelta
from ..blobs.store import Blobs, content_hash
from ..evidence.recorded import PACK_LENGTH, ranges_in

MOST = 1 << 20
"""Characters of a text that are searched, from its beginning."""
CUT = " … "
"""Stands in a prompt for what is cut from the input."""
_LONGEST_RANGE = 4 << 20


class OwnWords:
    """The texts of one home. Use it as a context manager, in one thread."""

    def __init__(self, connection: sqlite3.Connection, blobs: Blobs) -> None:
        """`connection` is one to the home's database."""
        self._connection = connection
        self._blobs = blobs
        self._packs: dict[str, int | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for descriptor in self._packs.values():
            if descriptor is not None:
                os.close(descriptor)
        self._packs.clear()

    def of_prompt(self, name: str, places: str | None) -> str:
        """Return the own words of the prompt with this hash, `CUT` where something was cut; empty when damaged.

        `places`: what its row records of the parts of the input that it held.
        """
        whole = self._row("texts", name)
        if whole is None and (delta := self._delta(name)):
            return "".join(piece if isinstance(piece, str) else CUT for piece in delta.pieces)[:MOST]
        text = self._whole(name, whole)
        return (self._without(text, places) if places else text)[:MOST]

    def of_text(self, name: str) -> str:
        """Return the text with this hash, up to `MOST` characters, passages of the input too; empty when damaged."""
        whole = self._row("texts", name)
        if whole is None and (delta := self._delta(name)):
            return self._assembled(delta)[:MOST]
        return self._whole(name, whole)[:MOST]

    def _row(self, table: str, name: str) -> bytes | None:
        row = self._connection.execute(f"SELECT CAST(body AS BLOB) FROM {table} WHERE hash = ?", (name,)).fetchone()
        return row[0] if row else None

    def _delta(self, name: str) -> TextDelta | None:
        with suppress(DeltaError):
            body = self._row("recipes", name)
            return None if body is None else TextDelta.from_json(name, body)
        return None

    def _assembled(self, delta: TextDelta) -> str:
        found = bytearray()
        with suppress(DeltaError):
            for chunk in delta.chunks(self._blobs):
                found += chunk[: 4 * MOST - len(found)]
            return found.decode("utf-8", "replace")
        return ""

    def _whole(self, name: str, body: bytes | None) -> str:
        """Return a text that is stored as it is, in a row (`body`) or in a file; empty when it is damaged."""
        if body is not None:
            return body.decode("utf-8", "replace") if content_hash(body) == name else ""
        with suppress(OSError, ValueError), self._blobs.open(name) as file:
            data = file.read(4 * MOST)
            # The rest is read in pieces: a large text is not held in memory whole.
            return "" if self._blobs.fault(name) else data.decode("utf-8", "replace")
        return ""

    def _without(self, text: str, places: str) -> str:
        """Return a text without the parts of it that its row says are of the input."""
        pack, ranges = ranges_in(places)
        descriptor = self._pack(pack) if ranges else None
        if descriptor is None:
            return text
        spans: list[tuple[int, int]] = []
        for start, end in ranges:
            part = os.pread(descriptor, min(end - start, _LONGEST_RANGE), start).decode("utf-8", "ignore")
            at = text.find(part) if part else -1
            if at >= 0:
                spans.append((at, at + len(part)))
        return _left(text, sorted(spans))

    def _pack(self, beginning: str) -> int | None:
        """Return the descriptor of the blob whose hash begins like this; None without it."""
        if beginning not in self._packs:
            self._packs[beginning] = self._opened(beginning)
        return self._packs[beginning]

    def _opened(self, beginning: str) -> int | None:
        if len(beginning) != PACK_LENGTH or not beginning.isalnum():
            return None
        with suppress(OSError, ValueError):
            for path in (self._blobs.folder / beginning[:2]).iterdir():
                if path.name.startswith(beginning[2:]):
                    with self._blobs.open(beginning[:2] + path.name) as file:
                        return os.dup(file.fileno())
        return None


def _left(text: str, spans: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if start >= at:
            pieces.append(text[at:start])
        at = max(at, end)
    return CUT.join([*pieces, text[at:]])
