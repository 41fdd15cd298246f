"""The context of `rlm_query(…, context=…)`, stored as the input of the child run: by reference where possible.

A kernel describes a context as ranges of its own input's pack, or as new texts (`PostedContext`). It is assumed to be
hostile: a range is valid only within what the caller was given itself, and only from character to character. Ranges
of the pack stay where they are: the child's reference names the same pack. Only a new text is written, once. A range
that is a whole document of the caller's index keeps its places, which stand there.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from ..blobs.store import Blobs
from ..blobs.texts import well_formed
from ..call_keys import digest
from ..errors import StoredDataDamaged
from .context import (
    MOST_HEADS,
    MOST_NAMES,
    PREVIEW,
    ContextRef,
    UniqueNames,
    context_range,
    head_of,
    no_context,
    previewed,
)
from .index import DocumentEntry, document_line, document_lines, entry_of, places_of

_CHUNK = 4 << 20
_CONTINUED = bytes(range(0x80, 0xC0))
"""The continuation bytes of UTF-8."""


@dataclass(frozen=True)
class PostedPart:
    """One text: the bytes from `start` to `end` of the caller's own pack, or a `text` that is not in it."""

    name: str = ""
    text: str | None = None
    start: int = 0
    end: int = 0
    meta: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class PostedContext:
    """A context from a kernel. `own`: the caller's whole input unchanged, no parts; `text`: one part."""

    kind: Literal["own", "text", "documents"]
    parts: tuple[PostedPart, ...] = ()


class HandedBadly(ValueError):
    """The context is outside the caller's own input, or is not text. The message is for the code."""


def hand_over(posted: PostedContext, caller: ContextRef | None, blobs: Blobs) -> ContextRef:
    """Store a context and return the reference to it.

    Synchronous, at the speed of a disk: it reads the whole context to count and hash it (except for `own`). Raises
    HandedBadly, StoredDataDamaged when the caller's input is damaged, StoreError when the disk refuses.
    """
    given = caller or no_context()
    if posted.kind == "own":
        return given
    with _opened(given, blobs) as pack:
        if posted.kind == "documents":
            return _documents(posted.parts, given, pack, blobs)
        if len(posted.parts) != 1:
            raise HandedBadly("a context of kind text is one text")
        return _text(posted.parts[0], given, pack, blobs)


def context_digest(ref: ContextRef) -> str:
    """Return the digest of a context for a call's key: equal for equal texts, names and metadata within a run.

    It does not depend on where they are stored: a text found in the kernel's input has the same digest as a posted one.
    """
    own = digest("input", ref["kind"], ref["pack"], ref["index"], *context_range(ref))
    return ref.get("digest") or ref.get("content", own)


class _Pack:
    """The caller's pack, and the ranges of it that the caller was given."""

    def __init__(self, descriptor: int, given: Sequence[tuple[int, int]]) -> None:
        self._descriptor = descriptor
        self._given = given
        self._starts = [start for start, _ in given]

    def chunks(self, part: PostedPart) -> Iterator[bytes]:
        """Return the bytes of a range. Raises HandedBadly unless it is the caller's own, and whole characters."""
        at = bisect_right(self._starts, part.start) - 1
        if at < 0 or not part.start <= part.end <= self._given[at][1]:
            raise HandedBadly(f"{_called(part)} lies outside the input that this run was given")
        last = self._given[at][1]
        if any(edge < last and self._continues(edge) for edge in (part.start, part.end)):
            raise HandedBadly(f"{_called(part)} begins or ends in the middle of a character")
        return self._read(part.start, part.end)

    def _continues(self, at: int) -> bool:
        """Return whether the byte at `at` continues a character."""
        return os.pread(self._descriptor, 1, at) in _CONTINUATIONS

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            data = os.pread(self._descriptor, min(_CHUNK, end - start), start)
            if not data:
                raise StoredDataDamaged("The run's stored input is cut short.", hint="Run `rlm verify`.")
            yield data
            start += len(data)


_CONTINUATIONS = frozenset(bytes([byte]) for byte in _CONTINUED)


@contextmanager
def _opened(caller: ContextRef, blobs: Blobs) -> Generator[_Pack | None]:
    """Yield the caller's pack, checked and touched; None without an input. Raises StoredDataDamaged."""
    if caller["kind"] == "none":
        yield None
        return
    name = caller["pack"]
    if not blobs.touch(name):
        raise StoredDataDamaged("The run's stored input is missing.", hint="Run `rlm verify`.")
    blobs.check_once(name)
    # Ingested documents fill their pack; those of a child context may be any part of it.
    picked = caller["kind"] == "documents" and "end" in caller
    given = _given(blobs, caller["index"]) if picked else (context_range(caller),)
    with blobs.path(name).open("rb", buffering=0) as file:
        yield _Pack(file.fileno(), given)


@lru_cache(maxsize=64)
def _given(blobs: Blobs, index: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of a pack that contain the documents of an index, adjacent ranges merged."""
    merged: list[tuple[int, int]] = []
    entries = map(entry_of, document_lines(blobs.read(index)))
    for start, end in sorted((entry["start"], entry["end"]) for entry in entries):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return tuple(merged)


class _CallersPlaces:
    """The places of the documents that the caller was given, by their ranges of the pack."""

    def __init__(self, caller: ContextRef, blobs: Blobs) -> None:
        self._blobs = blobs
        self._index = caller["index"]

    def of(self, part: PostedPart) -> str:
        """Return the places of a part as JSON: none unless it is a whole document of the caller's index."""
        if part.text is not None or not self._index:
            return "{}"
        place = _placed(self._blobs, self._index).get((part.start, part.end))
        if place is None:
            return "{}"
        with self._blobs.path(self._index).open("rb") as file:
            file.seek(place[0])
            return places_of(file.read(place[1]))


@lru_cache(maxsize=8)
def _placed(blobs: Blobs, index: str) -> Mapping[tuple[int, int], tuple[int, int]]:
    """Return where in an index the documents with places are, by their ranges: the offset and length of each line."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    at = 0
    for line in document_lines(blobs.read(index)):
        if places_of(line) != "{}":
            entry = entry_of(line)
            found[entry["start"], entry["end"]] = at, len(line)
        at += len(line) + 1
    return found


def _chunks(part: PostedPart, pack: _Pack | None) -> Iterable[bytes]:
    """Return the bytes of a part. Raises HandedBadly."""
    if part.text is not None:
        return [well_formed(part.text).encode()]
    if pack is None:
        raise HandedBadly(f"{_called(part)} is a range of an input, and this run has none")
    return pack.chunks(part)


def _called(part: PostedPart) -> str:
    return f"the document {part.name[:100]!r} of the context" if part.name else "the context"


@dataclass(frozen=True)
class _Measured:
    chars: int
    bytes: int
    hash: str
    head: str
    """Its beginning, as a preview shows it."""


def _measure(chunks: Iterable[bytes], write: Callable[[bytes], None] | None = None) -> _Measured:
    """Count and hash a text, and pass it to `write` if given."""
    hashed = hashlib.sha256()
    chars = size = 0
    head = b""
    for data in chunks:
        hashed.update(data)
        chars += len(data) if data.isascii() else len(data.translate(None, _CONTINUED))
        size += len(data)
        head = head or data[: 4 * PREVIEW]
        if write:
            write(data)
    return _Measured(chars, size, hashed.hexdigest(), head_of(head))


def _text(part: PostedPart, caller: ContextRef, pack: _Pack | None, blobs: Blobs) -> ContextRef:
    chunks = _chunks(part, pack)
    in_place = part.text is None
    if in_place and not part.name and caller["kind"] == "text" and (part.start, part.end) == context_range(caller):
        return caller
    measured = _measure(chunks)
    if not measured.bytes:
        return no_context()
    start = part.start if in_place else 0
    index = ""
    if part.name:
        end = start + measured.bytes
        entry = DocumentEntry(name=part.name, start=start, end=end, chars=measured.chars, meta=part.meta)
        index = blobs.put(document_line(entry, _CallersPlaces(caller, blobs).of(part)))
    ref = ContextRef(
        kind="text",
        pack=caller["pack"] if in_place else blobs.put(b"".join(chunks)),
        index=index,
        documents=1,
        chars=measured.chars,
        bytes=measured.bytes,
        names=[part.name] if part.name else [],
        preview=measured.head,
        notes=[],
        digest=digest("text", measured.hash, part.name),
    )
    if in_place:
        ref["start"], ref["end"] = part.start, part.end
    return ref


def _documents(parts: Sequence[PostedPart], caller: ContextRef, pack: _Pack | None, blobs: Blobs) -> ContextRef:
    listed = _Listed(_CallersPlaces(caller, blobs))
    if all(part.text is None for part in parts):
        for part in parts:
            listed.add(part, part.start, _measure(_chunks(part, pack)))
        if not listed.bytes:
            return no_context()
        ref = listed.reference(caller["pack"], blobs)
        ref["start"], ref["end"] = min(part.start for part in parts), max(part.end for part in parts)
        return ref
    with blobs.writer() as writer:
        for part in parts:
            listed.add(part, writer.size, _measure(_chunks(part, pack), writer.write))
        return listed.reference(writer.commit(), blobs) if listed.bytes else no_context()


class _Listed:
    """The documents so far: their index, and the contents of the reference."""

    def __init__(self, places: _CallersPlaces) -> None:
        self.bytes = 0
        self._places = places
        self._chars = 0
        self._names: list[str] = []
        self._heads: list[tuple[str, str]] = []
        self._lines: list[bytes] = []
        self._facts: list[Any] = []
        self._unique = UniqueNames()

    def add(self, part: PostedPart, start: int, measured: _Measured) -> None:
        """Add a document that begins at `start` of the pack."""
        name = self._unique.free(part.name)
        self._unique.take(name)
        end = start + measured.bytes
        entry = DocumentEntry(name=name, start=start, end=end, chars=measured.chars, meta=part.meta)
        self._lines.append(document_line(entry, self._places.of(part)))
        self._facts.append((name, measured.hash, part.meta))
        self.bytes += measured.bytes
        self._chars += measured.chars
        if len(self._names) < MOST_NAMES:
            self._names.append(name)
        if measured.head and len(self._heads) < MOST_HEADS:
            self._heads.append((name, measured.head))

    def reference(self, pack: str, blobs: Blobs) -> ContextRef:
        """Return the reference to the documents in `pack`, with the index stored."""
        return ContextRef(
            kind="documents",
            pack=pack,
            index=blobs.put(b"".join(self._lines)),
            documents=len(self._lines),
            chars=self._chars,
            bytes=self.bytes,
            names=self._names,
            preview=previewed(self._heads, several=True),
            notes=[],
            digest=digest("documents", self._facts),
        )
