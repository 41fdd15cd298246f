"""Counts the bytes of an input that will be read, so that too many are refused before any of them is."""

import os
from contextlib import suppress
from heapq import heappop, heappush

from . import encoding
from .formats import format_of
from .source import Check

_OFTEN = 1000


class ReadableBytes:
    """The sum of the sizes of files, without those that no reader reads: films and disk images are only skipped.

    That is looked up in the files themselves, but only once the sum of all exceeds the limit.
    """

    def __init__(self, limit: int, check: Check) -> None:
        self._limit = limit
        self._check = check
        self._total = 0
        self._unseen: list[tuple[int, str]] = []

    def add(self, path: str, size: int) -> bool:
        """Add a file. Return whether the sum is within the limit."""
        self._total += size
        heappush(self._unseen, (-size, path))
        looked = 0
        # The largest first: a few of them usually are enough.
        while self._unseen and self._total > self._limit:
            if looked % _OFTEN == 0:
                self._check()
            looked += 1
            less, path = heappop(self._unseen)
            if not is_read(path):
                self._total += less
        return self._total <= self._limit


def is_read(path: str) -> bool:
    """Return whether the file at `path`, by its name and beginning, is of a kind that is read."""
    head = b""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            head = os.read(descriptor, encoding.LOOKED_AT)
        finally:
            os.close(descriptor)
    form = format_of(path, head)
    if form.unread or form.reader:
        return not form.unread
    return bool(encoding.mark(head)[0] or encoding.wide(head)) or not encoding.binary(head)
