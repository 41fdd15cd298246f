"""Serves the page in this process until a signal comes."""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from ..cli.signals import Stopping, leave_at_once
from ..serving.guard import Guard
from ..serving.listening import LONGEST_STOP, Server, config_of
from ..serving.token import Access
from .app import create_app
from .home import HomeOpener


@dataclass(frozen=True)
class PageServer:
    """A server of the page: its home, socket and token."""

    home: Path
    listening: socket
    access: Access
    reads_copy: Callable[[], bool] = lambda: False
    """Says whether the home that is there may only be read, as a copy."""
    debug: bool = False

    def serve(self, ready: Callable[[], None], stopping: Callable[[], None]) -> bool:
        """Serve until a signal comes; `ready` is called once browsers can connect, `stopping` with the signal.

        Return whether the server could start.
        """
        _log(debug=self.debug)
        opener = HomeOpener(self.home, reads_copy=self.reads_copy)
        app = create_app(opener)

        def stop() -> None:
            stopping()
            # Streams of events end by themselves then, and need not be waited for.
            app.state.live.end()

        config = config_of(Guard(app, "", self.access))
        with asyncio.Runner() as runner:
            return runner.run(self._until_stopped(Server(config, ready), stop))

    async def _until_stopped(self, server: Server, stopping: Callable[[], None]) -> bool:
        def stop() -> None:
            stopping()
            server.should_exit = True
            asyncio.get_running_loop().call_later(2 * LONGEST_STOP, leave_at_once)

        with Stopping(stop):
            try:
                await server.serve(sockets=[self.listening])
            except SystemExit:
                # So uvicorn says that the application did not start.
                return False
        return True


def _log(*, debug: bool) -> None:
    """Write warnings to stderr, and with `debug` tracebacks: a page says by itself that something went wrong."""
    root = logging.getLogger()
    root.handlers[:] = [logging.StreamHandler(sys.stderr)]
    root.setLevel(logging.WARNING)
    if not debug:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
