"""Lines of a stored document, read in bounded pieces, whatever the length of the document and of its lines."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...kernel.inside.context import Document
from ...kernel.inside.context_file import Pack
from ...kernel.inside.line_index import LineIndex, keep_line_index

MOST_OF_A_LINE = 6_000
"""Bytes of a line that are read."""
_PIECE = 1 << 20
_AROUND = 80
"""Characters that are read before and after words that are found."""
_ENDS = (b"\n", b"\r\n", b"\r")
_BLANKS = "\t\n\r\v\f\u00a0"


class TextLine(NamedTuple):
    """A line of a document, or its beginning."""

    number: int
    start: int
    """The byte of the pack at which it begins."""
    end: int
    """The byte at which the next one begins."""
    char: int
    """The character of the document at which it begins."""
    text: str
    """Its text without the line end, as far as it was read."""
    more: int
    """The bytes behind that."""


class CountedLines:
    """A document with the index of its lines, which may still be made."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.pack, self.start, self.end = document.stored()
        self.whole = False
        """True when all lines are counted."""
        self._index: LineIndex | None = None
        self._has_places = document.index_line().partition(b"\t")[2] not in (b"", b"{}")

    def count(self, go_on: Callable[[], None]) -> None:
        """Make the index: call it in a thread. `go_on` is called now and then, and may raise. Raises OSError."""

        def counted(index: LineIndex) -> None:
            self._index = index
            go_on()

        self._index = LineIndex(self.pack, self.start, self.end, counted)
        keep_line_index(self.pack, self.start, self.end, self._index)
        self.whole = True

    def place_of(self, char: int) -> str:
        """Return the place of a character in words, `page 7`; empty where its reader marked none, or none is known yet.

        Lines are no such places.
        """
        # Rows of sheets are counted by lines.
        if not self._has_places or not self.whole:
            return ""
        try:
            place = self.document.place_of(char)
        except LookupError:
            return ""
        return "" if place.startswith("line ") else place

    @property
    def lines(self) -> int:
        """The number of lines; until all are counted, of those that are."""
        return (self._index.count or self._index.ended) if self._index else 0

    @property
    def share(self) -> float:
        """The share of the text that is counted."""
        return 1.0 if self.whole else self._index.reached / (self.end - self.start) if self._index else 0.0

    def read(self, first: int, most: int) -> Iterator[TextLine]:
        """Yield lines from `first` on, at most so many, as far as they are counted. Raises OSError."""
        index, lines = self._index, self.lines
        if index is None or not 1 <= first <= lines:
            return
        at = index.start_of(self.pack, first)
        char = index.char_at(self.pack, at)
        for number in range(first, min(first + most, lines + 1)):
            head = self.pack.read(at, min(self.end, at + MOST_OF_A_LINE))
            cut = head.find(index.mark)
            if cut < 0 and at + len(head) < self.end:
                body = whole_characters(head)
                # The start of the next line is counted, because that many lines are.
                end = self.end if number == index.count else index.start_of(self.pack, number + 1)
                following = index.char_at(self.pack, end)
                text = body.decode("utf-8", "replace")
                rest = self.pack.read(at + len(body), min(end, at + len(body) + 3))
                more = 0 if rest in _ENDS else end - at - len(body)
                if rest == b"\n":
                    text = text.removesuffix("\r")
            else:
                body = head if cut < 0 else head[:cut]
                end = at + len(body) + (cut >= 0)
                text = body.decode("utf-8", "replace")
                following = char + len(text) + (cut >= 0)
                text, more = text.removesuffix("\r"), 0
            yield TextLine(number, at, end, char, text, more)
            at, char = end, following

    def line_of(self, at: int) -> int | None:
        """Return the line in which a byte of the pack is; None while that is not counted."""
        if self._index is None or not self._is_counted(at):
            return None
        return min(self._index.line_at_byte(self.pack, at), max(1, self.lines))

    def byte_of(self, char: int) -> int | None:
        """Return the byte of the pack at which a character begins; None while that is not counted."""
        chars = len(self.document)
        if char >= chars:
            return self.end
        if self.end - self.start == chars:
            return self.start + char
        at = self._index.byte_at(self.pack, char) if self._index else self.end
        return at if self._is_counted(at) else None

    def _is_counted(self, at: int) -> bool:
        return self.whole or (self._index is not None and at < self.start + self._index.reached)


def whole_characters(data: bytes) -> bytes:
    """Return bytes without a character at their end that is cut."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if size > back else data
    return data


class Found(NamedTuple):
    """A place at which words stand."""

    start: int
    end: int
    """Bytes of the pack."""
    before: str
    words: str
    after: str
    """The words as they stand there, and a little of the text around them."""


def find_words(pack: Pack, start: int, end: int, words: str, reached: Callable[[int], None]) -> Iterator[Found]:
    """Yield the places between two bytes of a pack at which words stand, in upper or lower case.

    Any white space in the words stands for one character of white space. `reached` is called with the byte up to which
    all is searched, now and then, and may raise. Time is in proportion to the text, memory is some megabytes. Raises
    OSError.
    """
    wanted = _plain(" ".join(words.split()))
    longest = 4 * len(wanted) + 8 * _AROUND
    at = start
    while at < end and wanted:
        data = pack.read(at, min(end, at + _PIECE + longest))
        last = at + len(data) == end
        data = data if last else whole_characters(data)
        text = data.decode("utf-8", "replace")
        # Those that begin in the overlap are found with the next piece.
        here = len(text) if last else len(whole_characters(data[:_PIECE]).decode("utf-8", "replace"))
        yield from _found(text, wanted, here, at)
        at = end if last else at + len(whole_characters(data[:_PIECE]))
        reached(at)


def places_of_words(text: str, words: str) -> Iterator[tuple[int, int]]:
    """Yield the beginnings and ends, in characters, of the places of a text at which `find_words` finds words."""
    plain, wanted = _plain(text), _plain(" ".join(words.split()))
    at = plain.find(wanted) if wanted else -1
    while at >= 0:
        yield at, at + len(wanted)
        at = plain.find(wanted, at + len(wanted))


def _found(text: str, wanted: str, until: int, base: int) -> Iterator[Found]:
    plain = _plain(text)
    ascii_only = text.isascii()
    at, counted, byte = plain.find(wanted), 0, base
    while 0 <= at < until:
        behind = at + len(wanted)
        byte += at - counted if ascii_only else len(text[counted:at].encode())
        counted = at
        size = len(text[at:behind].encode())
        before = text[max(0, at - _AROUND) : at]
        yield Found(byte, byte + size, before, text[at:behind], text[behind : behind + _AROUND])
        at = plain.find(wanted, behind)


def _plain(text: str) -> str:
    """Return a text for comparison, with as many characters: in lower case, all white space as blanks."""
    # The only character whose lower case has another length; and a sigma that depends on what follows.
    text = text.replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")
    # Far faster than `translate`.
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    return text
