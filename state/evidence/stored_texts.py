"""The texts of a stored input by name, read in parts: one pass over a document's bytes, in bounded memory."""

import codecs
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..blobs.store import Blobs
from ..input.context import ContextRef, context_files
from ..input.index import document_lines, entry_of

_PIECE = 1 << 20
Range = tuple[int, int]
"""The beginning and the end of a part of a text, in characters."""


@dataclass(frozen=True)
class StoredText:
    """The place of a text in the pack, in bytes, and its number of characters."""

    start: int
    end: int
    chars: int


class StoredTexts:
    """Texts of one pack by their names; a text without an index has the name ``."""

    def __init__(self, pack: Path | None, texts: Mapping[str, StoredText]) -> None:
        self._pack = pack
        self._texts = texts

    @classmethod
    def of(cls, reference: ContextRef | None, blobs: Blobs, names: Collection[str]) -> Self:
        """Return those texts of an input that have one of the names.

        Reads the whole index, and the pack once in a process: call it in a thread. Raises StoredDataDamaged.
        """
        if reference is None or reference["kind"] == "none":
            return cls(None, {})
        pack, index, start, end = context_files(reference, blobs)
        if index is None:
            return cls(pack, {"": StoredText(start, end, reference["chars"])})
        return cls(pack, indexed(index.read_bytes(), names))

    def get(self, name: str) -> StoredText | None:
        """Return the place of a text; None when there is none of that name."""
        return self._texts.get(name)

    def parts(self, name: str, ranges: Sequence[Range]) -> list[str]:
        """Return the parts of a text in these ranges, in their order. Raises KeyError, OSError.

        The ranges must be within the text. The memory taken is that of the parts, and some megabytes.
        """
        text = self._texts[name]
        if self._pack is None or not ranges:
            return [""] * len(ranges)
        with self._pack.open("rb", buffering=0) as file:
            if text.end - text.start == text.chars:
                # ASCII: a character is a byte, so nothing else is read.
                return [_ascii(file.fileno(), text.start + first, text.start + last) for first, last in ranges]
            return _in_one_pass(_pieces(file.fileno(), text), ranges)


def indexed(index: bytes, names: Collection[str]) -> dict[str, StoredText]:
    """Return the places of those documents of an index that have one of the names."""
    found: dict[str, StoredText] = {}
    wanted = set(names)
    for line in document_lines(index):
        if len(found) == len(wanted):
            break
        entry = entry_of(line)
        if entry["name"] in wanted:
            found[entry["name"]] = StoredText(entry["start"], entry["end"], entry["chars"])
    return found


def _ascii(descriptor: int, start: int, end: int) -> str:
    return os.pread(descriptor, end - start, start).decode("utf-8", "replace")


def _pieces(descriptor: int, text: StoredText) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    at = text.start
    while at < text.end and (data := os.pread(descriptor, min(_PIECE, text.end - at), at)):
        at += len(data)
        yield decoder.decode(data, at >= text.end)


def _in_one_pass(pieces: Iterator[str], ranges: Sequence[Range]) -> list[str]:
    """Return the ranges of a text that comes in pieces."""
    # The next one to begin stands last.
    waiting = sorted(range(len(ranges)), key=lambda at: ranges[at][0], reverse=True)
    parts: list[list[str]] = [[] for _ in ranges]
    begun: list[int] = []
    behind = 0
    for piece in pieces:
        before, behind = behind, behind + len(piece)
        while waiting and ranges[waiting[-1]][0] < behind:
            begun.append(waiting.pop())
        for at in begun:
            first, last = ranges[at]
            parts[at].append(piece[max(0, first - before) : last - before])
        begun = [at for at in begun if ranges[at][1] > behind]
        if not waiting and not begun:
            break
    return ["".join(part) for part in parts]
