"""Searches the inputs of runs for their kernels, which open no index: this process does.

The index of an input is built at its first search, by a process of its own for all but small ones, and kept in the home
(`state/search/`) for later runs over an equal input.
"""

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from ...kernel.search import SearchHit, SearchInput, SearchQuery
from ...kernel.session import ContextFiles
from ...state.home_size import HomeLimit
from ...state.input.context import ContextRef
from ...state.search.build import Source, command
from ...state.search.errors import DamagedIndex, SearchUnavailable
from ...state.search.files import IndexFiles, name_of, remove
from ...state.search.fts5 import ensure_available
from ...state.search.index import Index
from ...state.search.tantivy_words import is_available
from ...state.search.words import Engine

_SMALL = 1 << 20
"""Bytes of an input up to which its index is built in memory."""
_LONG = 16 << 20
"""Bytes of an input from which building its index takes seconds, so that its progress is reported."""
_BETWEEN_REPORTS = 0.5
_MOST_OPEN = 8
_MOST_TRIES = 2
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")

Emit = Callable[[Mapping[str, Any]], None]


class Searches:
    """The search indexes of one home, those in use held open. Bound to one event loop."""

    def __init__(self, folder: Path) -> None:
        """Use `folder` for indexes."""
        self._files = IndexFiles(folder)
        self._open: OrderedDict[str, Index] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._chosen: Engine | None = None

    def of(self, context: ContextRef, files: ContextFiles, emit: Emit, limit: HomeLimit | None = None) -> SearchInput:
        """Return a function that searches an input. `emit` puts an event on the stream of the run that searches.

        `limit`: no index is built that the home has no room for.
        """
        end = context["bytes"] if files.end is None else files.end
        source = Source(str(files.pack), str(files.index or ""), files.start, end)
        name = name_of(context["pack"], context["index"], files.start, end)

        async def search(query: SearchQuery) -> Sequence[SearchHit]:
            # One at a time for each index, whose first search builds it for all that wait.
            async with self._locks.setdefault(name, asyncio.Lock()):
                if limit and not limit.has_room(context["bytes"]) and not await self._is_built(name, context["bytes"]):
                    raise SearchUnavailable("The home has no room for a search index: look with context.grep.")
                for _ in range(_MOST_TRIES):
                    try:
                        found = await self._search(name, source, context["bytes"], emit, query)
                        return [hit for hit in found if source.start <= hit.start <= hit.end <= source.end]
                    except DamagedIndex:
                        await self._forget(name)
            raise SearchUnavailable("The search index is damaged, also after it was built again.")

        return search

    async def close(self) -> None:
        """Close all indexes."""
        for name in list(self._open):
            await asyncio.to_thread(self._open.pop(name).close)

    async def _search(
        self, name: str, source: Source, size: int, emit: Emit, query: SearchQuery
    ) -> Sequence[SearchHit]:
        index = await self._index(name, source, size, emit)
        stopped = threading.Event()
        work = asyncio.ensure_future(asyncio.to_thread(index.search, query.words, query.k, query.ranges, stopped))
        try:
            return [SearchHit(*hit) for hit in await asyncio.shield(work)]
        except asyncio.CancelledError:
            stopped.set()
            # The next search of this index may not begin before.
            await asyncio.wait({work})
            if not work.cancelled():
                work.exception()
            raise

    async def _is_built(self, name: str, size: int) -> bool:
        """Return whether an input is searched without another file in the home."""
        if name in self._open or size <= _SMALL:
            return True
        return await asyncio.to_thread(self._files.path(name, await self._engine()).exists)

    async def _index(self, name: str, source: Source, size: int, emit: Emit) -> Index:
        """Return the open index, built if there is none. Raises SearchUnavailable, DamagedIndex."""
        index = self._open.get(name)
        if index is None:
            try:
                if size <= _SMALL and await self._has_fts5():
                    index = await asyncio.to_thread(Index.in_memory, source, name)
                else:
                    index = await self._from_file(name, source, size, emit)
            except (OSError, sqlite3.Error) as error:
                raise SearchUnavailable(f"The search index could not be built: {error}.") from error
            self._open[name] = index
        self._open.move_to_end(name)
        unused = [one for one in self._open if not self._locks[one].locked()]
        for other in unused[: max(0, len(self._open) - _MOST_OPEN)]:
            await asyncio.to_thread(self._open.pop(other).close)
        return index

    async def _from_file(self, name: str, source: Source, size: int, emit: Emit) -> Index:
        """Open the index in the home, built if there is none. Raises SearchUnavailable, DamagedIndex, OSError."""
        await asyncio.to_thread(self._files.make)
        engine = await self._engine()
        path = self._files.path(name, engine)
        try:
            index = await asyncio.to_thread(Index.open, path, name, engine)
        except FileNotFoundError:
            report = _Report(emit if size >= _LONG else lambda event: None, source.end - source.start)
            try:
                await self._build(path, source, name, engine, report)
            except BaseException:
                report.end(failed=True)
                raise
            report.end()
            index = await asyncio.to_thread(Index.open, path, name, engine)
        with contextlib.suppress(OSError):
            os.utime(path)
        return index

    async def _has_fts5(self) -> bool:
        """Return whether FTS5 is there, and not only tantivy. Raises SearchUnavailable when neither is."""
        try:
            await asyncio.to_thread(ensure_available)
        except SearchUnavailable:
            if await self._engine() == "fts5":
                raise
            return False
        return True

    async def _engine(self) -> Engine:
        """Return the engine of large inputs. Raises SearchUnavailable."""
        if self._chosen is None:
            engine: Engine = "tantivy" if await asyncio.to_thread(is_available) else "fts5"
            if engine == "fts5":
                await asyncio.to_thread(ensure_available)
            self._chosen = engine
        return self._chosen

    async def _build(self, path: Path, source: Source, name: str, engine: Engine, report: "_Report") -> None:
        """Have a process build an index, which ends with this one. Raises SearchUnavailable, OSError."""
        partial = await asyncio.to_thread(self._files.partial, engine)
        try:
            process = await asyncio.create_subprocess_exec(
                *command(path, partial, source, name, engine),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                start_new_session=True,
            )
            why = ""
            try:
                assert process.stdout is not None
                async for line in process.stdout:
                    text = line.decode(errors="replace").strip()
                    if text.isdecimal():
                        report.update(int(text))
                    else:
                        why = text
                status = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        finally:
            await asyncio.to_thread(remove, partial)
        if status:
            raise SearchUnavailable(f"The search index could not be built: {why or f'status {status}'}.")

    async def _forget(self, name: str) -> None:
        """Close a damaged index and delete its file. Raises SearchUnavailable when that is impossible."""
        if index := self._open.pop(name, None):
            await asyncio.to_thread(index.close)
        try:
            if self._chosen:
                await asyncio.to_thread(remove, self._files.path(name, self._chosen))
        except OSError as error:
            raise SearchUnavailable(f"A damaged search index cannot be deleted: {error}.") from error


class _Report:
    """The progress of a build, as events."""

    def __init__(self, emit: Emit, size: int) -> None:
        """Report the beginning. `size`: bytes of the input."""
        self._emit, self._size = emit, size
        self._began = self._last = monotonic()
        self._done = 0
        self._send(0)

    def update(self, done: int) -> None:
        """Report that so many bytes are done, unless another report was sent just before."""
        self._done = min(done, self._size)
        if monotonic() >= self._last + _BETWEEN_REPORTS:
            self._send(self._done)

    def end(self, *, failed: bool = False) -> None:
        """Report the end."""
        self._send(min(self._done, self._size - 1) if failed else self._size, done=True)

    def _send(self, size: int, *, done: bool = False) -> None:
        self._last = monotonic()
        seconds = self._last - self._began
        self._emit({"event": "indexing", "bytes": size, "of_bytes": self._size, "seconds": seconds, "done": done})
