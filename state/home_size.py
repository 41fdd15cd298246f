"""The size of a home on disk, and the limit on it: known well enough to be asked for before every request.

A home may have hundreds of thousands of files, so they are not counted each time. What this process writes is added to
what was last counted; what other processes write and free is seen when the files are counted again, in a thread, as
soon as that takes no more than a fiftieth of the time and at least once a minute. The database is looked at each time.
Without a limit nothing is counted.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import HomeFull
from .wording import megabytes

DATABASE_FILES = tuple(f"checkpoints.sqlite{end}" for end in ("", "-wal", "-shm", "-reserve"))
SEARCH_FILE = "search.sqlite"
"""The words of the calls (`call_search/file.py`)."""
_OTHER_FILES = tuple(f"{SEARCH_FILE}{end}" for end in ("", "-wal", "-shm"))
FOLDERS = ("blobs", "extracted", "search", "logs", "server")
"""The folders of a home. Anything else beside them is not a part of it."""
COUNT_AT_LEAST_EVERY = 60.0
"""Seconds after which the files are counted again, however long that takes."""
_SHARE = 50
_COUNT_AT_MOST_EVERY = 1.0
_BLOCK = 512
"""Bytes of the blocks in which a file's room on disk is reported, whatever the file system."""


class HomeSize:
    """The bytes that one home has on disk. May be used from any thread."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Use the home in the folder `home`; nothing is counted yet. `clock` is in seconds, and is never set back."""
        self.home = home
        self._database = [str(home / name) for name in (*DATABASE_FILES, *_OTHER_FILES)]
        self._clock = clock
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._counted: int | None = None
        self._written = 0
        self._counting: threading.Thread | None = None
        self._next = 0.0

    def wrote(self, size: int) -> None:
        """Add bytes that this process has written to a file other than the database; negative for what it removed."""
        with self._lock:
            self._written += size

    @property
    def is_fresh(self) -> bool:
        """True while the files need not be counted again."""
        return self._counted is not None and self._clock() < self._next

    async def count(self) -> int:
        """Return the size, with the files counted now, or by a thread that counts them already."""
        if (counting := self._counting) is not None:
            await asyncio.to_thread(counting.join)
        else:
            await asyncio.to_thread(self._count)
        return self.now()

    def now(self) -> int:
        """Return the size in bytes. The first time in a process that counts the files, which may take a second."""
        if self._counted is None:
            self._count()
        elif not self.is_fresh:
            self._count_beside()
        files = sum(map(_on_disk, self._database))
        with self._lock:
            return files + (self._counted or 0) + self._written

    def _count_beside(self) -> None:
        """Count the files in a thread, unless one does so already."""
        with self._lock:
            if self._counting is not None:
                return
            counting = threading.Thread(target=self._count, name="rlm-home-size", daemon=True)
            # Others may wait for its end from the next line on. It waits for this lock before it ends.
            counting.start()
            self._counting = counting

    def _count(self) -> None:
        with self._one_at_a_time:
            self._count_now()

    def _count_now(self) -> None:
        began = self._clock()
        with self._lock:
            before = self._written
        found = sum(map(_on_disk, _files_of(self.home)))
        took = self._clock() - began
        with self._lock:
            # What was written meanwhile may be counted twice until the next time, but is never left out.
            self._counted, self._written = found, self._written - before
            self._next = began + took + min(COUNT_AT_LEAST_EVERY, max(_COUNT_AT_MOST_EVERY, _SHARE * took))
            self._counting = None


@dataclass(frozen=True)
class HomeLimit:
    """A limit on the size of a home (`--max-home-size`), as a run has it."""

    size: HomeSize
    limit: int | None
    """In bytes; None: no limit."""

    async def known(self) -> None:
        """Count the files of the home off the event loop, unless that was done lately or there is no limit."""
        if self.limit is not None and not self.size.is_fresh:
            await self.size.count()

    def has_room(self, more: int = 0) -> bool:
        """Return whether the home is below the limit, and stays within it with `more` bytes."""
        if self.limit is None:
            return True
        size = self.size.now()
        return size < self.limit and size + more <= self.limit

    def need(self, more: int = 0, what: str = "") -> None:
        """Raise HomeFull unless the home has room for `more` bytes. `what` needs them: `The input`."""
        if self.limit is None or self.has_room(more):
            return
        facts = f"has {megabytes(self.size.now())} on disk, of the {megabytes(self.limit)} that it may have"
        home = f"home {self.size.home}"
        message = f"{what} does not fit in the {home}, which {facts}." if what else f"The {home} {facts}."
        raise HomeFull(
            message,
            hint="Make room: `rlm gc` frees what no run needs, and `rlm gc --older-than 90d` deletes old runs. "
            "Or allow more with --max-home-size.",
        )


def _files_of(home: Path) -> Iterator[str]:
    """Yield the paths of the files in a home's folders. Links are not followed."""
    folders = [str(home / name) for name in FOLDERS]
    while folders:
        # A folder that is missing, or was removed meanwhile, has no files.
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path


def _on_disk(path: str) -> int:
    """Return the room that a file has on disk in bytes; 0 for one that is not there."""
    try:
        return os.lstat(path).st_blocks * _BLOCK
    except OSError:
        return 0
