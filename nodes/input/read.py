"""Reads sources: opened safely, their formats detected, decoded here or read by reader processes, which work ahead."""

import os
import stat
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, BinaryIO, TypeAlias

from .delimiter import delimiter
from .draft import ReadOptions, Unusable
from .extraction import Extraction, Extractor, SkippedInside
from .formats import CSV, Format, format_of
from .source import Check, FileSource, Source, StreamSource, TextSource
from .text import BLOCK, Chunk, Decoding, Remark, encoded, utf8_chunks
from .walk import kind_of

_LARGEST_SPOOLED = 1 << 30
"""Bytes of a stream that is kept in a file to be read."""


@dataclass
class ReadDocument:
    """One document of a source, to be consumed in its order and once."""

    name: str
    """Its path inside the source; empty for the source itself."""
    chunks: Iterator[Chunk]
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    """Complete once the chunks are consumed, like `losses`."""
    places: str = "{}"
    """JSON, as the index stores it."""
    losses: list[str] = field(default_factory=list[str])


@dataclass
class Reading:
    """The documents of a source."""

    kind: str
    size: int
    """Bytes of the file; 0 for a stream."""
    documents: Iterable[ReadDocument | SkippedInside]
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    """Facts about the file, for each of its documents."""


@dataclass
class _Opened:
    """A file that is open, and that a reader process may already be reading."""

    descriptor: int
    status: os.stat_result
    form: Format
    meta: dict[str, Any]
    head: bytes
    blocks: Iterator[bytes]
    extraction: AbstractContextManager[Extraction] | None


_Readings: TypeAlias = Generator[tuple[Source, AbstractContextManager[Reading]]]
_FAR = 200
"""Sources after the present one among which the next files for reader processes are looked for."""


def readings(sources: Iterable[Source], extractor: Extractor, options: ReadOptions, check: Check) -> _Readings:
    """Yield each source with its reading, in order, while the next `extractor.ahead` files are read."""
    rest = iter(sources)
    upcoming: deque[tuple[Source, _Opened | None]] = deque()
    begun = 0
    try:
        while True:
            while len(upcoming) < _FAR and (not upcoming or begun < extractor.ahead) and (source := next(rest, None)):
                opened = _begun(source, extractor, options, check) if extractor.ahead else None
                begun += opened is not None
                upcoming.append((source, opened))
            if not upcoming:
                return
            source, opened = upcoming[0]
            yield source, reading(source, extractor, options, check, opened)
            upcoming.popleft()
            begun -= opened is not None
    finally:
        for _, opened in upcoming:
            if opened:
                _close(opened)


def _begun(source: Source, extractor: Extractor, options: ReadOptions, check: Check) -> _Opened | None:
    """Have a reader process begin with a source whose name says that it needs one. An error is reported at its turn."""
    if isinstance(source, FileSource) and format_of(source.path, b"").reader:
        with suppress(Unusable, OSError):
            return _opened(source, extractor, options, check)
    return None


@contextmanager
def reading(
    source: Source, extractor: Extractor, options: ReadOptions, check: Check, opened: _Opened | None = None
) -> Generator[Reading]:
    """Open `source`, and close it at the end.

    `opened`: the file, where that is done. Raises Unusable, on entering or with the first chunk; OSError when reading a
    file fails.
    """
    match source:
        case TextSource():
            losses: list[str] = []
            yield Reading("text", 0, [ReadDocument("", _given(source.text, losses.append), losses=losses)])
        case StreamSource():
            with _stream(source, extractor, options, check) as found:
                yield found
        case FileSource():
            opened = opened or _opened(source, extractor, options, check)
            try:
                yield from _file(opened, options)
            finally:
                _close(opened)


def _file(opened: _Opened, options: ReadOptions) -> Iterator[Reading]:
    form, size = opened.form, opened.status.st_size

    def changed() -> str:
        return _changed(opened.descriptor, opened.status)

    if opened.extraction:
        with opened.extraction as extraction:
            yield Reading(form.kind, size, _extracted(extraction, changed()), opened.meta)
    else:
        document = _decoded(_again(opened.head, opened.blocks), form, options, changed)
        yield Reading(form.kind, size, [document], opened.meta)


def _opened(source: FileSource, extractor: Extractor, options: ReadOptions, check: Check) -> _Opened:
    """Open a file, detect its format, and have a reader process begin to read it, if it is not text.

    Raises Unusable, OSError.
    """
    descriptor, status = _open(source.path)
    try:
        blocks = _file_blocks(descriptor, status.st_size)
        try:
            head = next(blocks, b"")
        except OSError as error:
            raise Unusable(f"not readable ({error.strerror})") from error
        form = format_of(source.path, head)
        if form.unread:
            raise Unusable(form.unread)
        meta = {"path": source.path, "bytes": status.st_size, "modified": _iso(status.st_mtime)}
        opened = _Opened(descriptor, status, form, meta, head, blocks, None)
        if form.reader:
            opened.head = b""
            name = PurePath(source.path).name
            opened.extraction = extractor.extract(descriptor, status.st_size, name, form, options, check)
    except BaseException:
        os.close(descriptor)
        raise
    return opened


def _close(opened: _Opened) -> None:
    if opened.descriptor >= 0:
        os.close(opened.descriptor)
        opened.descriptor = -1


@contextmanager
def _stream(source: StreamSource, extractor: Extractor, options: ReadOptions, check: Check) -> Generator[Reading]:
    """Read a stream as text, or, where its beginning is that of another format, by that format's reader."""
    blocks = _stream_blocks(source.stream)
    head = next(blocks, b"")
    form = format_of(source.name, head)
    if form.unread:
        raise Unusable(form.unread)
    if not form.reader:
        yield Reading("text", 0, [_decoded(_again(head, blocks), form, options)])
        return
    with tempfile.TemporaryFile() as file:
        size = 0
        for block in _again(head, blocks):
            check()
            size += len(block)
            if size > _LARGEST_SPOOLED:
                raise Unusable(f"too large ({_LARGEST_SPOOLED >> 30} GiB) to be piped in", "Give it as a file.")
            file.write(block)
        file.flush()
        with extractor.extract(file.fileno(), size, source.name, form, options, check) as extraction:
            yield Reading(form.kind, size, _extracted(extraction), {"bytes": size})


def _extracted(extraction: Extraction, *more: str) -> Iterator[ReadDocument | SkippedInside]:
    """Yield what was extracted; `more` are losses of the whole file."""
    for one in extraction.found:
        if isinstance(one, SkippedInside):
            yield one
        else:
            losses = [*one.losses, *filter(None, more)]
            yield ReadDocument(one.name, extraction.chunks(one), one.meta, one.places, losses)


def _decoded(
    blocks: Iterator[bytes], form: Format, options: ReadOptions, at_end: Callable[[], str] = lambda: ""
) -> ReadDocument:
    """Return the document of a text. `at_end` returns a loss that is known when it has been read, or an empty text.

    Its chunks raise Unusable, before the first one, when there is no text.
    """
    losses: list[str] = []
    meta: dict[str, Any] = {"kind": form.kind}

    def chunks() -> Iterator[Chunk]:
        decoding = Decoding(wanted=options.encoding)
        found = False
        for data, chars in utf8_chunks(blocks, losses.append, decoding):
            if not data:
                continue
            if form is CSV and not found:
                meta["delimiter"] = delimiter(data)
            found = True
            yield data, chars
        if not found:
            raise Unusable("empty")
        meta["encoding"] = decoding.encoding
        losses.extend(filter(None, [at_end()]))

    return ReadDocument("", chunks(), meta, losses=losses)


def _changed(descriptor: int, before: os.stat_result) -> str:
    """Return a loss when the open file is not as it was before it was read."""
    after = os.fstat(descriptor)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return "" if same else "changed while it was read"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _open(path: str) -> tuple[int, os.stat_result]:
    """Return a descriptor of a regular file and its status. The type is checked again: the file may have changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"not readable ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unusable(kind_of(status.st_mode))
    return descriptor, status


def _file_blocks(descriptor: int, size: int) -> Iterator[bytes]:
    # A file that grows is read to its size at the beginning: its end may never come. One of size 0 (as in /proc) may
    # not be empty. The buffer is no larger than a small file.
    left = size or sys.maxsize
    while left and (block := os.read(descriptor, min(left, BLOCK))):
        left -= len(block)
        yield block


def _stream_blocks(stream: BinaryIO) -> Iterator[bytes]:
    # A pipe returns less than was asked for; whole blocks are needed to detect the encoding, and are faster.
    parts: list[bytes] = []
    size = 0
    while data := stream.read(BLOCK - size):
        parts.append(data)
        size += len(data)
        if size >= BLOCK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _again(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from blocks


def _given(text: str, remark: Remark) -> Iterator[Chunk]:
    """Encode a str; each lone surrogate, which is not a character, becomes U+FFFD."""
    any_wrong = False
    for start in range(0, len(text), BLOCK):
        piece = text[start : start + BLOCK]
        data, wrong = encoded(piece)
        any_wrong |= wrong
        yield data, len(piece)
    if any_wrong:
        remark("some characters were no valid Unicode and are shown as U+FFFD")
