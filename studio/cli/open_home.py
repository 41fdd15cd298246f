"""A home that stays open while a person is asked: what starts kernels takes seconds to begin again."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from . import gc_tuning

if TYPE_CHECKING:
    from ...graph.runner import Runner


class OpenHome:
    """One event loop, and the home that is open in it. Between stretches of work the loop stands still."""

    def __init__(self, home: Path, *, tracing: bool = False) -> None:
        self.loop = asyncio.Runner()
        self._home = home
        self._tracing = tracing
        self._opened = contextlib.AsyncExitStack()
        self._runner: Runner | None = None

    async def runner(self) -> "Runner":
        """The runner over it, opened when it is not. Raises StoreError."""
        # Here, not above: LangGraph takes a second to import, and the display should be there before it.
        from ...graph.runner import Runner

        gc_tuning.keep()
        if self._runner is None:
            opening = Runner.open(self._home, tracing=self._tracing)
            self._runner = await self._opened.enter_async_context(opening)
        return self._runner

    async def close(self) -> None:
        """Close the home, if it is open; the loop stays."""
        self._runner = None
        await self._opened.aclose()

    def end(self) -> None:
        """Close the home and the loop."""
        if self._runner is not None:
            self.loop.run(self.close())
        self.loop.close()
