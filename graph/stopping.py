"""Stops runs that other processes execute, and waits until no process executes a run."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

from ..state.errors import UnknownThread
from ..state.leases import this_process
from ..state.stop_requests import StopRequests
from ..state.stores import Stores
from .queries import RunQueries

LOOK_EVERY = 0.5
"""Seconds between two looks at a run that is waited for."""


@dataclass(frozen=True)
class Holder:
    """The process that executes a run."""

    pid: int
    host: str
    """The name of its machine; empty for this one."""
    suspended: bool
    """True when it was suspended (SIGSTOP) and cannot react."""


async def request_stop(stores: Stores, thread: str) -> bool:
    """Ask the process that executes a run to stop it. Return whether there is one. Raises StoreError."""
    try:
        return await StopRequests(stores.database, stores.leases).enter(await RunQueries(stores).resolve(thread))
    except UnknownThread:
        return False


async def holder_of(stores: Stores, thread_id: str) -> Holder | None:
    """Return the living process that executes the thread, or the tree that it is a part of; None without any."""
    owner = await stores.leases.holder(thread_id)
    if owner is None and await _is_settled(stores, thread_id):
        return None
    owner = owner or await stores.leases.holder(await stores.threads.top_of(thread_id))
    return None if owner is None else _holder(owner)


async def _is_settled(stores: Stores, thread_id: str) -> bool:
    """Return whether the thread has its answer: its tree may still be executed, and changes nothing of it."""
    return (await stores.threads.look(thread_id)).status == "answered"


async def wait_until_idle(
    stores: Stores,
    thread_id: str,
    on_look: Callable[[Holder], None] = lambda holder: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once no living process executes the thread. Raises StoreError.

    `on_look` gets the process that does, at every look.
    """
    while holder := await holder_of(stores, thread_id):
        on_look(holder)
        await sleep(LOOK_EVERY)


def _holder(owner: dict[str, object]) -> Holder:
    # A row that is damaged has neither.
    pid = owner.get("pid")
    number, host = pid if isinstance(pid, int) else 0, str(owner.get("host", "?"))
    here = host == this_process()["host"]
    return Holder(number, "" if here else host, here and _is_suspended(number))


def _is_suspended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
