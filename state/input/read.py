"""Reads one source as a stream of UTF-8: opened safely, its format detected, decoded."""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from .formats import extract, format_of
from .source import Check, FileSource, Source, StreamSource, TextSource, Unusable
from .text import BLOCK, Chunk, Remark, encoded, utf8_chunks
from .walk import kind_of


@dataclass
class Reading:
    """A source's text, to be consumed once, and its metadata."""

    chunks: Iterator[Chunk]
    meta: dict[str, Any] = field(default_factory=dict)


@contextmanager
def reading(source: Source, remark: Remark, check: Check) -> Generator[Reading]:
    """Open `source`, and close it at the end. `remark` is called with how it was decoded, possibly only at its end.

    Raises Unusable, on entering or with the first chunk; OSError when reading a file fails.
    """
    match source:
        case TextSource():
            yield Reading(_given(source.text, remark))
        case StreamSource():
            yield Reading(_text(_stream_blocks(source.stream), remark))
        case FileSource():
            descriptor, size = _open(source.path)
            try:
                yield _file(source, descriptor, size, remark, check)
            finally:
                os.close(descriptor)


def _open(path: str) -> tuple[int, int]:
    """Return a descriptor of a regular file and its size. The type is checked again: the file may have changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"not readable ({error.strerror})") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unusable(kind_of(status.st_mode))
    return descriptor, status.st_size


def _file(source: FileSource, descriptor: int, size: int, remark: Remark, check: Check) -> Reading:
    blocks = _file_blocks(descriptor, size)
    try:
        head = next(blocks, b"")
    except OSError as error:
        raise Unusable(f"not readable ({error.strerror})") from error
    if suffix := format_of(source.path, head):
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            chunks, meta = extract(file, suffix, check)
        return Reading(iter(chunks), meta)
    return Reading(utf8_chunks(_again(head, blocks), remark))


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


def _text(blocks: Iterator[bytes], remark: Remark) -> Iterator[Chunk]:
    head = next(blocks, b"")
    if head.startswith(b"%PDF-"):
        raise Unusable("a PDF", "Give it as a file.")
    return utf8_chunks(_again(head, blocks), remark)


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
