"""Maintains a home: verifies runs, deletes them, and frees data that nothing refers to."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..nodes.runtime.dependencies import Stores
from ..state.blobs.store import Blobs
from ..state.db.connection import Database
from ..state.db.reserve import is_nearly_full, reserve_given_up, write_little
from ..state.errors import StoreError, UnknownThread
from ..state.failpoints import Failpoint, no_failpoint
from ..state.maintenance.delete import Deleted, delete_run
from ..state.maintenance.gc import Collected, collect
from ..state.maintenance.gc import OnProgress as OnCollected
from ..state.maintenance.report import Report
from ..state.maintenance.verify import verify
from ..state.maintenance.verify_context import OnProgress
from .queries import RunQueries
from .wiring import BLOBS, DATABASE

T = TypeVar("T")


async def named(stores: Stores, name: str) -> str:
    """Return the thread called `name`, or the only one whose id begins with it, also when the index lacks it.

    Raises UnknownThread.
    """
    try:
        return await RunQueries(stores).resolve(name)
    except (UnknownThread, StoreError):
        # A thread of a plain LangGraph caller, or one whose entry in the index is lost or cannot be read.
        rows = await stores.database.read("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (name,))
        if rows:
            return name
        raise


async def verify_run(stores: Stores, name: str, on_progress: OnProgress = lambda records, size, kind: None) -> Report:
    """Read and check every byte that a run needs; `on_progress` is called in another thread. Raises UnknownThread."""
    thread_id = await named(stores, name)
    path = stores.database.path
    return await _in_thread(
        lambda cancelled: verify(path, stores.blobs, thread_id, on_progress=on_progress, cancelled=cancelled)
    )


async def delete_runs(stores: Stores, name: str) -> Deleted:
    """Delete a run and its child runs, at once or not at all. Raises UnknownThread, RunBusy."""
    thread_id = await named(stores, name)
    with reserve_given_up(stores.home):
        if is_nearly_full(stores.home):
            await stores.database.look(write_little)
        return await stores.database.commit(
            lambda connection: delete_run(connection, stores.leases, thread_id), "delete"
        )


async def collect_garbage(
    home: Path,
    *,
    dry_run: bool = False,
    on_progress: OnCollected = lambda records: None,
    failpoint: Failpoint = no_failpoint,
) -> Collected:
    """Free the data that nothing under `home` refers to; `on_progress` is called in another thread. Raises StoreError.

    When no process has the home open, this one included, all of it is freed; otherwise recently needed data stays.
    """
    blobs = Blobs(home / BLOBS)
    return await _in_thread(
        lambda cancelled: collect(
            home / DATABASE, blobs, dry_run=dry_run, on_progress=on_progress, cancelled=cancelled, failpoint=failpoint
        )
    )


async def bring_up_to_date(home: Path) -> None:
    """Migrate the home's database to this version's format. Raises StoreError."""
    with reserve_given_up(home):
        async with Database.open(home / DATABASE):
            pass


async def _in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop.is_set)
    finally:
        # A thread cannot be cancelled, so this one polls a stop event.
        stop.set()
