"""Maintains a home: verifies runs, deletes them, frees data that nothing refers to, and copies it."""

import asyncio
import fcntl
import shutil
import threading
import time
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from secrets import token_hex as new_token
from typing import TypeVar

from ..state.blobs.store import Blobs, locked
from ..state.call_search.file import remove_search_file
from ..state.db.reserve import is_nearly_full, reserve_given_up, write_little
from ..state.errors import StoreError, UnknownThread, UsageError
from ..state.failpoints import Failpoint, no_failpoint
from ..state.fsync import make_folder, mark_home, sync_folder
from ..state.home_access import BLOBS, DATABASE, remember_made
from ..state.input.extracts import KEPT_SECONDS
from ..state.logs import remove_logs
from ..state.maintenance.copying import Copied, HomeCopy, copy_database
from ..state.maintenance.copying import OnProgress as OnCopied
from ..state.maintenance.delete import Deleted, delete_run
from ..state.maintenance.gc import Collected, collect
from ..state.maintenance.gc import OnProgress as OnCollected
from ..state.maintenance.report import Report
from ..state.maintenance.scrubbing import Scrubber
from ..state.maintenance.verify import verify
from ..state.maintenance.verify_context import OnProgress
from ..state.open_home import open_stores
from ..state.stores import Stores
from .queries import RunQueries

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
    """Delete a run and its child runs with their logs, at once or not at all. Raises UnknownThread, RunBusy."""
    thread_id = await named(stores, name)
    with reserve_given_up(stores.home):
        if is_nearly_full(stores.home):
            await stores.database.look(write_little)
        deleted = await stores.database.commit(
            lambda connection: delete_run(connection, stores.leases, thread_id), "delete"
        )
    await asyncio.to_thread(remove_traces, stores.home, deleted.threads)
    return deleted


def remove_traces(home: Path, thread_ids: Collection[str]) -> None:
    """Delete the logs of deleted runs, and the words of all calls: searches collect those of the other runs again."""
    remove_logs(home, thread_ids)
    # What cannot be removed now is removed by the next search, which misses the rows.
    with suppress(StoreError):
        remove_search_file(home)


async def collect_garbage(
    home: Path,
    *,
    dry_run: bool = False,
    extracted: bool = False,
    on_progress: OnCollected = lambda records: None,
    failpoint: Failpoint = no_failpoint,
) -> Collected:
    """Free the data that nothing under `home` refers to; `on_progress` is called in another thread. Raises StoreError.

    `extracted`: free all extracted texts of documents and search indexes, not only those not used for 30 days.

    When no process has the home open, this one included, all of it is freed; otherwise recently needed data stays.
    """
    blobs = Blobs(home / BLOBS)
    return await _in_thread(
        lambda cancelled: collect(
            home / DATABASE,
            blobs,
            dry_run=dry_run,
            extracted_for=0.0 if extracted else KEPT_SECONDS,
            on_progress=on_progress,
            cancelled=cancelled,
            failpoint=failpoint,
        )
    )


async def copy_home(
    source: Path,
    target: Path,
    *,
    secrets: Collection[str] | None = None,
    on_progress: OnCopied = lambda what, records, size: None,
    clock: Callable[[], float] = time.time,
) -> Copied:
    """Copy a home to the folder `target`, beside processes that use it, and check the copy; `source` is only read.

    With `secrets` they are taken out of the copy (`scrubbing.py`), as are those of addresses in its runs.
    `on_progress` is called in another thread. Raises UsageError when there is nothing to copy or `target` has something
    in it, StoreError. Until the copy is whole, nothing is at `target`.
    """
    await asyncio.to_thread(_check_places, source, target)
    partial = target.with_name(f".{target.name}.partial-{new_token(8)}")
    copied = Blobs(partial / BLOBS, home_id=(home_id := new_token(32)))
    scrubber = None if secrets is None else Scrubber(secrets)
    try:
        await asyncio.to_thread(make_folder, partial)
        with _blobs_kept(source / BLOBS):
            await _in_thread(
                lambda cancelled: copy_database(source / DATABASE, partial / DATABASE, on_progress, cancelled)
            )
            await bring_up_to_date(partial)
            result = await _in_thread(
                lambda cancelled: HomeCopy(
                    partial / DATABASE, Blobs(source / BLOBS), copied, on_progress, cancelled
                ).finish(home_id, scrubber, clock())
            )
        await asyncio.to_thread(_put_in_place, partial, target)
    except OSError as error:
        raise StoreError(f"Cannot write {partial}: {error.strerror}.", hint="Name another place.") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
    await asyncio.to_thread(remember_made, target, home_id)
    return result


def _check_places(source: Path, target: Path) -> None:
    """Raise UsageError when there is no home to copy, or something is at its new place already."""
    if not (source / DATABASE).is_file():
        raise UsageError(f"There is no home in {source}.", hint=f"A home is a folder with {DATABASE} in it.")
    if target.is_symlink() or (target.exists() and not target.is_dir()) or (target.exists() and any(target.iterdir())):
        raise UsageError(f"{target} is not empty, and is not overwritten.", hint="Name a folder that does not exist.")
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{target} lies in the home that is to be copied.", hint="Name another folder.")
    if (source / BLOBS).is_symlink():
        raise StoreError(f"{source / BLOBS} is a link, which is not followed.", hint="Put the folder itself there.")


@contextmanager
def _blobs_kept(folder: Path) -> Generator[None]:
    """Keep blobs from being deleted, while others may be added."""
    with locked(folder, fcntl.LOCK_SH) if folder.is_dir() else nullcontext():
        yield


def _put_in_place(partial: Path, target: Path) -> None:
    make_folder(target.parent)
    mark_home(partial)
    partial.replace(target)
    sync_folder(target.parent)


async def bring_up_to_date(home: Path) -> None:
    """Migrate the home's database to this version's format. Raises StoreError, also for files of other users."""
    with reserve_given_up(home):
        async with open_stores(home):
            pass


async def _in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop.is_set)
    finally:
        # A thread cannot be cancelled, so this one polls a stop event.
        stop.set()
