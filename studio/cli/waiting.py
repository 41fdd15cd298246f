"""Waiting at the command line until no process executes a run, and what is said meanwhile."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..terminal.console import say
from ..terminal.escape import safe_line
from .signals import Stopping

if TYPE_CHECKING:
    from ...graph.stopping import Holder

_PATIENCE = 3.0
"""Seconds after which a process that was asked to stop, and has not, is mentioned."""


async def uninterrupted(work: Coroutine[Any, Any, None]) -> bool:
    """Do the work. Return False when a signal (Ctrl-C) ended it before it was done."""
    task = asyncio.ensure_future(work)
    with Stopping(task.cancel) as stopping:
        try:
            await task
        except asyncio.CancelledError:
            if not stopping.requested:
                raise
            return False
    return True


class Remarks:
    """Remarks about the process that is waited for, each made once."""

    def __init__(self, *, asked_to_stop: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._asked_to_stop = asked_to_stop
        self._clock = clock
        self._began = clock()
        self._said: set[str] = set()

    def look(self, holder: "Holder") -> None:
        """Say what keeps the process, if anything does."""
        process = process_named(holder)
        if holder.suspended:
            self._say(f"{process} is suspended, so it does nothing until `kill -CONT {holder.pid}` wakes it.")
        elif self._asked_to_stop and self._clock() - self._began > _PATIENCE:
            self._say(f"{process} has not stopped it yet.")

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            say(line, whole=True)


def process_named(holder: "Holder") -> str:
    """Return words for a process: its number, and its machine if that is another one."""
    return f"Process {holder.pid}" + (f" on {safe_line(holder.host)}" if holder.host else "")
