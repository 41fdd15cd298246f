"""A run's input as stored blobs: ingested once, in bounded memory, and referred to in the state.

All texts are concatenated in one blob, the pack; for documents a second blob is the index of it
(`kernel.session.ContextFiles`). A kernel reads both from disk; no other process holds the text.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from ..blobs.store import Blobs, BlobWriter
from ..errors import InputError, StoredDataDamaged
from .read import reading
from .source import Check, Notes, Source, Sources, Unusable, stopper

MOST_NAMES = 20
MOST_NOTES = 20
PREVIEW = 500
"""Characters of the input that the root model sees at the beginning."""
MOST_HEADS = 3
"""Documents whose beginnings the root model sees."""

_BETWEEN_BEATS = 0.1
_BETWEEN_LOOKS = 0.02
"""Seconds between checks for cancellation, until `agreed` is set."""
Progress = Callable[[int, int, str], None]
"""Called with documents done, bytes done (of UTF-8 text) and the name of the document under way."""


class ContextRef(TypedDict):
    """The state's reference to the input. Plain JSON; a wire format: saved runs contain it."""

    kind: Literal["none", "text", "documents"]
    pack: str
    """Blob of all texts in UTF-8, concatenated; empty for kind `none`."""
    index: str
    """Blob of the index; empty unless the kind is `documents`."""
    documents: int
    chars: int
    bytes: int
    names: list[str]
    """Names of the first documents."""
    preview: str
    notes: list[str]
    """Notes on sources that were left out, or read in an unusual way."""
    start: NotRequired[int]
    end: NotRequired[int]
    """The range of the pack, in bytes, that is the text, or that contains the documents; by default the whole pack.

    `bytes` counts the input itself: the pack may have more.
    """
    digest: NotRequired[str]
    """The hash of a context that was handed to a sub-RLM, wherever it is stored (`child_context.py`)."""


def no_context() -> ContextRef:
    """Return the reference of a run that has only its question."""
    return ContextRef(kind="none", pack="", index="", documents=0, chars=0, bytes=0, names=[], preview="", notes=[])


def ingest(
    sources: Sources,
    blobs: Blobs,
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    agreed: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ContextRef:
    """Read every source into `blobs`, durably, and return the reference to it.

    Synchronous and long (at the speed of a disk): call it in a thread. `progress` is called ten times a second at
    most, and once at the end. `agreed`: the input is kept only once this is set. Raises InputError (nothing usable,
    empty, too large, a named file that gives no text), IngestStopped once `cancelled()` is true, StoreError when the
    disk refuses; then nothing is kept.
    """
    check = stopper(cancelled)
    with blobs.writer() as pack, blobs.writer() as index:
        work = _Ingest(sources, pack, index, check, _Beat(progress, clock))
        for source in sources.items:
            work.add(source)
        work.beat.last(work.documents, pack.size)
        if not work.documents:
            raise InputError("There is no text in the input.", hint="; ".join(sources.notes.lines(3)))
        if not pack.size:
            raise InputError("The input is empty.", hint="Give a file that has text in it, or no file at all.")
        several = sources.several or work.documents > 1
        while agreed and not agreed.wait(_BETWEEN_LOOKS):
            check()
        return ContextRef(
            kind="documents" if several else "text",
            pack=pack.commit(),
            index=index.commit() if several else "",
            documents=work.documents,
            chars=work.chars,
            bytes=pack.size,
            names=work.names,
            preview=previewed(work.heads, several=several),
            notes=sources.notes.lines(MOST_NOTES),
        )


def context_files(ref: ContextRef, blobs: Blobs) -> tuple[Path, Path | None, int, int]:
    """Return the pack's path, for documents the index's path, and the range of the pack, as a kernel needs them.

    The bytes are checked the first time in a process, because a kernel maps them unchecked: call it in a thread.
    Raises StoredDataDamaged, and ValueError for a reference of kind `none`.
    """
    pack = blobs.path(ref["pack"])
    index = blobs.path(ref["index"]) if ref["index"] else None
    start, end = context_range(ref)
    try:
        size = pack.stat().st_size
        whole = (end <= size if "end" in ref else end == size) and (index is None or index.stat().st_size > 0)
    except FileNotFoundError:
        whole = False
    if not whole:
        raise StoredDataDamaged("The run's stored input is missing or cut short.", hint="Run `rlm verify`.")
    for name in filter(None, (ref["pack"], ref["index"])):
        blobs.check_once(name)
    return pack, index, start, end


def context_range(ref: ContextRef) -> tuple[int, int]:
    """Return the part of the pack, in bytes, that contains the input."""
    return ref.get("start", 0), ref.get("end", ref["bytes"])


def previewed(heads: Sequence[tuple[str, str]], *, several: bool) -> str:
    """Return the beginning of a text, or of the first documents under their names; `heads`: names and beginnings."""
    if not several:
        return heads[0][1] if heads else ""
    share = PREVIEW // max(1, len(heads))
    return "\n\n".join(f"--- {name}\n{head[:share].rstrip()}" for name, head in heads)


def head_of(data: bytes) -> str:
    """Return the characters at the beginning of a text that a preview may show."""
    return data[: 4 * PREVIEW].decode("utf-8", "ignore")[:PREVIEW]


class UniqueNames:
    """Makes document names unique by numbering repeated ones, because documents are looked up by name."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._reached: dict[str, int] = {}
        """The number reached for each name: a million documents of one name need no search."""

    def free(self, name: str) -> str:
        """Return `name`, or `name` with the first number that makes it unique."""
        number = self._reached.get(name, 1)
        while (unique := name if number == 1 else f"{name} ({number})") in self._taken:
            number += 1
        self._reached[name] = number
        return unique

    def take(self, unique: str) -> None:
        """Mark a name as taken."""
        self._taken.add(unique)


class _Beat:
    """Calls `progress` at limited intervals, not for every small file."""

    def __init__(self, progress: Progress | None, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._clock = clock
        self._next = clock()
        self._name = ""

    def __call__(self, documents: int, size: int, name: str) -> None:
        self._name = name
        if self._progress and (now := self._clock()) >= self._next:
            self._next = now + _BETWEEN_BEATS
            self._progress(documents, size, name)

    def last(self, documents: int, size: int) -> None:
        if self._progress:
            self._progress(documents, size, self._name)


class _Ingest:
    """The work of one `ingest`: what was written so far, and the contents of the reference."""

    def __init__(self, sources: Sources, pack: BlobWriter, index: BlobWriter, check: Check, beat: _Beat) -> None:
        self.documents = 0
        self.chars = 0
        self.names: list[str] = []
        self.heads: list[tuple[str, str]] = []
        self.beat = beat
        self._limit = sources.limits.bytes
        self._notes: Notes = sources.notes
        self._pack = pack
        self._index = index
        self._check = check
        self._unique = UniqueNames()

    def add(self, source: Source) -> None:
        """Write one source's text and its line of the index, or note why it has none."""
        self._check()
        name = self._unique.free(source.name)
        start = self._pack.size
        chars = 0
        meta: dict[str, Any] = {}
        try:
            with reading(source, lambda what: self._notes.add(what, name), self._check) as text:
                for data, count in text.chunks:
                    if not chars and len(self.heads) < MOST_HEADS:
                        self.heads.append((name, head_of(data)))
                    self._write(data)
                    chars += count
                    self.beat(self.documents, self._pack.size, name)
                    self._check()
                meta = text.meta
        except Unusable as error:
            if source.explicit:
                raise InputError(f"{name} is {error.reason}.", hint=error.hint) from error
            self._notes.add(f"skipped ({error.reason})", name)
            return
        except OSError as error:
            raise InputError(f"Reading {name} failed: {error.strerror}.") from error
        self._unique.take(name)
        if len(self.names) < MOST_NAMES:
            self.names.append(name)
        line = {"name": name, "start": start, "end": self._pack.size, "chars": chars, "meta": meta}
        self._index.write(json.dumps(line).encode() + b"\n")
        self.documents += 1
        self.chars += chars
        self.beat(self.documents, self._pack.size, name)

    def _write(self, data: bytes) -> None:
        if self._pack.size + len(data) > self._limit:
            raise InputError(
                f"The input has more than {self._limit / (1 << 30):.3g} GiB of text.", hint="Give a part of it."
            )
        self._pack.write(data)
