"""A file of many texts, one after the other, read in ranges.

A long text read into memory once.

To decode a file takes the file beside the text: for a while, 1 GB takes 2. Where all of it is ASCII, bytes are
characters, and a str can be read into as a buffer, before anybody has it. That is CPython's layout, which is tried
out when this is imported; wherever it is another, or the text is not ASCII, there is the other way.
"""

import ctypes
import os
import sys
from collections import OrderedDict
from threading import Lock
from typing import ClassVar
from weakref import WeakValueDictionary

_KEPT = 32 << 20
"""Bytes of texts kept at hand; the last one is kept whatever its size, for code that works on it in a loop."""


class Pack:
    """One open file. It never changes, so readers in all threads share it; open it with `Pack.open`."""

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
        """The pack at `path`, opened once. Raises OSError.

        A variable restored from a snapshot names the place where the pack was then. When it has moved, the
        pack of the same name (blobs are named by their hash) that is open here is the one meant.
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
        """Say which open file is at `path`: a confined kernel is handed its input, and has no view of where it lies."""
        cls._given[path] = descriptor

    @property
    def name(self) -> str:
        """What it is called wherever it lies: the last two parts of its path are a blob's hash."""
        return _name(self.path)

    def read(self, start: int, end: int) -> bytes:
        """The bytes of a range. Raises ValueError outside the file, OSError when it was cut short since."""
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"the range {start}-{end} lies outside the pack")
        parts: list[bytes] = []
        while start < end:
            # Linux gives at most 2 GiB at once.
            part = os.pread(self._descriptor, min(end - start, 1 << 30), start)
            if not part:
                raise OSError(f"the stored input {self.path} was cut short")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def text(self, start: int, end: int) -> str:
        """The text of a range, which must begin and end between characters."""
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
        """The range that this very object was read from, if it was so lately."""
        with self._lock:
            return next((place for place, known in self._recent.items() if known is text), None)

    def __del__(self) -> None:
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)


def open_descriptor(path: str) -> int:
    """A descriptor of the caller's own for what was given under this path, or lies there. Raises OSError."""
    given = Pack._given.get(path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if given is None else os.dup(given)


def _name(path: str) -> str:
    """The last two parts of the path: together they are a blob's hash."""
    return "/".join(path.rsplit("/", 2)[-2:])


_PIECE = 4 << 20
_HEADER = sys.getsizeof("") - 1
"""Bytes of an ASCII str before its characters, which a NUL follows."""


def read_ascii(descriptor: int, start: int, end: int) -> "str | None":
    """The bytes of a file from `start` to `end` as a str, all of them being ASCII; else None. Raises OSError."""
    return _read(descriptor, start, end) if _KNOWN else None


def _read(descriptor: int, start: int, end: int) -> "str | None":
    text = _new_str(end - start, 127)
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
    """Whether a str is laid out as it is here. What is read is whatever this file begins with."""
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


_new_str = ctypes.pythonapi.PyUnicode_New
_new_str.restype, _new_str.argtypes = ctypes.py_object, (ctypes.c_ssize_t, ctypes.c_uint32)
_KNOWN = _is_known()
