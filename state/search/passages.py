"""Cuts documents into the passages that a search finds: about a thousand characters, from line end to line end."""

import codecs
from collections.abc import Callable, Iterator
from typing import NamedTuple

LONGEST = 1200
"""Characters of a passage, at most."""
_SHORTEST = 400
"""Characters from which on a passage may end at a line end."""
_BLOCK = 1 << 20

Read = Callable[[int, int], bytes]
"""Returns the bytes of a range of the pack."""


class Passage(NamedTuple):
    """A part of a document."""

    text: str
    start: int
    end: int
    """Bytes of the pack."""
    first: int
    """The character of the document at which it begins, from 0."""
    line: int
    """The line in which it begins, from 1."""


def passages(read: Read, start: int, end: int) -> Iterator[Passage]:
    """Yield the passages of the document that is this range of the pack, in order and without gaps."""
    mark = _line_end(read, start, end)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    at, char, line = start, 0, 1
    text = ""
    for begin in range(start, end, _BLOCK):
        behind = min(begin + _BLOCK, end)
        text += decode(read(begin, behind), behind == end)
        done = 0
        while len(text) - done > LONGEST or (behind == end and done < len(text)):
            stop = _cut(text, done, mark)
            piece = text[done:stop]
            size = len(piece) if piece.isascii() else len(piece.encode())
            yield Passage(piece, at, at + size, char, line)
            at, char, done, line = at + size, char + len(piece), stop, line + piece.count(mark)
        text = text[done:]


def _cut(text: str, start: int, mark: str) -> int:
    """Return where the passage that begins at `start` ends: behind a line end, else behind a blank, else anywhere."""
    most = start + LONGEST
    if len(text) <= most:
        return len(text)
    for end in (mark, " "):
        if found := text.rfind(end, start + _SHORTEST, most) + 1:
            return found
    return most


def _line_end(read: Read, start: int, end: int) -> str:
    """Return the character that ends the lines of a document, as kernels count them."""
    for begin in range(start, end, _BLOCK):
        if b"\n" in read(begin, min(begin + _BLOCK, end)):
            return "\n"
    return "\r"
