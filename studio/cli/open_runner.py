"""The event loop of a command that runs something, and the home that is open in it between stretches of work."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from . import gc_tuning

if TYPE_CHECKING:
    from ...graph.runner import Runner

TIDYING = 0.2
"""Seconds that cancelled work has to end."""


class OpenRunner:
    """An event loop and the home that is open in it. The loop does not run between stretches of work."""

    def __init__(self, home: Path, *, tracing: bool = False) -> None:
        self.loop = asyncio.Runner()
        self._home = home
        self._tracing = tracing
        self._opened = contextlib.AsyncExitStack()
        self._runner: Runner | None = None
        self.stuck = False
        """True when something is still under way that does not end when it is cancelled."""

    async def runner(self) -> "Runner":
        """Return the runner over the home, opening it first if needed. Raises StoreError."""
        # Imported here: LangGraph takes a second to import, and the display should appear before that.
        from ...graph.runner import Runner

        gc_tuning.keep()
        if self._runner is None:
            opening = Runner.open(self._home, tracing=self._tracing)
            self._runner = await self._opened.enter_async_context(opening)
        return self._runner

    async def close(self) -> None:
        """Close the home if it is open. The loop stays open."""
        self._runner = None
        await self._opened.aclose()

    def end(self) -> None:
        """Close the home and the loop."""
        if self._runner is not None:
            self.loop.run(self.close())
        self.stuck = self.loop.run(_anything_left())
        if not self.stuck:
            self.loop.close()


async def _anything_left() -> bool:
    """Cancel what is still under way. Return whether any of it does not end."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    return bool(tasks) and bool((await asyncio.wait(tasks, timeout=TIDYING))[1])
