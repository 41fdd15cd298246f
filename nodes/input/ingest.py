"""Reads every source of an input into blobs, once and in bounded memory, and makes the reference to them."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ...state.blobs.store import Blobs
from ...state.call_keys import digest
from ...state.errors import InputError
from ...state.input.context import MOST_HEADS, MOST_NAMES, ContextRef, UniqueNames, head_of, previewed
from ...state.input.index import DocumentEntry, FileReport, document_line, report_line
from .draft import ReadOptions, Unusable
from .extraction import Extractor, SkippedInside
from .read import ReadDocument, Reading, readings
from .source import Check, FileSource, Notes, Source, Sources, showable, stopper

MOST_NOTES = 20
_BETWEEN_BEATS = 0.1
_BETWEEN_LOOKS = 0.02
"""Seconds between checks for cancellation, until `agreed` is set."""
_VOLATILE = ("path", "modified")
"""Metadata that may differ while the input is the same."""
_BEFORE_ESTIMATE = 2.0
"""Seconds of reading after which the rest is estimated."""
_MOST_COUNTED = 10_000
"""Documents whose tokens are estimated from their text; those of more are estimated from the share of these."""


@dataclass(frozen=True)
class ReadSoFar:
    """The progress of the reading."""

    documents: int
    bytes: int
    """Bytes of UTF-8 text."""
    name: str
    """The document under way."""
    files: int = 0
    of_files: int = 0
    seconds_left: float | None = None
    """None until it can be estimated."""


Progress: TypeAlias = Callable[[ReadSoFar], None]
CountTokens: TypeAlias = Callable[[str], int]
"""Estimates the tokens of a text."""


class Sink(Protocol):
    """A place that texts and the index are written to."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes) -> object:
        """Append bytes."""
        ...


class Counter:
    """A sink that only counts, for a survey."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        """Count bytes."""
        self.size += len(data)


def ingest(
    sources: Sources,
    blobs: Blobs,
    extractor: Extractor,
    *,
    options: ReadOptions | None = None,
    tokens: CountTokens = len,
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
        work = Ingestion(sources, pack, index, check, _Beat(progress, clock, sources), tokens)
        work.add_all(extractor, options or ReadOptions())
        work.beat.last(work.documents, pack.size)
        if not pack.size:
            raise _nothing_read(sources, work.refused)
        while agreed and not agreed.wait(_BETWEEN_LOOKS):
            check()
        index.write(b"\n")
        for report in work.reports:
            index.write(report_line(report))
        several = sources.several or work.documents > 1
        packed = pack.commit()
        return ContextRef(
            kind="documents" if several else "text",
            pack=packed,
            index=index.commit(),
            documents=work.documents,
            chars=work.chars,
            bytes=pack.size,
            names=work.names,
            preview=previewed(work.heads, several=several),
            notes=sources.notes.lines(MOST_NOTES),
            content=work.content(packed, several=several),
        )


def _nothing_read(sources: Sources, refused: list[tuple[str, Unusable]]) -> InputError:
    """Return the error for an input without text. `refused`: the files that gave none, and why, if they were named."""
    if not refused and (sources.notes.lines(1) or not sources.items):
        return InputError("There is no text in the input.", hint="; ".join(sources.notes.lines(3)))
    if all(error.reason == "empty" for _, error in refused):
        return InputError("The input is empty.", hint="Give a file that has text in it, or no file at all.")
    if len(refused) == 1:
        [(name, error)] = refused
        return InputError(f"{name} is {error.reason}.", hint=error.hint)
    shown = "; ".join(f"{name} is {error.reason}" for name, error in refused[:MOST_NOTES])
    more = f"; and {len(refused) - MOST_NOTES:,} more" if len(refused) > MOST_NOTES else ""
    hints = dict.fromkeys(error.hint for _, error in refused if error.hint)
    return InputError(f"None of the {len(refused):,} files gives text: {shown}{more}.", hint=" ".join([*hints][:3]))


def survey(
    sources: Sources,
    extractor: Extractor,
    *,
    options: ReadOptions | None = None,
    tokens: CountTokens = len,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> list[FileReport]:
    """Read every source and keep nothing. Return the reports, in which a file that was named may be skipped too.

    Synchronous and long, like `ingest`. Raises InputError when the input is too large, IngestStopped.
    """
    beat = _Beat(progress, clock, sources)
    work = Ingestion(sources, Counter(), Counter(), stopper(cancelled), beat, tokens)
    work.add_all(extractor, options or ReadOptions())
    return work.reports


class _Beat:
    """Calls `progress` at limited intervals, not for every small file, and estimates the seconds that are left."""

    def __init__(self, progress: Progress | None, clock: Callable[[], float], sources: Sources) -> None:
        self._progress = progress
        self._clock = clock
        self._began = self._next = clock()
        self._name = ""
        self._files = 0
        self._of_files = len(sources.items)
        self._read = 0
        self._to_read = sum(one.size for one in sources.items if isinstance(one, FileSource))

    def __call__(self, documents: int, size: int, name: str) -> None:
        self._name = name
        if self._progress and (now := self._clock()) >= self._next:
            self._next = now + _BETWEEN_BEATS
            self._progress(self._so_far(documents, size, now))

    def ended(self, source: Source) -> None:
        """Count a source as read, or skipped."""
        self._files += 1
        self._read += source.size if isinstance(source, FileSource) else 0

    def last(self, documents: int, size: int) -> None:
        if self._progress:
            self._progress(self._so_far(documents, size, self._began))

    def _so_far(self, documents: int, size: int, now: float) -> ReadSoFar:
        took = now - self._began
        left = None
        if took >= _BEFORE_ESTIMATE and self._read:
            left = took * max(0, self._to_read - self._read) / self._read
        return ReadSoFar(documents, size, self._name, self._files, self._of_files, left)


def _report(path: str, size: int = 0, skipped: str | None = None) -> FileReport:
    return FileReport(
        path=path,
        kind="",
        bytes=size,
        encoding="",
        documents=0,
        pages=0,
        chars=0,
        tokens=0,
        losses=[],
        skipped=skipped,
    )


class Ingestion:
    """The work of reading one input: what was written so far, and the contents of the reference."""

    def __init__(
        self,
        sources: Sources,
        pack: Sink,
        index: Sink,
        check: Check,
        beat: _Beat,
        tokens: CountTokens,
    ) -> None:
        self._sources = sources
        self._tokens = tokens
        self._counted = self._of_counted = 0
        self.documents = 0
        self.chars = 0
        self.names: list[str] = []
        self.heads: list[tuple[str, str]] = []
        self.reports: list[FileReport] = [_report(one.path, one.size, one.reason) for one in sources.skipped]
        self.refused: list[tuple[str, Unusable]] = []
        """The files that were named and gave no text."""
        self.beat = beat
        self._limit = sources.limits.bytes
        self._notes: Notes = sources.notes
        self._pack = pack
        self._index = index
        self._check = check
        self._unique = UniqueNames()
        self._hash = hashlib.sha256()

    def add_all(self, extractor: Extractor, options: ReadOptions) -> None:
        """Write the documents of every source, while the extractor reads ahead. Raises as `ingest` does."""
        with closing(readings(self._sources.items, extractor, options, self._check)) as ahead:
            for source, given in ahead:
                self.add(source, given)

    def add(self, source: Source, reading: AbstractContextManager[Reading]) -> None:
        """Write the documents of one source and report on it, or note why it gives none."""
        self._check()
        report = _report(source.name, source.size if isinstance(source, FileSource) else 0)
        try:
            with reading as given:
                report["kind"], report["bytes"] = given.kind, given.size
                self._add_documents(source, given, report)
        except Unusable as error:
            if source.explicit:
                self.refused.append((source.name, error))
            report["skipped"] = error.reason
            self._notes.add(f"skipped ({error.reason})", source.name)
        except OSError as error:
            raise InputError(f"Reading {source.name} failed: {error.strerror}.") from error
        self.reports.append(report)
        self.beat.ended(source)

    def _add_documents(self, source: Source, given: Reading, report: FileReport) -> None:
        for one in given.documents:
            name = showable(f"{source.name}/{one.name}" if one.name else source.name)
            if isinstance(one, SkippedInside):
                self._notes.add(f"skipped ({one.reason})", name)
                self.reports.append(_report(name, one.bytes, one.reason))
                continue
            self._add(name, one, given.meta, report)

    def _add(self, name: str, document: ReadDocument, meta: dict[str, Any], report: FileReport) -> None:
        """Write one document and its line of the index."""
        name = self._unique.free(name)
        start = self._pack.size
        chars = tokens = 0
        for data, count in document.chunks:
            tokens += self._count_tokens(data, count)
            if not chars and len(self.heads) < MOST_HEADS:
                self.heads.append((name, head_of(data)))
            self._write(data)
            chars += count
            self.beat(self.documents, self._pack.size, name)
            self._check()
        for loss in document.losses:
            self._notes.add(loss, name)
        self._unique.take(name)
        if len(self.names) < MOST_NAMES:
            self.names.append(name)
        meta = {**document.meta, **meta, **({"losses": document.losses} if document.losses else {})}
        entry = DocumentEntry(name=name, start=start, end=self._pack.size, chars=chars, meta=meta)
        self._index.write(document_line(entry, document.places))
        steady = {key: value for key, value in meta.items() if key not in _VOLATILE}
        self._hash.update(json.dumps([name, start, self._pack.size, steady, document.places]).encode())
        self.documents += 1
        self.chars += chars
        report["documents"] += 1
        report["chars"] += chars
        report["tokens"] += tokens
        report["encoding"] = str(meta.get("encoding", ""))
        report["pages"] += meta["pages"] if isinstance(meta.get("pages"), int) else 0
        report["losses"] += document.losses
        self.beat(self.documents, self._pack.size, name)

    def content(self, packed: str, *, several: bool) -> str:
        """Return the hash of the documents: the same whenever their files were changed."""
        return digest("given", several, packed, self._hash.hexdigest())

    def _count_tokens(self, data: bytes, chars: int) -> int:
        """Return an estimate of the tokens of a part of a document."""
        if self.documents >= _MOST_COUNTED and self._of_counted:
            return round(chars * self._counted / self._of_counted)
        tokens = self._tokens(data.decode())
        self._counted += tokens
        self._of_counted += chars
        return tokens

    def _write(self, data: bytes) -> None:
        if self._pack.size + len(data) > self._limit:
            raise InputError(
                f"The input has more than {self._limit / (1 << 30):.3g} GiB of text.", hint="Give a part of it."
            )
        self._pack.write(data)
