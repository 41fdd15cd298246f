"""Cut documents into chunks: at headings, paragraphs, records or lines, by content, and without losing a character."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

from .chunk import Chunk, Source
from .context import Document, Documents
from .context_file import Pack
from .context_text import TextDocument
from .place_parts import Section, markdown_headings
from .variables import quoted

By = Literal["heading", "paragraph", "record", "line"]
Measure = Callable[[str], int]
"""Returns the size of a text."""
_Level = Literal["paragraph", "sentence", "line"]

_SMALLER: dict[By, tuple[_Level, ...]] = {
    "heading": ("paragraph", "sentence", "line"),
    "paragraph": ("sentence", "line"),
    "record": ("line", "sentence"),
    "line": ("sentence",),
}
"""Parts in which a part that is larger than the limit is cut, one after the other, before characters are counted."""
_PARAGRAPHS = {"\n": re.compile(r"\n\s*\n"), "\r": re.compile(r"\r\s*\r")}
_LINES = {"\n": re.compile("\n"), "\r": re.compile("\r")}
_SENTENCES = re.compile(r"[.!?…][\"'”’»)\]]{0,3}\s+|[。！？][”’」』）]{0,3}\s*")
_MOST_BACK = 32
"""Characters that a cut within a word moves back for the sake of a character that is made of several."""
_JOINER = "\u200d"
_TAKEN = "chunks are cut from a document, `context`, a slice of it, a str, or a list of documents and str"


def chunks_of(docs: Any, limit: int, measure: Measure, by: By) -> list[Chunk]:
    """Return the chunks of documents, none of which measures more than `limit`. Raises TypeError, ValueError."""
    if by not in get_args(By):
        raise ValueError(f"by= is one of {', '.join(map(repr, get_args(By)))}, not {quoted(by)}")
    if limit < 1:
        raise ValueError("the limit of a chunk is at least 1")
    found: list[Chunk] = []
    for document, start, end in _parts(docs):
        text = document.part(start, end) if isinstance(document, Document) else document[start:end]
        ends = _Cutter(limit, measure, by).ends(text, _starts(document, text, by, start))
        found += _made(document, start, text, ends)
    return found


def _parts(docs: Any) -> Iterator[tuple[Source, int, int]]:
    """Yield the documents with the range of each, in characters, that is to be cut. Raises TypeError."""
    if isinstance(docs, Chunk):
        yield docs.document, docs.start, docs.end
    elif isinstance(docs, Section):
        yield docs._document, docs.start, docs.end
    elif isinstance(docs, Document | TextDocument | str):
        yield docs, 0, len(docs)
    elif isinstance(docs, Documents | list | tuple):
        for one in docs:
            if isinstance(one, Documents | list | tuple):
                raise TypeError(f"{_TAKEN}; in this list there is a {type(one).__name__}")
            yield from _parts(one)
    else:
        raise TypeError(f"{_TAKEN}, not a {type(docs).__name__}")


def _made(document: Source, start: int, text: str, ends: Sequence[int]) -> Iterator[Chunk]:
    """Yield the chunks of a text that stands at `start` in a document, given where each ends in the text."""
    pack: Pack | None = None
    at = 0
    if not isinstance(document, str) or isinstance(document, TextDocument):
        try:
            pack, at, _ = document.stored()
            at += len(document[:start].encode()) if start else 0
        except LookupError:
            pack = None
    first = 0
    for end in ends:
        size = len(text[first:end].encode()) if pack else 0
        yield Chunk(document, start + first, start + end, (pack, at, at + size) if pack else None)
        first, at = end, at + size


def _starts(document: Source, text: str, by: By, start: int) -> list[int]:
    """Return where the sections or records of a document begin in the text, which stands at `start` in it."""
    placed = document if isinstance(document, Document | TextDocument) else None
    if isinstance(placed, TextDocument):
        try:
            placed.stored()
        except LookupError:
            placed = None
    if by == "heading":
        found = [section.start for section in placed.sections()] if placed else []
        if not found and (placed is None or not placed.name):
            found = [start + at for at in markdown_headings(iter(text.splitlines(keepends=True)))[0]]
    elif by == "record" and placed:
        found = _records(placed)
    else:
        found = []
    return sorted({at - start for at in found if start < at < start + len(text)})


def _records(document: Document | TextDocument) -> list[int]:
    """Return where records begin, if they are more than lines."""
    for kind in ("messages", "cells"):
        if marks := document._marks(kind):
            return list(marks.at)
    try:
        return [row.start for row in document._rows()]
    except (LookupError, ValueError):  # no table, or no valid one
        return []


class _Cutter:
    """Cuts one text."""

    def __init__(self, limit: int, measure: Measure, by: By) -> None:
        self._limit = limit
        self._measure = measure
        self._by: By = by

    def ends(self, text: str, starts: list[int]) -> list[int]:
        """Return where the chunks of a text end. `starts`: where its sections or records begin, if they are known."""
        if not text:
            return []
        if self._by == "heading" and starts:
            sections = pairwise([0, *starts, len(text)])
            return [end for first, last in sections for end in self._joined(text, self._small(text, [last], first))]
        if starts:
            units = [*starts, len(text)]
        else:
            units = _level(text, 0, len(text), "paragraph" if self._by in ("heading", "paragraph") else "line")
        return self._joined(text, self._small(text, units, 0))

    def _small(self, text: str, units: list[int], first: int) -> list[tuple[int, int, int]]:
        """Return the start, the end and the size of each unit, those that are too large in parts."""
        found: list[tuple[int, int, int]] = []
        for end in units:
            found += self._divided(text, first, end, _SMALLER[self._by])
            first = end
        return found

    def _divided(self, text: str, start: int, end: int, levels: tuple[_Level, ...]) -> list[tuple[int, int, int]]:
        unit = text[start:end]
        size = self._measure(unit)
        if size <= self._limit:
            return [(start, end, size)]
        if not levels:
            return self._by_characters(text, start, end, size)
        found: list[tuple[int, int, int]] = []
        for last in _level(text, start, end, levels[0]):
            found += self._divided(text, start, last, levels[1:])
            start = last
        return found

    def _by_characters(self, text: str, start: int, end: int, size: int) -> list[tuple[int, int, int]]:
        """Cut at white space if there is some near the limit, else between any two characters that are two."""
        found: list[tuple[int, int, int]] = []
        most = max(1, (end - start) * self._limit // size)
        while start < end:
            last = min(start + most, end)
            while (size := self._measure(text[start:last])) > self._limit and last - start > 1:
                last = start + max(1, min(last - start - 1, (last - start) * self._limit // size))
            if last < end:
                last = _safe(text, start, last)
                size = self._measure(text[start:last])
            found.append((start, last, size))
            start = last
        return found

    def _joined(self, text: str, units: list[tuple[int, int, int]]) -> list[int]:
        """Return the ends of packs of units."""
        if len(units) == 1:
            return [units[0][1]]
        from durable_rlm.matching.content_cuts import content_key, cut

        sizes = [size for _, _, size in units]
        if sum(sizes) <= self._limit:
            return [units[-1][1]]
        keys = [content_key(text[start:end]) for start, end, _ in units]
        return [units[at - 1][1] for at in cut(sizes, keys, self._limit)]


def _level(text: str, start: int, end: int, level: _Level) -> list[int]:
    """Return where the paragraphs, sentences or lines of a part of the text end; each has its white space."""
    mark = "\n" if text.find("\n", start, end) >= 0 else "\r"
    pattern = {"paragraph": _PARAGRAPHS[mark], "line": _LINES[mark], "sentence": _SENTENCES}[level]
    ends = [found.end() for found in pattern.finditer(text, start, end)]
    return ends if ends and ends[-1] == end else [*ends, end]


def _safe(text: str, start: int, end: int) -> int:
    """Return the best place to cut at, at `end` or before it: after white space, else not within one character."""
    least = start + (end - start) * 4 // 5
    for at in range(end, max(least, start), -1):
        if text[at - 1].isspace() and not text[at].isspace():
            return at
    at = end
    while at > max(start + 1, end - _MOST_BACK):
        if not _is_within(text, start, at):
            return at
        at -= 1
    return end


def _is_within(text: str, start: int, at: int) -> bool:
    """Return whether the characters before and after a place are shown as one; one begins at `start`."""
    before, after = text[at - 1], text[at]
    if before == _JOINER or after == _JOINER or before + after == "\r\n":
        return True
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    if "\U0001f1e6" <= after <= "\U0001f1ff":  # flags are pairs of these
        first = at
        while first > start and "\U0001f1e6" <= text[first - 1] <= "\U0001f1ff":
            first -= 1
        return (at - first) % 2 == 1
    return unicodedata.category(after) in ("Mn", "Mc", "Me") or "\U0001f3fb" <= after <= "\U0001f3ff"
