"""pypdf as the second reader of single pages: slow, but it says what is wrong with a page, and knows right-to-left."""

import io
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

from .streams import DAMAGED, filters_of, inflate, unpack
from .text import clean

# pypdf reports every oddity of a file; without a handler those lines would appear in the progress display.
logging.getLogger("pypdf").addHandler(logging.NullHandler())
logging.getLogger("fontTools").addHandler(logging.NullHandler())

_SECONDS = 15.0
"""CPU time for all pages of a file."""
_LARGEST_CONTENT = 1 << 20
"""Bytes of a page's content: pypdf takes a second for one of this size."""
_DEEPEST = 50
_BRACKETS = re.compile(rb"<<|>>")


class NotTried(Exception):
    """The second reader was not used: no time left, a page that is too long, a file that it cannot open."""


class SecondReader:
    """A file as pypdf reads it, opened when it is first needed."""

    def __init__(self, data: bytes) -> None:
        """Keep the bytes of a file that is not encrypted."""
        self._data = data
        self._reader: Any = None
        self._failed = ""
        self._spent = 0.0

    @property
    def reader(self) -> Any:
        """The PdfReader. Raises NotTried."""
        if self._failed:
            raise NotTried(self._failed)
        if self._reader is None:
            from pypdf import PdfReader

            try:
                reader = PdfReader(io.BytesIO(self._data))
                _ = len(reader.pages)
            except Exception as error:  # a damaged file may make it raise anything
                self._failed = in_short(error)
                raise NotTried(self._failed) from error
            self._reader = reader
        return self._reader

    @property
    def pages(self) -> int:
        """The number of pages; 0 if it cannot open the file."""
        try:
            return len(self.reader.pages)
        except NotTried:
            return 0

    def text(self, number: int) -> str:
        """Return the cleaned text of page `number`, from 0. Raises NotTried, and anything for a damaged page."""
        page = self._page(number)
        _check_size(self.content(number)[0])
        return self._timed_text(page)

    def text_before_fault(self, number: int) -> str:
        """Return the cleaned text of what unpacks of a page's damaged content. Raises NotTried."""
        from pypdf.generic import DecodedStreamObject, NameObject

        content = self.content(number)[0][:_LARGEST_CONTENT]
        _check_size(content)
        page = self._page(number)
        # The last operator may be cut; the text up to a whole one is what can be read.
        for end in (len(content), *_ends(content)):
            stream = DecodedStreamObject()
            stream.set_data(content[:end] + b"\n")
            page[NameObject("/Contents")] = stream
            try:
                return self._timed_text(page)
            except NotTried:
                raise
            except Exception:  # the next shorter beginning
                continue
        return ""

    def objects(self, number: int) -> list[int]:
        """Return the numbers of the objects that a page's content is in. Raises NotTried."""
        return [one for one, _ in self._streams(number)]

    def content(self, number: int) -> tuple[bytes, str]:
        """Return a page's content, as far as it unpacks, and DAMAGED if it does not to its end. Raises NotTried."""
        pieces: list[bytes] = []
        flaw = ""
        for _, stream in self._streams(number):
            data, damage = _unpacked(stream)
            pieces.append(data)
            flaw = flaw or damage
        return b"\n".join(pieces), flaw

    def fault(self, number: int) -> str:
        """Return what is wrong with the operators in object `number`; an empty text for nothing. Raises NotTried."""
        from pypdf.generic import ContentStream

        self._check_time()
        try:
            stream = self.reader.get_object(number)
            _check_size(_unpacked(stream)[0])
            _ = ContentStream(stream, self.reader).operations
        except NotTried:
            raise
        except Exception as error:  # what is in it decides how it fails
            return in_short(error)
        return ""

    def _check_time(self) -> None:
        if self._spent > _SECONDS:
            raise NotTried("no time left")

    def _timed_text(self, page: Any) -> str:
        self._check_time()
        started = time.process_time()
        try:
            return clean(page.extract_text())
        finally:
            self._spent += time.process_time() - started

    def _page(self, number: int) -> Any:
        pages = self.reader.pages
        if number >= len(pages):
            raise NotTried("no such page")
        return pages[number]

    def _streams(self, number: int) -> Iterator[tuple[int, Any]]:
        from pypdf.generic import ArrayObject, IndirectObject, StreamObject

        page = self._page(number)
        try:
            contents = page.raw_get("/Contents")
        except KeyError:
            return
        found = contents.get_object() if isinstance(contents, IndirectObject) else contents
        for one in found[:10_000] if isinstance(found, ArrayObject) else [contents]:
            stream = one.get_object() if isinstance(one, IndirectObject) else one
            if isinstance(stream, StreamObject):
                yield (one.idnum if isinstance(one, IndirectObject) else 0), stream


def _check_size(content: bytes) -> None:
    """Raise NotTried for a content that takes pypdf long: it reads dictionaries in each other in quadratic time."""
    if len(content) > _LARGEST_CONTENT:
        raise NotTried("too long")
    depth = 0
    for mark in _BRACKETS.finditer(content):
        depth += 1 if mark[0] == b"<<" else -1
        if depth > _DEEPEST:
            raise NotTried("too deep")


def _unpacked(stream: Any) -> tuple[bytes, str]:
    raw: bytes = stream._data
    names = stream.get("/Filter", [])
    names = [str(one) for one in (names if isinstance(names, list) else [names])]
    if "/DecodeParms" in stream:
        names = ["/?"]
    unpacked = unpack(raw, filters_of(b"/Filter[" + " ".join(names).encode("latin-1", "replace") + b"]"))
    if unpacked.known:
        return unpacked.data, unpacked.flaw
    try:
        return bytes(stream.get_data()), ""
    except Exception:  # what is in it decides how it fails
        return inflate(raw)[0], DAMAGED


def _ends(content: bytes) -> Iterator[int]:
    """Yield the ends of the last whole operators that show text, the last first."""
    end = len(content)
    for _ in range(3):
        end = max(content.rfind(b"Tj", 0, end), content.rfind(b"TJ", 0, end), content.rfind(b"ET", 0, end))
        if end < 0:
            return
        yield end + 2


def in_short(error: BaseException) -> str:
    """Return what an exception says, in one short line."""
    text = " ".join(str(error).split()).partition(" @")[0]
    return (text[:80] + "…" if len(text) > 80 else text).rstrip(".") or type(error).__name__
