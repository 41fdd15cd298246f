"""The texts that code cut from documents lately.

Each is noted with some characters from its middle, for which `cuts_in_prompts.py` searches the prompts of calls. What
is found is sent with the call: the host finds most passages by itself, but not which one of several equal documents a
passage was cut from, and no short lines. The host compares all of it with the stored input, so a wrong note claims
nothing that is not there.

The notes are of the process, not variables: no snapshot has them. There is room for the latest ones only.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from threading import get_ident
from typing import Any, NamedTuple

Hint = tuple[str, int, int]
"""A document's name, and the beginning and the end of a part of it in characters."""
_KEPT = 1 << 15
"""About 12 MB."""
_MIDDLE = 96
"""Characters kept of the middle of a text."""
_MIDDLE_OF_RECORD = 256
"""Those of the middle of a line of JSON, of which escapes are a part."""
_STRIPPED = 64
"""Characters of white space at the ends of a document, at most."""
WHOLE, CELLS, RECORD = "whole", "cells", "record"
"""Forms of a cut: a whole document, the cells of a row joined by line ends, a line of JSON."""


class Cut(NamedTuple):
    """A text that was cut from a document. It keeps no document and no file open."""

    number: int
    thread: int
    path: str
    """The pack's path."""
    part: tuple[int, int]
    """The range of the pack, in bytes, that is the document."""
    name: str
    first: int
    end: int
    """Its characters; or its lines, negative, of which the second is included."""
    middle: str
    form: str = ""
    """`WHOLE`, `CELLS`, `RECORD`, or nothing for any other part."""

    @property
    def whole(self) -> bool:
        """True when it is the whole document."""
        return self.form == WHOLE

    @property
    def least(self) -> int:
        """The least characters of a prompt in which it is: a document that was read whole is not in a prompt by half.

        Code may have taken away white space at its ends.
        """
        return self.end - self.first - _STRIPPED if self.whole else 0


_cuts: "deque[tuple[Any, ...]]" = deque(maxlen=_KEPT)
"""The fields of the latest cuts: making a Cut of each would take twice the time."""
_add = _cuts.append
_numbers = count(1)


def note(document: Any, start: int, end: int, text: str, form: str = "") -> None:
    """Note that `text` was cut from a document: its characters from `start` to `end`."""
    try:
        path, part, name, before, chars = document.cut_from()
    except LookupError:
        return  # a text of no input
    if len(text) > _MIDDLE:
        middle = len(text) // 2
        text = text[middle - _MIDDLE // 2 : middle + _MIDDLE // 2]
    if end - start == chars:
        form = WHOLE
    _add((next(_numbers), get_ident(), path, part, name, start + before, end + before, text, form))


def note_lines(document: Any, first: int, last: int, text: str) -> None:
    """Note that the lines `first` to `last` were cut, from 1; where they begin is found when it is asked for."""
    note(document, -first, -last, text)


def noted_rows(document: Any, rows: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of a document, each of which is noted: code asks for the cells, and joins them as it likes."""
    note_row = _noter(document, CELLS, _MIDDLE)
    for row in rows:
        note_row(row.start, row.end, "\n".join(row))
        yield row


def noted_records(document: Any, lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a document, each of which is noted as a record in JSON."""
    note_record = _noter(document, RECORD, _MIDDLE_OF_RECORD)
    at = 0
    for line in lines:
        start, at = at, at + len(line)
        note_record(start, at, line)
        yield line


def _noter(document: Any, form: str, size: int) -> Callable[[int, int, str], None]:
    """Return a function that notes parts of one document, as `note` does, in half of its time."""
    try:
        path, part, name, before, _ = document.cut_from()
    except LookupError:
        return lambda start, end, text: None
    half = size // 2

    def added(start: int, end: int, text: str) -> None:
        if len(text) > size:
            middle = len(text) // 2
            text = text[middle - half : middle + half]
        _add((next(_numbers), get_ident(), path, part, name, start + before, end + before, text, form))

    return added


def latest() -> int:
    """Return the number of the last note, behind which `noted_since` begins."""
    try:
        return _cuts[-1][0]
    except IndexError:
        return 0


def noted_since(number: int, path: str, thread: int, most: int) -> list[Cut]:
    """Return the cuts from a pack after the note with this number, in order: of this thread, or of all without any."""
    try:
        notes = _after(number, path, most, reversed(_cuts))
    except RuntimeError:
        # Another thread has added one meanwhile. A copy takes longer, and no other thread runs.
        notes = _after(number, path, most, reversed(list(_cuts)))
    own = [one for one in notes if one.thread == thread] or notes
    return own[::-1]


def _after(number: int, path: str, most: int, latest_first: Iterator[tuple[Any, ...]]) -> list[Cut]:
    notes: list[Cut] = []
    for one in map(Cut._make, latest_first):
        if one.number <= number or len(notes) == most:
            break
        if one.path == path:
            notes.append(one)
    return notes
