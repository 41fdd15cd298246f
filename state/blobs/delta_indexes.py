"""Indexes of packs, in which texts are looked up to store them as deltas. Each is made once, in a thread, on first use.

A pack is a run's input (`input/context.py`). The event loop neither reads nor compares any of it.
"""

import asyncio
import threading
from collections import OrderedDict

from ..errors import StoredDataDamaged
from .deltas import LEAST_SAVED, recipe_of
from .range_index import RangeIndex
from .store import Blobs, content_hash

_MOST_BYTES = 96 << 20
"""Memory of indexes above which the least recently used ones are dropped."""


class DeltaIndexes:
    """Makes deltas of texts. A text that is not found in its pack, or whose pack cannot be read, has none."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._indexes: OrderedDict[str, asyncio.Task[RangeIndex | None]] = OrderedDict()

    async def recipe(self, pack: str, body: bytes) -> tuple[str, bytes | None]:
        """Return the hash of a text in UTF-8, and its delta as stored where ranges of the blob `pack` save enough."""
        index = await self.index(pack) if len(body) > LEAST_SAVED else None
        if index is None:
            return content_hash(body), None
        return await asyncio.to_thread(_recipe, index, pack, body)

    async def index(self, pack: str) -> RangeIndex | None:
        """Return the index of a pack, made on first use; None when it cannot be made."""
        task = self._indexes.get(pack)
        if task is None or task.cancelled():
            self._let_go()
            task = self._indexes[pack] = asyncio.create_task(self._make(pack))
        else:
            self._indexes.move_to_end(pack)
        # Other tasks may be waiting for it when this one is cancelled.
        return await asyncio.shield(task)

    async def _make(self, pack: str) -> RangeIndex | None:
        """Return the index, None when it cannot be made. Runs that have the same input share this task."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(_indexed, self._blobs, pack, stop)
        except Exception:
            # Made again for the next text: memory or open files may be short for a while only.
            self._indexes.pop(pack, None)
            return None
        finally:
            stop.set()

    def _let_go(self) -> None:
        """Drop the least recently used indexes while they take too many bytes, before another one is made."""
        made = [(name, task) for name, task in self._indexes.items() if task.done() and not task.cancelled()]
        sizes = {name: index.size if (index := task.result()) else 0 for name, task in made}
        size = sum(sizes.values())
        for name in sizes:
            if size <= _MOST_BYTES:
                break
            size -= sizes[name]
            del self._indexes[name]


def _indexed(blobs: Blobs, pack: str, stop: threading.Event) -> RangeIndex | None:
    """Return the index of a pack, None when the pack is damaged. Runs in a thread.

    Damage is reported where the pack itself is read.
    """
    try:
        blobs.check_once(pack)
        return RangeIndex.of(blobs.path(pack), stop.is_set)
    except (OSError, StoredDataDamaged):
        return None


def _recipe(index: RangeIndex, pack: str, body: bytes) -> tuple[str, bytes | None]:
    """Return the hash of a text, and its delta where that saves enough. Runs in a thread."""
    try:
        ranges = index.ranges(body)
    except OSError:
        ranges = []
    return content_hash(body), recipe_of(body, pack, ranges)
