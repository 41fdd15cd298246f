"""The home whose runs the page shows: opened once it exists, and again when another one has taken its place."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from ...graph.marks import GONE, UNREADABLE, marks_of
from ...graph.queries import RunQueries
from ...graph.saved_states import SavedCheckpoints
from ...state.db.storable import encodable
from ...state.errors import RlmError, StoreError
from ...state.home_access import DATABASE
from ...state.open_home import open_home
from ...state.stores import Stores

_CACHED_BYTES = 8 << 20
"""Bytes of texts that the page keeps: it shows a few at a time, and its memory is bounded."""
PATIENCE = 2.0
"""Seconds that a page waits for a database which another process holds, before it says so."""


class NoHome(RlmError):
    """Nothing is saved in the folder yet, or not any more."""

    exit_code = 2


@dataclass(frozen=True)
class PageHome:
    """An open home."""

    stores: Stores
    queries: RunQueries
    checkpoints: SavedCheckpoints
    """The states of its runs."""


class HomeOpener:
    """Opens the home for the page, and keeps it open."""

    def __init__(self, home: Path, *, reads_copy: Callable[[], bool] = lambda: False) -> None:
        """`reads_copy` says whether the home that is there now may only be read, as a copy. It may block."""
        self.home = home.absolute()
        self.read_only = False
        """True when what is shown is a copy, and nothing is changed."""
        self._reads_copy = reads_copy
        self._shared: Stores | None = None
        self._opened: PageHome | None = None
        self._file: tuple[int, int] | None = None
        self._closing = contextlib.AsyncExitStack()
        self._lock = asyncio.Lock()

    def share(self, stores: Stores) -> None:
        """Use the stores of a server that has opened the home already, and that closes it."""
        self.home, self._shared = stores.home, stores

    @contextlib.asynccontextmanager
    async def closing(self) -> AsyncGenerator[None]:
        """Close the home at the end of the context."""
        try:
            yield
        finally:
            async with self._lock:
                await self._close()

    async def opened(self) -> PageHome:
        """Return the open home. Raises NoHome when nothing is saved there, StoreError, NotAgreed."""
        if self._shared is not None:
            return _page_home(self._shared)
        async with self._lock:
            file = _identity(self.home / DATABASE)
            if file != self._file:
                # Deleted, or another one: the connection would go on to show what is not there any more.
                await self._close()
            if file is None:
                raise NoHome(f"No run is saved in {self.home}.", hint="Ask a first question, here or with `rlm run`.")
            if self._opened is None:
                # Asked each time: one that somebody else has made may have come since the page was started.
                self.read_only = await asyncio.to_thread(self._reads_copy)
                opening = open_home(self.home, read_only=self.read_only, patience=PATIENCE, cached_bytes=_CACHED_BYTES)
                stores = await self._closing.enter_async_context(opening)
                self._opened, self._file = _page_home(stores), file
            return self._opened

    async def _close(self) -> None:
        self._opened = self._file = None
        await self._closing.aclose()


def _page_home(stores: Stores) -> PageHome:
    return PageHome(stores, RunQueries(stores), SavedCheckpoints(stores))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def home_of(request: Request) -> PageHome:
    """Return the home that a request is about. Raises what `HomeOpener.opened` does.

    It also notes what the page follows: the run that the path names, else the home, with the mark from before anything
    was read for the page (`live.py`). So nothing is missed between the two.
    """
    opener: HomeOpener = request.app.state.opener
    request.state.follow = {"run": "", "mark": GONE}
    home = await opener.opened()
    name = str(request.path_params.get("thread", ""))
    mark = await _mark(home, name)
    if name and mark == GONE:
        # The beginning of a name, perhaps.
        name = await home.queries.resolve(name)
        mark = await _mark(home, name)
    request.state.follow = {"run": name, "mark": mark}
    return home


async def _mark(home: PageHome, name: str) -> str:
    if not encodable(name):
        return GONE
    try:
        return (await marks_of(home.stores, {name})).by_name[name]
    except StoreError:
        # What is damaged is shown by the page; it may be followed all the same.
        return UNREADABLE
