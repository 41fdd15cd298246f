"""The indexes of the packs that texts are cut from: each made once, in a thread, when the first long text comes.

A pack is a run's input (`contexts.py`). The event loop reads nothing of it and compares nothing.
"""

import asyncio
import threading
from collections import OrderedDict

from ..errors import StoredDataDamaged
from .deltas import LEAST_SAVED, recipe_of
from .range_index import RangeIndex
from .store import Blobs, content_hash

_MOST_BYTES = 96 << 20
"""Memory of indexes from which those used longest ago are let go."""


class DeltaIndexes:
    """Makes recipes of texts. What is not found in a pack, or in one that cannot be read, has none."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._indexes: OrderedDict[str, asyncio.Task[RangeIndex | None]] = OrderedDict()

    async def recipe(self, pack: str, body: bytes) -> tuple[str, bytes | None]:
        """The hash of a text in UTF-8, and its recipe as it is stored, where ranges of the blob `pack` save enough."""
        index = await self._index(pack) if len(body) > LEAST_SAVED else None
        if index is None:
            return content_hash(body), None
        return await asyncio.to_thread(_recipe, index, pack, body)

    async def _index(self, pack: str) -> RangeIndex | None:
        task = self._indexes.get(pack)
        if task is None or task.cancelled():
            self._let_go()
            task = self._indexes[pack] = asyncio.create_task(self._make(pack))
        self._indexes.move_to_end(pack)
        # Others may wait for it when this one is cancelled.
        return await asyncio.shield(task)

    async def _make(self, pack: str) -> RangeIndex | None:
        stop = threading.Event()
        try:
            return await asyncio.to_thread(_indexed, self._blobs, pack, stop)
        finally:
            stop.set()

    def _let_go(self) -> None:
        """Before another one is made: forget those used longest ago, while there are too many bytes of them."""
        made = [(name, task) for name, task in self._indexes.items() if task.done() and not task.cancelled()]
        sizes = {name: index.size if (index := task.result()) else 0 for name, task in made}
        size = sum(sizes.values())
        for name in sizes:
            if size <= _MOST_BYTES:
                break
            size -= sizes[name]
            del self._indexes[name]


def _indexed(blobs: Blobs, pack: str, stop: threading.Event) -> RangeIndex | None:
    """In a thread: the index of a pack; None when the pack is damaged, which is for those to say who read it."""
    try:
        blobs.check_once(pack)
        return RangeIndex.of(blobs.path(pack), stop.is_set)
    except (OSError, StoredDataDamaged):
        return None


def _recipe(index: RangeIndex, pack: str, body: bytes) -> tuple[str, bytes | None]:
    """In a thread: the hash of a text, and its recipe where that is worth it."""
    try:
        ranges = index.ranges(body)
    except OSError:
        ranges = []
    return content_hash(body), recipe_of(body, pack, ranges)
