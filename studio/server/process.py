"""Run LangGraph's server in this very process, from its first line to its last.

In this process rather than in a child: one process to signal and to wait for, nothing that outlives it, and a token
that is on no command line and in no environment (`docs/design/0016-agent-server.md`). Its socket is taken before
anything is loaded, so that a port that is taken is reported at once.
"""

import asyncio
import logging
import re
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..cli.signals import Stopping, leave_at_once
from ..serving.listening import Server, config_of
from ..serving.token import Access, set_access
from .config import set_up
from .langgraph_api_compat import NOISY_LOGGERS, load_application, log_formatter
from .shutdown import stop_runs
from .state_dir import files_in, own_folder

FOLDER = "server"
"""In the home: what LangGraph's server writes down for itself."""
_LONGEST_STOP = 1.8
"""Seconds after which a stop is an end, whatever is still open: everything that counts is saved as it happens."""

_OURS = re.compile(r"<class 'durable_rlm\.state\.errors\.(\w+)'>\((.*)\)\s*$", re.DOTALL)
_KEPT = ("level", "timestamp", "thread_id")


@dataclass(frozen=True)
class Serving:
    """One server: its home, address, socket and token."""

    home: Path
    url: str
    listening: socket.socket
    access: Access
    debug: bool = False
    colours: bool = False
    tracing: bool = False
    """True when runs are traced."""


def serve(serving: Serving, ready: Callable[[], None], stopping: Callable[[], None]) -> bool:
    """Serve until a signal comes; `ready` is called once clients can connect, `stopping` with the signal.

    Return whether the server could start; the log says why it could not. Raises StoreError, UsageError and
    OtherServer before it has begun.
    """
    with own_folder(serving.home / FOLDER):
        return _serve(serving, ready, stopping)


def _serve(serving: Serving, ready: Callable[[], None], stopping: Callable[[], None]) -> bool:
    set_access(serving.access)
    set_up(serving.home, serving.url, debug=serving.debug, colours=serving.colours, tracing=serving.tracing)
    _log(serving)
    with files_in(serving.home / FOLDER):
        app = load_application()
    # LangGraph's own handler would write to stdout.
    _log(serving)
    config = config_of(app)
    with asyncio.Runner() as runner:
        return runner.run(_until_stopped(Server(config, ready), serving, app, stopping))


async def _until_stopped(server: Server, serving: Serving, application: Any, stopping: Callable[[], None]) -> bool:
    # Imported now: it reads the environment that LangGraph's server has been given.
    from .app import end_streams

    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        try:
            if server.started:
                await stop_runs(application, serving.access)
        finally:
            server.should_exit = True

    def stop() -> None:
        _end_soon()
        stopping()
        end_streams()
        ending.append(asyncio.ensure_future(end()))

    with Stopping(stop):
        try:
            await server.serve(sockets=[serving.listening])
        except SystemExit:
            # So uvicorn says that the application did not start.
            return False
    await asyncio.gather(*ending)
    return True


def _end_soon() -> None:
    """End this process when an orderly end takes too long."""
    timer = threading.Timer(_LONGEST_STOP, leave_at_once)
    timer.daemon = True
    timer.start()


class TokenRedactor(logging.Formatter):
    """A formatter around another one that removes the token."""

    def __init__(self, formatter: logging.Formatter, token: str) -> None:
        super().__init__()
        self._formatter, self._token = formatter, token

    def format(self, record: logging.LogRecord) -> str:
        return self._formatter.format(record).replace(self._token, "[token]")


class ErrorSummaryFilter(logging.Filter):
    """A filter that logs a run's refusal or failure as one line: its client gets the same, and the server has no bug.

    LangGraph's server logs it twice, each time with a traceback through the server.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged; shorten it where it is an error of ours."""
        said = cast(dict[str, Any], record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        event = str(said.get("event", ""))
        if "Remove `format_exc_info` from your processor chain" in event:
            return False
        if not (ours := _OURS.search(event)):
            return True
        brief = {"event": f"{ours[1]}: {ours[2]}", **{name: said[name] for name in _KEPT if name in said}}
        record.msg, record.exc_info = brief, None
        return not event.startswith("Background run failed")


def _log(serving: Serving) -> None:
    """Warnings and errors to stderr, and with `--debug` all but single messages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TokenRedactor(log_formatter(), serving.access.token))
    if not serving.debug:
        handler.addFilter(ErrorSummaryFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if serving.debug else logging.WARNING)
    if not serving.debug:
        for name in NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
