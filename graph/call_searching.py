"""Searches the prompts and the answers of calls, and the questions and the answers of runs, for `rlm calls --search`
and the page.

The words are kept in a file beside the database (`state/call_search/`), which a search brings up to date first, for as
long as that may take; `fill` does the rest. A home that cannot be written, or that is read as a copy, has the file in a
folder for temporary files.
"""

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from ..state.call_search.file import SLOTS, DamagedFile, FileInUse, Marks, WordsFile, marks_in
from ..state.call_search.filling import Read, is_of_home, read, touched_runs, write, write_runs
from ..state.call_search.finding import Hit, Where, call_candidates, look_up, run_candidates
from ..state.call_search.own_words import CUT, MOST
from ..state.call_search.query import Query
from ..state.db.home_id import id_in
from ..state.db.reserve import is_nearly_full
from ..state.errors import StoreError, UsageError
from ..state.stores import Stores

T = TypeVar("T")
FILL_SECONDS = 1.5
"""Seconds for which a search reads what is new before it looks for anything."""
LOOK_SECONDS = 0.2
"""Seconds after which a search returns what it has found, and where to go on."""
_MOST_CHARACTERS, _MOST_READING = 2_000_000, 0.5
"""Characters and seconds of reading after which the file is written."""
_RUNS_AT_ONCE = 50
_MOST_RUNS, _RUN_SECONDS = 200, 1.0
"""Runs that one search for runs names, and the seconds in which it looks into their texts."""
_PAUSE = 0.05
_MOST_TRIES = 3
_BETWEEN = "SELECT min(seq), max(seq) FROM calls WHERE thread_id = ?"
_PROGRESS = "SELECT count(*), coalesce(sum(seq <= ?), 0) FROM calls WHERE kind != 'root'"


@dataclass(frozen=True)
class SearchPage:
    """Results of a search."""

    hits: list[Hit]
    next: str | None
    """The beginning of the next page (`after`), None without one. A page that has one may have few hits, or none."""
    indexed: int
    """Calls that have been read for searches."""
    total: int
    """All calls that might be found."""

    @property
    def is_complete(self) -> bool:
        """True when all calls were read."""
        return self.indexed >= self.total


@dataclass(frozen=True)
class RunsFound:
    """Results of a search for runs."""

    names: list[str]
    """The run that was touched last comes first."""
    read: bool
    """True when the questions and answers of all runs were read."""
    more: bool
    """True when there may be more runs than these among those that were read."""


@dataclass
class _Found:
    hits: list[Hit] = field(default_factory=list[Hit])
    position: int = 0
    finished: bool = False


class CallSearch:
    """The searches over one home. Use it as an async context manager, or close it."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._filling = asyncio.Lock()
        self._file: WordsFile | None = None
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was kept in a folder for temporary files. The searches may go on."""
        if self._own_folder:
            self._own_folder.cleanup()
            self._own_folder = self._file = None

    async def search(
        self,
        words: str,
        *,
        thread: str | Collection[str] | None = None,
        after: str | None = None,
        limit: int = 50,
        fill_for: float | None = FILL_SECONDS,
    ) -> SearchPage:
        """Return the texts of calls that have all `words`, also within longer ones, the oldest call first.

        What is in double quotes belongs together. `thread`: only calls of this run, or of these; without it, runs whose
        question or answer has the words come first. `after`: the `next` of the page before. `fill_for`: the seconds for
        which calls are read that no search has read yet (None: until all are); the rest is missing in the results.

        Raises UsageError for words that cannot be searched for, StoreError.
        """
        query, position = Query.of(words), _position(after)
        threads = None if thread is None else {thread} if isinstance(thread, str) else set(thread)

        async def look() -> tuple[list[Hit], _Found]:
            until = monotonic() + LOOK_SECONDS
            hits: list[Hit] = []
            if threads is None and after is None:
                # The other half of the time is for calls.
                hits = await self._runs(query, limit, until - LOOK_SECONDS / 2)
            return hits, await self._calls(query, threads, position, limit, until)

        await self.fill(fill_for)
        hits, found = await self._tried(look, fill_for)
        indexed, total = await self.progress(threads)
        return SearchPage([*hits, *found.hits], None if found.finished else str(found.position), indexed, total)

    async def runs(self, words: str, *, fill_for: float | None = FILL_SECONDS) -> RunsFound:
        """Return the runs whose question or answer has all `words`, as `search` understands them.

        Raises UsageError for words that cannot be searched for, StoreError.
        """
        query = Query.of(words)
        until = 0.0

        async def look() -> list[Hit]:
            nonlocal until
            until = monotonic() + _RUN_SECONDS
            return await self._runs(query, _MOST_RUNS, until)

        read = await self.fill(fill_for)
        hits = await self._tried(look, fill_for)
        return RunsFound([hit.thread_id for hit in hits], read, len(hits) == _MOST_RUNS or monotonic() >= until)

    async def _tried(self, look: Callable[[], Awaitable[T]], fill_for: float | None) -> T:
        """Return what `look` finds, tried again when the file is damaged or in use."""
        await self._touch()
        for _ in range(_MOST_TRIES):
            try:
                return await look()
            except DamagedFile:
                await self._remove()
                await self.fill(fill_for)
            except FileInUse:
                await asyncio.sleep(_PAUSE)
        raise StoreError("The search could not be made: other processes change its file.", hint="Try it again.")

    async def progress(self, thread: str | Collection[str] | None = None) -> tuple[int, int]:
        """Return how many calls, of all or of these runs, have been read for searches, and how many there are."""
        threads = [thread] if isinstance(thread, str) else thread
        marks = await self._marks()
        if threads is None:
            [(total, indexed)] = await self.stores.database.read(_PROGRESS, (marks.seq,))
            return indexed, total
        rows = [
            (await self.stores.database.read(f"{_PROGRESS} AND thread_id = ?", (marks.seq, one)))[0] for one in threads
        ]
        return sum(row[1] for row in rows), sum(row[0] for row in rows)

    async def fill(self, seconds: float | None = None) -> bool:
        """Read what is new in the home, for at most so many seconds; return whether nothing is left.

        It goes in steps of some tens of milliseconds, off the event loop, and may be cancelled between them. While
        another process reads the same, this one waits for it. Raises StoreError.
        """
        until = None if seconds is None else monotonic() + seconds
        async with self._filling:
            checked, damaged = False, 0
            while True:
                try:
                    checked = checked or await self._check()
                    if await self._step() and await self._step_of_runs():
                        return True
                except DamagedFile as fault:
                    damaged += 1
                    if damaged == _MOST_TRIES:
                        raise StoreError(f"The file of words is damaged each time that it is made: {fault}.") from fault
                    await self._remove()
                except FileInUse:
                    await asyncio.sleep(_PAUSE)
                if until is not None and monotonic() >= until:
                    return False

    async def _check(self) -> bool:
        """Remove the file if it has words of calls that the home no longer has, and return True."""
        marks = await self._marks()
        if not await self.stores.database.look(lambda connection: is_of_home(connection, marks)):
            await self._remove()
        return True

    async def _step(self) -> bool:
        """Read some calls; return whether nothing is left."""
        blobs, marks = self.stores.blobs, await self._marks()
        found: list[Read] = []
        size, until = 0, monotonic() + _MOST_READING
        while size <= _MOST_CHARACTERS and monotonic() < until and not (found and found[-1].complete):
            found.append(
                await self.stores.database.look(lambda connection, marks=marks: read(connection, blobs, marks))
            )
            marks, size = found[-1].after, size + found[-1].size
        if found[-1].after != found[0].before:
            await self._write(lambda file: write(file, found))
        return found[-1].complete

    async def _step_of_runs(self) -> bool:
        """Read some runs that were touched; return whether nothing is left."""
        marks = await self._marks()
        touched = await self.stores.database.look(lambda connection: touched_runs(connection, marks, _RUNS_AT_ONCE))
        texts = [(name, when, CUT.join((await self._texts_of(name)).values())) for name, when in touched]
        if texts:
            await self._write(lambda file: write_runs(file, texts))
        return len(touched) < _RUNS_AT_ONCE

    async def _write(self, writing: Callable[[WordsFile], None]) -> None:
        """Write to the file; where that is impossible, into one of our own from now on."""
        file = await self._words_file()
        try:
            await asyncio.to_thread(writing, file)
        except StoreError:
            if self._own_folder:
                raise
            self._use_own_folder(file)
            raise FileInUse from None

    async def _words_file(self) -> WordsFile:
        if self._file is None:
            # Beside the database that is read: of a home that is read as a copy, not in the home.
            folder = self.stores.database.path.parent
            self._file = WordsFile(folder, str(await self.stores.database.look(id_in)))
            if await asyncio.to_thread(is_nearly_full, folder):
                self._use_own_folder(self._file)
        return self._file

    def _use_own_folder(self, file: WordsFile) -> None:
        self._own_folder = tempfile.TemporaryDirectory(prefix="rlm-")
        self._file = WordsFile(Path(self._own_folder.name), file.home)

    async def _marks(self) -> Marks:
        file = await self._words_file()

        def marks() -> Marks:
            with file.reading() as connection:
                return (connection and marks_in(connection, file.home)) or Marks(file.home)

        return await asyncio.to_thread(marks)

    async def _touch(self) -> None:
        """Note that the file is in use: it is freed after a month without."""
        with contextlib.suppress(OSError):
            os.utime((await self._words_file()).path)

    async def _remove(self) -> None:
        file = await self._words_file()
        try:
            await asyncio.to_thread(file.remove)
        except StoreError:
            self._use_own_folder(file)

    async def _calls(self, query: Query, threads: set[str] | None, position: int, limit: int, until: float) -> _Found:
        file, blobs = await self._words_file(), self.stores.blobs
        first, last = await self.stores.database.look(lambda connection: _documents(connection, threads))
        found = _Found(position=max(position, first - 1))

        def is_over() -> bool:
            return monotonic() >= until

        while not found.finished:
            some = await asyncio.to_thread(call_candidates, file, query, found.position, last)
            if some.documents:
                documents, most = some.documents, limit - len(found.hits)
                looked = await self.stores.database.look(
                    lambda connection, documents=documents, most=most: look_up(
                        connection, blobs, query, documents, threads, most, is_over
                    )
                )
                found.hits += looked.hits
                found.position = looked.done
            found.finished = not some.more and (not some.documents or found.position == some.documents[-1])
            if len(found.hits) >= limit or is_over():
                break
        return found

    async def _runs(self, query: Query, limit: int, until: float) -> list[Hit]:
        """Return runs whose question or answer has the words, the one that was touched last first."""
        file = await self._words_file()
        hits: list[Hit] = []
        seen: set[str] = set()
        before: int | None = None
        while len(hits) < limit and monotonic() < until:
            some, names = await asyncio.to_thread(run_candidates, file, query, before)
            for document in some.documents:
                before = document
                name = names.get(document)
                if name is not None and name not in seen and len(hits) < limit:
                    seen.add(name)
                    hits += await self._hits_in(name, query)
            if not some.more:
                break
        return hits

    async def _hits_in(self, thread_id: str, query: Query) -> list[Hit]:
        for where, text in (await self._texts_of(thread_id)).items():
            if snippet := query.found_in(text):
                return [Hit(thread_id, None, 0, where, snippet)]
        return []

    async def _texts_of(self, thread_id: str) -> Mapping[Where, str]:
        """Return the question of a run, and its answer if it has one; nothing for a run that is gone or damaged."""
        # Imported for searches alone: it reads checkpoints.
        from .checkpoints import state_at
        from .saved_states import SavedCheckpoints

        texts: dict[Where, str] = {}
        with contextlib.suppress(StoreError):
            row = await self.stores.threads.get(thread_id)
            texts["question"] = row.question
            if row.status == "answered":
                step_state = await state_at(self.stores, SavedCheckpoints(self.stores), row, None)
                if answer := step_state.state.get("answer"):
                    texts["result"] = (await self.stores.texts.get(answer["text"]))[:MOST]
        return texts


def _documents(connection: sqlite3.Connection, threads: set[str] | None) -> tuple[int, int | None]:
    """Return the first and the last document that calls of these runs can have; None: no last one."""
    if threads is None:
        return 0, None
    ranges = [connection.execute(_BETWEEN, (thread,)).fetchone() for thread in threads]
    found = [(first, last) for first, last in ranges if first is not None]
    if not found:
        return 0, -1
    return min(first for first, _ in found) * SLOTS, (max(last for _, last in found) + 1) * SLOTS - 1


def _position(after: str | None) -> int:
    """Return where a page begins. Raises UsageError for what no page has said."""
    if after is None:
        return -1
    if not (after.isascii() and after.isdecimal() and len(after) <= 18):
        raise UsageError("There is no such page of results.", hint="Search again.")
    return int(after)
