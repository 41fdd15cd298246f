"""Opens the stores of a home, to write to it or to read a copy of it."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from .agreements import all_trusted
from .blobs.snapshots import Snapshots
from .blobs.store import Blobs
from .blobs.texts import CACHED_BYTES, Texts
from .call_journal import Journal
from .db.connection import Database
from .db.home_id import id_in
from .db.opening import BUSY_SECONDS
from .errors import StoreError
from .executions import Executions
from .failpoints import Failpoint, no_failpoint
from .home_access import BLOBS, DATABASE, is_untouched, make_safe, remember_made, standing_of
from .leases import Leases
from .notifications import Notifications
from .run_pages import RunPages
from .stores import Stores
from .threads import Threads
from .turn_rows import TurnRows
from .usage import Spending

DEFAULT_HOME = ".rlm"


@asynccontextmanager
async def open_stores(
    home: Path,
    clock: Callable[[], float] = time.time,
    failpoint: Failpoint = no_failpoint,
    *,
    named: bool = True,
    trust: bool = False,
    patience: float = BUSY_SECONDS,
    cached_bytes: int = CACHED_BYTES,
) -> AsyncGenerator[Stores]:
    """Open the stores under `home`; `clock` is wall time, `patience` the seconds for which a busy file is waited for.

    `cached_bytes`: bytes of texts that are kept in memory at most.

    Raises StoreError; NotAgreed when the user has not `named` the home, nor made it, nor agreed to it. With `trust`
    neither that nor who owns its files is checked.
    """
    if not (trust or all_trusted()):
        if not named:
            (await asyncio.to_thread(standing_of, home)).need_agreement()
        await asyncio.to_thread(make_safe, home)
    made_here = await asyncio.to_thread(is_untouched, home)

    def on_made(home_id: str) -> None:
        if made_here:
            remember_made(home, home_id)

    async with Database.open(home / DATABASE, failpoint=failpoint, patience=patience, on_made=on_made) as database:
        yield _stores(home, database, await database.look(id_in), clock, failpoint, cached_bytes)


def open_home(
    home: str | Path | None,
    clock: Callable[[], float] = time.time,
    failpoint: Failpoint = no_failpoint,
    *,
    trust: bool = False,
    read_only: bool = False,
    patience: float = BUSY_SECONDS,
    cached_bytes: int = CACHED_BYTES,
) -> AbstractAsyncContextManager[Stores]:
    """Open the stores of a home for writing (`open_stores`), or with `read_only` as a copy (`open_copy`).

    None: `.rlm` in the current folder, which nobody named.
    """
    # Kernels run in a folder of their own, where a relative path would name another file.
    folder = Path(home or DEFAULT_HOME).expanduser().absolute()
    if read_only:
        return open_copy(folder)
    return open_stores(
        folder, clock, failpoint, named=home is not None, trust=trust, patience=patience, cached_bytes=cached_bytes
    )


@asynccontextmanager
async def open_copy(home: Path) -> AsyncGenerator[Stores]:
    """Open the stores under `home` for reading, writing nothing there: the database is a private copy.

    For homes that the user has not agreed to. Raises StoreError.
    """
    with tempfile.TemporaryDirectory(prefix="rlm-") as folder:
        await asyncio.to_thread(_copy_database, home / DATABASE, Path(folder))
        async with Database.open(Path(folder) / DATABASE) as database:
            yield _stores(home, database, None)


def _copy_database(path: Path, folder: Path) -> None:
    """Copy a database and its write-ahead log, if it has one. Raises StoreError."""
    if (path.parent / BLOBS).is_symlink():
        raise StoreError(f"{path.parent / BLOBS} is a link, which is not followed.", hint="Name another home.")
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            if file.is_symlink() or (file.exists() and not file.is_file()):
                raise StoreError(f"{file} is not an ordinary file, so it is not read.", hint="Name another home.")
            if file.exists():
                shutil.copyfile(file, folder / file.name)
        except OSError as error:
            raise StoreError(
                f"{file} cannot be copied to read it: {error.strerror}.", hint="Is there room in TMPDIR?"
            ) from error


def _stores(
    home: Path,
    database: Database,
    home_id: str | None,
    clock: Callable[[], float] = time.time,
    failpoint: Failpoint = no_failpoint,
    cached_bytes: int = CACHED_BYTES,
) -> Stores:
    blobs = Blobs(home / BLOBS, failpoint, home_id)
    leases = Leases(database, clock)
    return Stores(
        home=home,
        database=database,
        blobs=blobs,
        texts=Texts(database, blobs, clock, cached_bytes),
        journal=Journal(database, clock, leases),
        leases=leases,
        threads=Threads(database, clock, leases),
        spending=Spending(database),
        snapshots=Snapshots(database, blobs, clock),
        notifications=Notifications(database, clock),
        turn_rows=TurnRows(database),
        executions=Executions(database, leases.holder_in),
        run_pages=RunPages(database),
    )
