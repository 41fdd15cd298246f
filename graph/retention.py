"""Deletes old runs (`rlm gc --older-than`), one after another: those deleted when it is stopped stay deleted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ..state.db.reserve import is_nearly_full, reserve_given_up, write_little
from ..state.errors import RunBusy, StoredDataDamaged
from ..state.failpoints import Failpoint, no_failpoint
from ..state.maintenance.delete import Deleted
from ..state.maintenance.gc import Collected
from ..state.maintenance.retention import OldRuns, delete_if_old, standing_of, trees_of
from ..state.stores import Stores
from ..state.threads import Thread
from .maintenance import collect_garbage, remove_traces


async def delete_old_runs(
    stores: Stores, seconds: float, *, dry_run: bool = False, on_progress: Callable[[int], None] = lambda runs: None
) -> OldRuns:
    """Delete the runs that were not touched for `seconds`, each with its sub-RLMs, at once or not at all.

    Runs that wait for a reviewer, that a process runs, or whose rows are damaged are kept, and returned as kept.
    `on_progress` gets the number of runs looked at. `dry_run`: delete nothing. Raises StoreError.
    """
    before = stores.threads.now() - seconds
    found = OldRuns()
    trees = trees_of(await stores.threads.all())
    alive = await stores.leases.holder_alive([row.thread_id for tree in trees.values() for row in tree])
    with reserve_given_up(stores.home):
        if not dry_run and is_nearly_full(stores.home):
            await stores.database.look(write_little)
        for number, (name, tree) in enumerate(trees.items()):
            on_progress(number)
            if any(row.damaged for row in tree):
                found.kept[name] = "damaged"
            elif max(row.updated for row in tree) >= before:
                continue
            elif any(row.thread_id in alive for row in tree):
                found.kept[name] = "running"
            elif dry_run:
                await _would_delete(stores, name, tree, before, found)
            else:
                await _delete(stores, name, before, found)
    return found


async def tidy(
    stores: Stores, older_than: float | None, *, dry_run: bool = False, failpoint: Failpoint = no_failpoint
) -> Collected:
    """Delete the runs that were not touched for `older_than` seconds, if that is given; then free what none needs."""
    old = OldRuns() if older_than is None else await delete_old_runs(stores, older_than, dry_run=dry_run)
    return replace(await collect_garbage(stores.home, dry_run=dry_run, failpoint=failpoint), old=old)


async def _delete(stores: Stores, name: str, before: float, found: OldRuns) -> None:
    try:
        outcome = await stores.database.commit(
            partial(delete_if_old, leases=stores.leases, name=name, before=before), "delete"
        )
    except RunBusy:
        # By now, or a fork of it: that finds recorded answers here.
        outcome = "running"
    except StoredDataDamaged:
        outcome = "damaged"
    if isinstance(outcome, Deleted):
        found.deleted += outcome.threads
        await asyncio.to_thread(remove_traces, stores.home, outcome.threads)
    elif outcome != "young":
        found.kept[name] = outcome


async def _would_delete(stores: Stores, name: str, tree: Sequence[Thread], before: float, found: OldRuns) -> None:
    names = [row.thread_id for row in sorted(tree, key=lambda row: (row.thread_id != name, row.created))]
    try:
        standing = await stores.database.look(partial(standing_of, name=name, before=before))
    except StoredDataDamaged:
        standing = "damaged"
    if standing == "old":
        found.deleted += names
    elif standing != "young":
        found.kept[name] = standing
