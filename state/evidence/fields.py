"""Finds the fields of a row or of a record in a text that was made from them in another form: JSON, tabs, words.

The longest field is searched for first; the others must follow each other on both of its sides, close together and
each word for word. What stands between them (delimiters, keys, quotation marks) may differ.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_LEAST = 16
"""Bytes of a field by which a row is recognized."""
_GAP = 80
"""Bytes between two fields in a text, at most."""
_MOST_FIELDS = 500
_LONGEST = 64 << 10
_MOST_OCCURRENCES = 8
_FREE_WORK, _WORK_A_BYTE = 64 << 20, 64
"""Bytes that are searched in a text at most: so many, and so many times its own."""
_JSON = re.compile(rb'"((?:[^"\\]|\\.)*+)"|[^\s"{}\[\]:,]++')
_CELLS = re.compile(rb'"((?:[^"]|"")*+)"(?=[,;|\t\r\n]|\Z)|[^,;|\t\r\n]++')
# A comma with a blank behind it is rather one of a sentence.
_CELLS_OF_ANY_TEXT = re.compile(rb'"((?:[^"]|"")*+)"(?=[,;|\t\r\n]|\Z)|(?:[^,;|\t\r\n]++|[,;|](?= ))+')


class Field(NamedTuple):
    """A field: where it stands in a part of the input, and what it says."""

    start: int
    end: int
    said: bytes


class Found(NamedTuple):
    """Fields that follow each other: their part of a text, and that of the input."""

    start: int
    end: int
    first: int
    last: int


def fields_of(cut: bytes, *, table: bool) -> list[Field]:
    """Return the fields of rows or of lines of JSON. `table`: each comma divides. A text without any is one field."""
    if len(cut) > _LONGEST:
        return []
    is_json = cut.lstrip()[:1] in (b"{", b"[")
    pattern = _JSON if is_json else _CELLS if table else _CELLS_OF_ANY_TEXT
    found: list[Field] = []
    for one in pattern.finditer(cut):
        quoted = one.group(1)
        if quoted is None:
            start, end = one.span()
            said = one.group()
        else:
            start, end = one.span(1)
            said = _parsed(quoted) if is_json else quoted.replace(b'""', b'"')
        if said.strip():
            found.append(Field(start, end, said))
        if len(found) == _MOST_FIELDS:
            break
    return found if len(found) > 1 else []


def _parsed(said: bytes) -> bytes:
    if b"\\" not in said:
        return said
    try:
        return json.loads(b'"' + said + b'"', strict=False).encode("utf-8", "replace")
    except ValueError:
        return said


class TextSearch:
    """A search for many pieces in one text, in about their order in it. Its work is bounded."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._left = _FREE_WORK + _WORK_A_BYTE * len(text)
        self._at = 0

    def occurrences(self, said: bytes) -> Iterator[int]:
        """Yield where a piece stands in the text, a few times at most: first behind the piece found last."""
        behind = self._at
        found = 0
        for first, last in ((behind, len(self._text)), (0, min(len(self._text), behind + len(said) - 1))):
            at = first
            while self._left > 0 and found < _MOST_OCCURRENCES:
                place = self._text.find(said, at, last)
                self._left -= (place if place >= 0 else last) - at + len(said)
                if place < 0:
                    break
                found += 1
                self._at = place
                yield place
                at = place + len(said)

    def fields(self, fields: list[Field]) -> Iterator[Found]:
        """Yield where fields stand in the text, in the order in which they stand in the input."""
        todo = [fields]
        while todo:
            some = todo.pop()
            number = max(range(len(some)), key=lambda at: len(some[at].said), default=-1)
            if number < 0 or len(some[number].said) < _LEAST or self._left <= 0:
                continue
            first, last = number, number
            for at in self.occurrences(some[number].said):
                one = self._around(some, number, at)
                first, last = min(first, one[0]), max(last, one[1])
                yield one[2]
            todo += [some[:first], some[last + 1 :]]

    def _around(self, fields: list[Field], number: int, at: int) -> tuple[int, int, Found]:
        """Return the first and the last of the fields around one that stands at `at`, and where they stand."""
        start, end = at, at + len(fields[number].said)
        last = number
        while last + 1 < len(fields) and (place := self._near(fields[last + 1].said, end, forward=True)) >= 0:
            last += 1
            end = place + len(fields[last].said)
        first = number
        while first and (place := self._near(fields[first - 1].said, start, forward=False)) >= 0:
            first -= 1
            start = place
        return first, last, Found(start, end, fields[first].start, fields[last].end)

    def _near(self, said: bytes, at: int, *, forward: bool) -> int:
        if forward:
            place = self._text.find(said, at, at + _GAP + len(said))
        else:
            place = self._text.rfind(said, max(0, at - _GAP - len(said)), at)
        if place < 0 or len(said) >= _LEAST:
            return place
        # A short one may be a part of a word.
        sides = self._text[max(0, place - 1) : place] + said[:1], said[-1:] + self._text[place + len(said) :][:1]
        return -1 if any(len(side) == 2 and side.isalnum() for side in sides) else place
