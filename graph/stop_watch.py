"""Finds the requests to stop runs of this process, while it executes any."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator

from ..state.errors import StoreError
from ..state.stop_requests import StopRequests
from ..state.stores import Stores

LOOK_EVERY = 0.5
"""Seconds between two looks: a request is met within one second."""


class StopWatch:
    """A repeated look at the requests. It costs one pragma while nothing is written to the home."""

    def __init__(
        self,
        stores: Stores,
        stop: Callable[[str], bool],
        stop_all: Callable[[], object],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`stop` gets the run to stop, and returns whether there was one; `stop_all` stops every one."""
        self._database = stores.database
        self._requests = StopRequests(stores.database, stores.leases)
        self._stop = stop
        self._stop_all = stop_all
        self._sleep = sleep
        self._executions = 0
        self._task: asyncio.Task[None] | None = None
        self._version: tuple[int, int] | None = None
        self._met: set[tuple[str, int]] = set()
        """The requests whose runs were stopped, and may not have ended yet."""

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Look for requests for the duration of the context, in which something is executed. Contexts may overlap."""
        self._executions += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._executions -= 1
            if not self._executions:
                self._task.cancel()
                self._task = self._version = None
                self._met.clear()

    async def _watch(self) -> None:
        while True:
            await self._sleep(LOOK_EVERY)
            # A store that cannot be read now is looked at again.
            with contextlib.suppress(StoreError):
                await self.look()

    def meet_all(self, thread_id: str, token: int) -> None:
        """Stop everything for a request that was found when this lease was released, unless a look has found it.

        A run may end between two looks, and its process may then begin another one.
        """
        if (thread_id, token) not in self._met:
            self._stop_all()

    async def look(self) -> None:
        """Stop what was asked to be stopped since the last look, by any process. Raises StoreError."""
        version = await self._database.version()
        if version == self._version:
            return
        asked = await self._requests.look()
        self._met &= asked.keys()
        new = [request for request in asked if request not in self._met]
        if any(asked[request] for request in new):
            self._stop_all()
        self._met |= {request for request in new if self._stop(request[0])}
        # An execution that has its lease and has not begun cannot be stopped yet: looked at again.
        self._version = version if asked.keys() == self._met else None
