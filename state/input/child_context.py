"""What `rlm_query(…, context=…)` hands over, stored as the input of the child run: by reference where it can be.

A kernel says what it hands on as ranges of its own input's pack, or as new texts (`PostedContext`). It is hostile by
assumption: a range counts only within what the caller was given itself, and only from character to character. Ranges
of the pack stay where they are: the child's reference names the same pack. Only a new text is written, once.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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

_CHUNK = 4 << 20
_CONTINUED = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that go on with a character."""


@dataclass(frozen=True)
class PostedPart:
    """One text: the bytes from `start` to `end` of the caller's own pack, or a `text` that stands nowhere yet."""

    name: str = ""
    text: str | None = None
    start: int = 0
    end: int = 0
    meta: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class PostedContext:
    """What a kernel hands over. `own`: the caller's whole input as it is, no parts; `text`: one part."""

    kind: Literal["own", "text", "documents"]
    parts: tuple[PostedPart, ...] = ()


class HandedBadly(ValueError):
    """What the code handed over is none of its own, or no text. The message is for the code."""


def hand_over(posted: PostedContext, caller: ContextRef | None, blobs: Blobs) -> ContextRef:
    """The reference to what is handed over, with all that it names stored.

    Synchronous, at a disk's speed: it reads all that is handed over, to count and hash it (but for `own`). Raises
    HandedBadly, StoredDataDamaged when the caller's input is, StoreError when the disk refuses.
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
    """What stands for a context in a call's key: equal for equal texts, names and metadata handed on in a run.

    It does not depend on where they are stored: whether the kernel finds a text in its input or sends it is the same.
    """
    own = digest("input", ref["kind"], ref["pack"], ref["index"], *context_range(ref))
    return ref.get("digest", own)


class _Pack:
    """The caller's pack, and the ranges of it that the caller was given."""

    def __init__(self, descriptor: int, given: Sequence[tuple[int, int]]) -> None:
        self._descriptor = descriptor
        self._given = given
        self._starts = [start for start, _ in given]

    def chunks(self, part: PostedPart) -> Iterator[bytes]:
        """The bytes of a range. Raises HandedBadly unless it is the caller's own, and whole characters."""
        at = bisect_right(self._starts, part.start) - 1
        if at < 0 or not part.start <= part.end <= self._given[at][1]:
            raise HandedBadly(f"{_called(part)} lies outside the input that this run was given")
        last = self._given[at][1]
        if any(edge < last and self._continues(edge) for edge in (part.start, part.end)):
            raise HandedBadly(f"{_called(part)} begins or ends in the middle of a character")
        return self._read(part.start, part.end)

    def _continues(self, at: int) -> bool:
        """Whether the character before goes on here."""
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
    """The caller's pack, checked, and touched because it is needed; None without an input. Raises StoredDataDamaged."""
    if caller["kind"] == "none":
        yield None
        return
    name = caller["pack"]
    if not blobs.touch(name):
        raise StoredDataDamaged("The run's stored input is missing.", hint="Run `rlm verify`.")
    blobs.check_once(name)
    # Documents that were ingested fill their pack; those that were handed on may be any of it.
    picked = caller["kind"] == "documents" and "end" in caller
    given = _given(blobs, caller["index"]) if picked else (context_range(caller),)
    with blobs.path(name).open("rb", buffering=0) as file:
        yield _Pack(file.fileno(), given)


@lru_cache(maxsize=64)
def _given(blobs: Blobs, index: str) -> tuple[tuple[int, int], ...]:
    """The ranges of a pack that an index has documents in; those that touch are one."""
    merged: list[tuple[int, int]] = []
    entries = (json.loads(line) for line in blobs.read(index).splitlines())
    for start, end in sorted((entry["start"], entry["end"]) for entry in entries):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def _chunks(part: PostedPart, pack: _Pack | None) -> Iterable[bytes]:
    """The bytes of what is handed over. Raises HandedBadly."""
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
    """Count and hash a text, and write it where it is to be copied."""
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
    ref = ContextRef(
        kind="text",
        pack=caller["pack"] if in_place else blobs.put(b"".join(chunks)),
        index="",
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
    listed = _Listed()
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
    """The documents so far: their index, and what the reference says of them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._chars = 0
        self._names: list[str] = []
        self._heads: list[tuple[str, str]] = []
        self._lines: list[bytes] = []
        self._facts: list[Any] = []
        self._unique = UniqueNames()

    def add(self, part: PostedPart, start: int, measured: _Measured) -> None:
        """One more, which stands at `start` of the pack."""
        name = self._unique.free(part.name)
        self._unique.take(name)
        line = {"name": name, "start": start, "end": start + measured.bytes, "chars": measured.chars, "meta": part.meta}
        self._lines.append(json.dumps(line).encode() + b"\n")
        self._facts.append((name, measured.hash, part.meta))
        self.bytes += measured.bytes
        self._chars += measured.chars
        if len(self._names) < MOST_NAMES:
            self._names.append(name)
        if measured.head and len(self._heads) < MOST_HEADS:
            self._heads.append((name, measured.head))

    def reference(self, pack: str, blobs: Blobs) -> ContextRef:
        """The reference to them in `pack`, with the index stored."""
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
