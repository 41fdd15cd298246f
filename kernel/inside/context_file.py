"""A file of many texts, one after the other, read in ranges; long texts are in memory only once while they are read.

Decoding a file needs its bytes beside the text: 1 GB takes 2 GB for a while. Where all bytes are ASCII, they are the
characters, and a new str can be filled as a buffer before any other code has it. This relies on CPython's layout of
str, which is tested at import. Where the layout is another one or the text is not ASCII, the bytes are decoded.
"""

import ctypes
import os
import sys
from collections import OrderedDict
from threading import Lock
from typing import ClassVar
from weakref import WeakValueDictionary

_KEPT = 32 << 20
"""Bytes of texts kept in memory. The last one is kept whatever its size, for code that works on it in a loop."""


class Pack:
    """One open file, made by `Pack.open`. It never changes, so readers in all threads share it."""

    _open: ClassVar["WeakValueDictionary[str, Pack]"] = WeakValueDictionary()
    _places: ClassVar[dict[str, str]] = {}
    _given: ClassVar[dict[str, int]] = {}

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = open_descriptor(path)
        self.size = os.fstat(self._descriptor).st_size
        self._lock = Lock()
        self._recent: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._recent_size = 0

    @classmethod
    def open(cls, path: str) -> "Pack":
        """Return the pack at `path`, which is opened once. Raises OSError.

        A variable restored from a snapshot has the path that the pack had when it was saved. When the pack has moved,
        the open pack of the same name (blobs are named by their hash) is returned.
        """
        here = path in cls._given or os.path.exists(path)  # noqa: PTH110
        place = path if here else cls._places.get(_name(path), path)
        pack = cls._open.get(place)
        if pack is None:
            pack = cls._open[place] = cls(place)
            cls._places[_name(place)] = place
        return pack

    @classmethod
    def give(cls, path: str, descriptor: int) -> None:
        """Register the file at `path`: a confined kernel gets its input open and cannot open the path."""
        cls._given[path] = descriptor

    @property
    def name(self) -> str:
        """The name of the pack in any folder: the last two parts of its path, which are a blob's hash."""
        return _name(self.path)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes of a range. Raises ValueError outside of the file, OSError when it has been truncated."""
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"the range {start}-{end} lies outside the pack")
        parts: list[bytes] = []
        while start < end:
            # Linux reads at most 2 GiB at once.
            part = os.pread(self._descriptor, min(end - start, 1 << 30), start)
            if not part:
                raise OSError(f"the stored input {self.path} was cut short")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def text(self, start: int, end: int) -> str:
        """Return the text of a range, which must begin and end between characters."""
        with self._lock:
            known = self._recent.get((start, end))
            if known is not None:
                self._recent.move_to_end((start, end))
                return known
        text = self.read(start, end).decode()
        with self._lock:
            if (start, end) not in self._recent:
                self._recent[start, end] = text
                self._recent_size += end - start
            while self._recent_size > _KEPT and len(self._recent) > 1:
                (first, last), _ = self._recent.popitem(last=False)
                self._recent_size -= last - first
        return text

    def place(self, text: str) -> "tuple[int, int] | None":
        """Return the range from which this very object was recently read, or None."""
        with self._lock:
            return next((place for place, known in self._recent.items() if known is text), None)

    def __del__(self) -> None:
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)


def open_descriptor(path: str) -> int:
    """Return a new descriptor for the file registered under `path`, or else for the one at it. Raises OSError."""
    given = Pack._given.get(path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if given is None else os.dup(given)


def _name(path: str) -> str:
    """Return the last two parts of the path: together they are a blob's hash."""
    return "/".join(path.rsplit("/", 2)[-2:])


_PIECE = 4 << 20
_HEADER = sys.getsizeof("") - 1
"""Bytes of an ASCII str before its characters. A NUL follows the characters."""


def read_ascii(descriptor: int, start: int, end: int) -> "str | None":
    """Read the bytes of a file from `start` to `end` as a str.

    Return None when they are not all ASCII, or when str has another layout. Raises OSError.
    """
    return _read(descriptor, start, end) if _KNOWN else None


def _read(descriptor: int, start: int, end: int) -> "str | None":
    text = new_str(end - start, 127)
    room = memoryview((ctypes.c_char * (end - start)).from_address(id(text) + _HEADER)).cast("B")
    at = 0
    while at < len(room):
        read = os.preadv(descriptor, [room[at : at + _PIECE]], start + at)
        if not read:
            raise OSError("the stored input was cut short")
        if not bytes(room[at : at + read]).isascii():
            return None
        at += read
    return text


def _is_known() -> bool:
    """Return whether a str has the expected layout, tested with the first bytes of this file, which are ASCII."""
    if sys.implementation.name != "cpython":
        return False
    descriptor = os.open(__file__, os.O_RDONLY)
    try:
        there = os.pread(descriptor, 64, 0)
        return _read(descriptor, 0, len(there)) == there.decode()
    except OSError:
        return False
    finally:
        os.close(descriptor)


new_str = ctypes.pythonapi.PyUnicode_New
"""Returns a new str of a length whose characters are not set, given the largest one that it may have."""
new_str.restype, new_str.argtypes = ctypes.py_object, (ctypes.c_ssize_t, ctypes.c_uint32)
_KNOWN = _is_known()
