"""A long text read into memory once.

To decode a file takes the file beside the text: for a while, 1 GB takes 2. Where all of it is ASCII, bytes are
characters, and a str can be read into as a buffer, before anybody has it. That is CPython's layout, which is tried
out when this is imported; wherever it is another, or the text is not ASCII, there is the other way.
"""

import ctypes
import os
import sys

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
