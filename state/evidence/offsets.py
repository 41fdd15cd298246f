"""Converts offsets in characters, which kernels count, into bytes of the pack.

The characters of a document are counted in blocks once. A process keeps the counts of the documents asked for last.
"""

import os
from collections import OrderedDict
from threading import Lock

_BLOCK = 16 << 10
_READ = 4 << 20
_MOST_DOCUMENTS = 64
_counted: "OrderedDict[tuple[str, int, int], list[int]]" = OrderedDict()
_lock = Lock()


def byte_at(path: str, descriptor: int, start: int, end: int, char: int) -> int:
    """Return the byte at which the character number `char` of the text from byte `start` to `end` begins.

    It is `end` for characters beyond the text.
    """
    counts = _counts(path, descriptor, start, end)
    if char >= counts[-1]:
        return end
    if counts[-1] == end - start:
        return start + max(0, char)
    low, high = 0, len(counts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if counts[middle] <= char:
            low = middle
        else:
            high = middle - 1
    at = start + low * _BLOCK
    block = os.pread(descriptor, min(_BLOCK, end - at), at)
    left = char - counts[low]
    # The block may begin inside of a character, which was counted before.
    begun = 0
    while begun < len(block) and block[begun] & 0xC0 == 0x80:
        begun += 1
    return at + begun + len(block[begun:].decode("utf-8", "ignore")[:left].encode())


def _counts(path: str, descriptor: int, start: int, end: int) -> list[int]:
    """Return how many characters begin before each block of a text, and in all of it."""
    key = path, start, end
    with _lock:
        known = _counted.get(key)
        if known is not None:
            _counted.move_to_end(key)
            return known
    counts = [0]
    for first in range(start, end, _READ):
        data = os.pread(descriptor, min(_READ, end - first), first)
        ascii_only = data.isascii()
        for at in range(0, len(data), _BLOCK):
            block = data[at : at + _BLOCK]
            counts.append(counts[-1] + (len(block) if ascii_only else _begun(block)))
    with _lock:
        _counted[key] = counts
        if len(_counted) > _MOST_DOCUMENTS:
            _counted.popitem(last=False)
    return counts


def _begun(block: bytes) -> int:
    """Return how many characters begin in a block."""
    return len(block) - len(block.translate(None, _BEGINNINGS))


_BEGINNINGS = bytes(byte for byte in range(256) if byte & 0xC0 != 0x80)
