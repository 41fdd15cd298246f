"""Folds a text, so that a quotation and its source are equal when they differ in typography alone.

White space of any kind and length is one blank; a hyphen between letters, with the line end behind it, is nothing;
quotation marks, dashes, full-width letters and ligatures are plain ones; a letter with its marks is one character;
what has no width is nothing. Case stays, and so do the hyphens of numbers: "10-20" is not "1020".

What changes the length is kept with its offsets, so that each folded character is found in the source again. All of it
takes time in proportion to the text.
"""

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from .folding_tables import DROPPED, SOFT, tables

_BLANKS = re.compile("  +")
_BLANKS_WITH_OTHERS = re.compile(f" (?:[{DROPPED}]* )+")
_HYPHENS = re.compile(f"[-{SOFT}] *")
_BLANKS_OF_NO_WORD = re.compile("(?<=[\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60])\\s+(?=[\u2e80-\u9fff\uf900-\ufaff])")
"""Blanks, also those that were line ends, in scripts that put none between words."""

_Change = tuple[int, int, str]
"""The beginning and end of a part of the source, and its folded form."""


class Folded:
    """A folded text, and the ranges of the source from which its characters come."""

    __slots__ = ("_at", "_new", "_old", "_source", "text")

    def __init__(self, text: str) -> None:
        self._at, self._source = array("q"), array("q")
        self._new, self._old = array("i"), array("i")
        source = text.translate(tables().one)
        parts: list[str] = []
        last = length = 0
        for start, end, piece in _in_order(source, text):
            if start > last:
                parts.append(source[last:start])
                length += start - last
            self._at.append(length)
            self._source.append(start)
            self._new.append(len(piece))
            self._old.append(end - start)
            parts.append(piece)
            length += len(piece)
            last = end
        parts.append(source[last:])
        self.text = "".join(parts)

    def range(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the source from which the folded characters `start` to `end` come, at least one."""
        return self._of(start)[0], self._of(end - 1)[1]

    def _of(self, offset: int) -> tuple[int, int]:
        at = bisect_right(self._at, offset) - 1
        if at < 0:
            return offset, offset + 1
        behind = offset - self._at[at]
        if behind < self._new[at]:
            return self._source[at], self._source[at] + self._old[at]
        place = self._source[at] + self._old[at] + behind - self._new[at]
        return place, place + 1


def folded(text: str) -> str:
    """Return the folded text."""
    return Folded(text).text


def _in_order(source: str, text: str) -> Iterator[_Change]:
    """Yield the changes in order, none of which begins before the end of another one."""
    last = 0
    for start, end, piece in sorted(_changes(source, text)):
        if end > last:
            yield max(start, last), end, piece
            last = end


def _changes(source: str, text: str) -> Iterator[_Change]:
    for found in (_BLANKS if text.isascii() else _BLANKS_WITH_OTHERS).finditer(source):
        yield *found.span(), " "
    for found in _HYPHENS.finditer(source):
        start, end = found.span()
        if start and end < len(source) and source[start - 1].isalpha() and source[end].isalpha():
            yield start, end, ""
        elif source[start] == SOFT:
            yield start, start + 1, ""
    if text.isascii():
        return
    for found in _BLANKS_OF_NO_WORD.finditer(text):
        yield *found.span(), ""
    attached = tables().attached
    known: dict[str, str] = {}
    for found in tables().runs.finditer(source):
        start, end = found.span()
        if start and source[start] in attached:
            start -= 1  # with the character that the marks stand on
        run = source[start:end]
        piece = known.get(run)
        if piece is None:
            piece = known[run] = _cluster(run)
        yield start, end, piece


def _cluster(run: str) -> str:
    """Return the folded form of characters that change together."""
    longer = tables().longer
    made = unicodedata.normalize("NFC", "".join(longer.get(char, char) for char in run))
    return made.translate(tables().one)
