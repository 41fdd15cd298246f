"""A single text as the input: a str that also has a name, metadata and places, and is in memory only once.

A str of another class is made by copying a str. A long one is made from an empty buffer of its length instead, which
takes no memory before it is written to, and is filled from the file. This relies on CPython's layout of str, which is
tested at import. Where the layout is another one, the text is in memory twice while it is read.
"""

import codecs
import ctypes
import sys
from typing import Any
from weakref import WeakValueDictionary

from .context import load_text
from .context_file import Pack, new_str
from .context_index import entry_of, notes_in, skipped_in
from .placed import Placed
from .source_code import SourceCode

_LONG = 16 << 20
"""Bytes from which a text should not be in memory twice while it is read."""
_PIECE = 32 << 10
_FORMS = (
    (0x7F, 1, "ascii"),
    (0xFF, 1, "latin-1"),
    (0xFFFF, 2, f"utf-16-{sys.byteorder[0]}e"),
    (0x10FFFF, 4, f"utf-32-{sys.byteorder[0]}e"),
)
"""The forms of a str in memory: the largest character, the bytes of a character, and the codec that writes it."""
_WIDEST, _WIDER = range(0xF0, 0xF5), range(0xC4, 0xF0)
"""First bytes in UTF-8 of the characters that need four bytes in memory, and of those that need two."""
_CONTINUED = bytes(range(0x80, 0xC0))
"""The bytes of characters in UTF-8 but for their first."""
_LOOKED_AT = 2_000
"""Pieces in which characters that need two bytes are searched for, before one byte is tried."""


class TextDocument(str, Placed, SourceCode):
    """The text of one document. It is a str, and has `.name`, `.meta` and places too (`placed.py`).

    What is cut from it or made of it is a plain str. Copies are the same object, as those of a str are.
    """

    __slots__ = ("__weakref__", "_end", "_index", "_line", "_pack", "_start", "meta", "name")

    _index: Pack | None
    _line: bytes
    _pack: Pack | None
    _start: int
    _end: int

    def __new__(cls, text: str = "", name: str = "") -> "TextDocument":
        """Make a text without places: `open_text` adds them."""
        made = super().__new__(cls, text)
        made.name, made.meta = name, {}
        made._pack = made._index = None
        made._line = b""
        made._start = made._end = 0
        return made

    @property
    def text(self) -> str:
        """The text itself."""
        return self

    def whole(self) -> str:
        """Return the text itself."""
        return self

    @property
    def skipped(self) -> list[dict[str, str]]:
        """The files of the input that gave no document, as `{"path", "reason"}`."""
        return skipped_in(self._index) if self._index else []

    @property
    def notes(self) -> list[str]:
        """Notes on the input: what the text does not show."""
        return notes_in(self._index) if self._index else []

    def stored(self) -> tuple[Pack, int, int]:
        """Return the pack and the range of it, in bytes, that is the text. Raises LookupError without one."""
        if self._pack is None:
            raise LookupError("this text was made from another one: it has no places")
        return self._pack, self._start, self._end

    def index_line(self) -> bytes:
        """Return the document's line of the index."""
        return self._line

    def __str__(self) -> str:
        return self  # str() of a long text would copy it

    def __copy__(self) -> "TextDocument":
        return self

    def __deepcopy__(self, _: Any) -> "TextDocument":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._pack is None:
            return TextDocument, (self[:], self.name)
        index = self._index.path if self._index else ""
        return _text_document, (self._pack.path, index, self._start, self._end, self.name, self.meta)

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return self.__reduce__()


_open: "WeakValueDictionary[tuple[str, str, int, int], TextDocument]" = WeakValueDictionary()
"""The texts in memory, so that what was pickled is not read a second time."""


def open_text(pack_path: str, index_path: str, start: int, end: int) -> str:
    """Read the bytes from `start` to `end` of the pack as the only document of the index.

    Its name is empty when there is no index (an empty path), or no document in it. It is a plain str when there is not
    enough memory to make more of it. Raises OSError, UnicodeDecodeError, ValueError.
    """
    pack, index = Pack.open(pack_path), Pack.open(index_path) if index_path else None
    line = index.read(0, index.size).partition(b"\n")[0] if index else b""
    entry: dict[str, Any] = entry_of(line) if line else {"name": "", "meta": {}}
    try:
        if end - start > _LONG and _KNOWN:
            made = _filled(pack, start, end, entry["chars"] if line else _length(pack, start, end))
        else:
            made = TextDocument(load_text(pack_path, start, end))
    except MemoryError:
        return load_text(pack_path, start, end)
    made.name, made.meta = entry["name"], entry["meta"]
    made._pack, made._index, made._line, made._start, made._end = pack, index, line, start, end
    _open[pack.path, index.path if index else "", start, end] = made
    return made


def _length(pack: Pack, start: int, end: int) -> int:
    """Return the number of characters of a range of the pack."""
    pieces = (pack.read(first, min(first + _PIECE, end)) for first in range(start, end, _PIECE))
    return sum(len(piece.translate(None, _CONTINUED)) for piece in pieces)


def _text_document(pack_path: str, index_path: str, start: int, end: int, name: str, meta: dict[str, Any]) -> str:
    index = Pack.open(index_path).path if index_path else ""
    known = _open.get((Pack.open(pack_path).path, index, start, end))
    if known is not None and (known.name, known.meta) == (name, meta):
        return known
    made = open_text(pack_path, index_path, start, end)
    if isinstance(made, TextDocument):
        made.name, made.meta = name, meta
    return made


def _filled(pack: Pack, start: int, end: int, chars: int) -> TextDocument:
    """Read a range of the pack, so many characters, into a text of that length.

    Raises OSError, UnicodeDecodeError, and ValueError when there are more or fewer.
    """
    form = _form_of(pack, start, end)
    try:
        return _written(pack, start, end, chars, _FORMS[form])
    except UnicodeEncodeError:  # a character that needs two bytes, behind the pieces that were looked at
        return _written(pack, start, end, chars, _FORMS[form + 1])


def _written(pack: Pack, start: int, end: int, chars: int, form: tuple[int, int, str]) -> TextDocument:
    largest, width, codec = form
    made = TextDocument(new_str(chars, largest))
    room = memoryview((ctypes.c_char * (chars * width)).from_address(_address(made))).cast("B")
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    for first in range(start, end, _PIECE):
        last = min(first + _PIECE, end)
        data = pack.read(first, last)
        if largest > 0x7F:
            data = decoder.decode(data, last == end).encode(codec)
        room[at : at + len(data)] = data  # raises ValueError if it does not fit
        at += len(data)
    if at != len(room):
        raise ValueError("the text is shorter than its index says")
    return made


def _form_of(pack: Pack, start: int, end: int) -> int:
    """Return the form of a range of the pack. It is the next one if a character at the end needs two bytes."""
    form = looked = 0
    for first in range(start, end, _PIECE):
        data = pack.read(first, min(first + _PIECE, end))
        if data.isascii():
            continue
        if any(byte in data for byte in _WIDEST):
            return 3
        form = form or 1
        if form == 1 and looked < _LOOKED_AT:
            looked += 1
            form += any(byte in data for byte in _WIDER)
    return form


def _address(text: TextDocument) -> int:
    """Return the address of the characters of a str that is not of the class str: the last field of its struct."""
    field = id(text) + str.__basicsize__ - ctypes.sizeof(ctypes.c_void_p)
    return ctypes.c_void_p.from_address(field).value or 0


def _is_known() -> bool:
    """Return whether str has the expected layout, tested with one of each form."""
    if sys.implementation.name != "cpython":
        return False
    for text, (_, _, codec) in zip(("ab", "aé", "a日", "a𝄞"), _FORMS, strict=True):
        there = TextDocument(text)
        wanted = text.encode(codec)
        address = _address(there)
        if not address or ctypes.string_at(address, len(wanted)) != wanted:
            return False
    return True


_KNOWN = _is_known()
