"""An execution that is under way, and its end before its time."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from ..state.errors import TimeSpent
from ..state.stores import Stores

ENDING_SECONDS = 0.8
"""Seconds within which an execution that is cancelled must end: a stopped run ends within two (promise P10)."""


@dataclass
class Execution:
    """An execution of the graph that has begun and has not ended."""

    task: "asyncio.Task[None]"
    hurry: contextlib.ExitStack
    """Entered when the execution has to end: from then on it does not wait for other processes that write."""
    stores: Stores
    top: str
    """The run at the top of its tree, whose lease is held for it."""
    spent: TimeSpent | None = None
    """Set before it is ended because the time of its run is over."""
    overdue: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Set when it was to end and has not."""
    ending: bool = False
    """True once it was cancelled."""

    def end(self) -> bool:
        """Cancel the execution, once: a second time would cancel its tidying. Return whether it was under way."""
        if self.ending:
            return not self.task.done()
        self.ending = True
        self.hurry.enter_context(self.stores.database.hurried())
        self.overdue.get_loop().call_later(ENDING_SECONDS, self._give_up)
        return self.task.cancel()

    async def finished(self) -> None:
        """Wait until the execution has ended. Raises what it raises, and CancelledError when it is overdue.

        One that does not end when it is cancelled is left as it is: nothing of it can be saved any more.
        """
        await asyncio.wait({self.task, self.overdue}, return_when=asyncio.FIRST_COMPLETED)
        if not self.task.done():
            raise asyncio.CancelledError
        await self.task

    def _give_up(self) -> None:
        if not self.overdue.done():
            self.overdue.set_result(None)
