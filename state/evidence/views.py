"""Readings of a text in which passages are searched for: with escapes decoded, without line numbers or quotation marks.

A prompt is made by code: it puts passages into JSON, numbers their lines, or quotes them. Each view is a text of its
own, and knows for each of its bytes where that stands in the text. What is found in a view is compared with the
stored input byte by byte, so a view that reads too much into a text finds nothing and claims nothing.

All views take time in proportion to the text.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

_ESCAPE = re.compile(rb"""(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9a-f]{2}|\\["'\\/bfnrt]""")
_DECODED = {
    **{b"\\" + one: one for one in (b'"', b"'", b"\\", b"/")},
    **{b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"},
}
_NUMBER = re.compile(rb"^[ \t]*(?:\[\d{1,9}\]|[Ll]?\d{1,9}(?:[:.)\t]|[ \t]*\|))", re.MULTILINE)
_QUOTED = re.compile(rb"^[ \t]*[>|][ \t]?", re.MULTILINE)
_INDENTED = re.compile(rb"(?:^(?:[ \t]{2,}|\t)\S.*(?:\n|\Z)(?:^[ \t]*\n)*)+", re.MULTILINE)
_INDENTATION = re.compile(rb"^([ \t]+)\S", re.MULTILINE)
_LINE_END = re.compile(rb"(?<!\r)\n")
_FEWEST = 2
"""Numbered or quoted lines from which a text is looked at without the marks."""

Piece = tuple[int, int, bytes]
"""The beginning and the end of a part of a text, and what is read in its place."""


@dataclass(frozen=True)
class View:
    """One reading of a text."""

    text: bytes
    at: list[int]
    """The beginnings of the segments of `text`, in order; behind them its length."""
    body: list[tuple[int, int]]
    """The beginning and the end of each segment in the text that is read."""

    def to_body(self, start: int, end: int) -> tuple[int, int]:
        """Return the bytes of the text that the bytes `start` to `end` of the view are read from."""
        first, last = self._segment(start), self._segment(end - 1)
        return self._offset(first, start), self._offset(last, end)

    def from_body(self, offset: int) -> int:
        """Return the byte of the view that is read from this byte of the text, or the next one that is read."""
        number = max(0, bisect_right(self.body, (offset, 1 << 62)) - 1)
        start, end = self.body[number]
        size = self.at[number + 1] - self.at[number]
        if offset >= end:
            return self.at[number + 1]
        return self.at[number] + (offset - start) * size // max(1, end - start)

    def _segment(self, offset: int) -> int:
        return min(max(0, bisect_right(self.at, offset) - 1), len(self.body) - 1)

    def _offset(self, number: int, offset: int) -> int:
        start, end = self.body[number]
        size = self.at[number + 1] - self.at[number]
        # Inside of a run of escapes it is an estimate.
        return start + (offset - self.at[number]) * (end - start) // size if size else start


def readings(body: bytes, *, carriage_returns: bool = False) -> Iterator[View]:
    """Yield the readings of a text, those that are found most often first. Each is made when it is asked for.

    `carriage_returns`: the input has lines that end with them, which code may have taken away.
    """
    made: list[View] = []
    for view in _readings(body):
        made.append(view)
        yield view
    if carriage_returns:
        yield from filter(None, (_replaced(view, _line_ends(view.text)) for view in made))


def _readings(body: bytes) -> Iterator[View]:
    plain = View(body, [0, len(body)], [(0, len(body))])
    unescaped = _replaced(plain, _escapes(body)) if b"\\" in body else None
    if unescaped:
        yield unescaped
    yield plain
    for view in filter(None, (plain, unescaped)):
        for pieces in (_numbers(view.text), _quotations(view.text), _indentations(view.text)):
            read = _replaced(view, pieces)
            if read:
                yield read
    if unescaped and b"\\" in unescaped.text and (again := _replaced(unescaped, _escapes(unescaped.text))):
        # JSON inside of JSON.
        yield again


def _replaced(view: View, pieces: Iterator[Piece]) -> View | None:
    """Return a view with other bytes in the place of some; None when there are too few of them to matter."""
    made: list[bytes] = []
    at, body = [0], list[tuple[int, int]]()
    done = size = count = 0
    for start, end, instead in chain(pieces, [(len(view.text), len(view.text), b"")]):
        if start > done:
            for first, last in _parts(view, done, start):
                made.append(view.text[first:last])
                size += last - first
                at.append(size)
                body.append(view.to_body(first, last))
        if instead:
            made.append(instead)
            size += len(instead)
            at.append(size)
            body.append(view.to_body(start, end))
        done = end
        count += 1
    return View(b"".join(made), at, body) if count > _FEWEST else None


def _parts(view: View, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield a part of a view, cut where its segments begin."""
    number = bisect_right(view.at, start)
    while number < len(view.body) and view.at[number] < end:
        yield start, view.at[number]
        start = view.at[number]
        number += 1
    yield start, end


def _escapes(text: bytes) -> Iterator[Piece]:
    for found in _ESCAPE.finditer(text):
        escape = found.group()
        decoded = _DECODED.get(escape)
        if decoded is None:
            kind = escape[1:2]
            said = chr(int(escape[2:], 16)) if kind == b"x" else json.loads(b'"' + escape + b'"')
            decoded = said.encode("utf-8", "replace")
        yield found.start(), found.end(), decoded


def _line_ends(text: bytes) -> Iterator[Piece]:
    return ((found.start(), found.end(), b"\r\n") for found in _LINE_END.finditer(text))


def _numbers(text: bytes) -> Iterator[Piece]:
    found = list(_NUMBER.finditer(text))
    ends = [one.end() for one in found]
    # `12: text` has a blank that is not of the line, which `12:text` has not.
    spaced = all(text[end : end + 1] in (b" ", b"\n", b"\r", b"") for end in ends)
    for one in found:
        yield one.start(), one.end() + (spaced and text[one.end() : one.end() + 1] == b" "), b""


def _quotations(text: bytes) -> Iterator[Piece]:
    return ((found.start(), found.end(), b"") for found in _QUOTED.finditer(text))


def _indentations(text: bytes) -> Iterator[Piece]:
    for block in _INDENTED.finditer(text):
        indented = list(_INDENTATION.finditer(text, block.start(), block.end()))
        least = min(len(one.group(1)) for one in indented)
        yield from ((one.start(), one.start() + least, b"") for one in indented)
