"""Reads one source: opened safely, its format detected, decoded here or read by the worker."""

import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, BinaryIO

from .draft import ReadOptions, Unusable
from .extraction import Extraction, Extractor, SkippedInside
from .formats import format_of
from .source import Check, FileSource, Source, StreamSource, TextSource
from .text import BLOCK, Chunk, Remark, encoded, utf8_chunks
from .walk import kind_of


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


@contextmanager
def reading(source: Source, extractor: Extractor, options: ReadOptions, check: Check) -> Generator[Reading]:
    """Open `source`, and close it at the end.

    Raises Unusable, on entering or with the first chunk; OSError when reading a file fails.
    """
    match source:
        case TextSource():
            losses: list[str] = []
            yield Reading("text", 0, [ReadDocument("", _given(source.text, losses.append), losses=losses)])
        case StreamSource():
            yield Reading("text", 0, [_decoded(_text_blocks(_stream_blocks(source.stream)), {})])
        case FileSource():
            descriptor, status = _open(source.path)
            try:
                with _file(source, descriptor, status, extractor, options, check) as found:
                    yield found
            finally:
                os.close(descriptor)


@contextmanager
def _file(
    source: FileSource,
    descriptor: int,
    status: os.stat_result,
    extractor: Extractor,
    options: ReadOptions,
    check: Check,
) -> Generator[Reading]:
    blocks = _file_blocks(descriptor, status.st_size)
    try:
        head = next(blocks, b"")
    except OSError as error:
        raise Unusable(f"not readable ({error.strerror})") from error
    form = format_of(source.path, head)
    if form.unread:
        raise Unusable(form.unread)
    meta = {"path": source.path, "bytes": status.st_size, "modified": _iso(status.st_mtime)}
    if not form.reader:
        document = _decoded(_again(head, blocks), {"kind": form.kind})
        yield Reading(form.kind, status.st_size, [document], meta)
        return
    name = PurePath(source.path).name
    with extractor.extract(descriptor, status.st_size, name, form, options, check) as extraction:
        yield Reading(form.kind, status.st_size, _extracted(extraction), meta)


def _extracted(extraction: Extraction) -> Iterator[ReadDocument | SkippedInside]:
    for one in extraction.found:
        if isinstance(one, SkippedInside):
            yield one
        else:
            yield ReadDocument(one.name, extraction.chunks(one), one.meta, one.places, one.losses)


def _decoded(blocks: Iterator[bytes], meta: dict[str, Any]) -> ReadDocument:
    losses: list[str] = []
    return ReadDocument("", utf8_chunks(blocks, losses.append), meta, losses=losses)


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
    # The buffer is no larger than a small file; a file of size 0 (as in /proc) may not be empty.
    block = os.read(descriptor, min(size + 1, BLOCK) if size else BLOCK)
    while block:
        yield block
        block = os.read(descriptor, BLOCK)


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


def _text_blocks(blocks: Iterator[bytes]) -> Iterator[bytes]:
    head = next(blocks, b"")
    if head.startswith(b"%PDF-"):
        raise Unusable("a PDF", "Give it as a file.")
    return _again(head, blocks)


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
