"""The `rlm view` command, which shows runs in a browser."""

import os
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ...state.errors import UsageError
from ..cli.agreeing import reads_copy
from ..cli.common import command, from_library
from ..cli.page_beside import end_with_caller, path_of
from ..cli.signals import STOPPED, interruptible
from ..invocation import Invocation
from ..terminal.console import put, say
from ..terminal.errors import NOT_BEGUN, report
from ..terminal.escape import safe, safe_json

if TYPE_CHECKING:
    from socket import socket

HOST = "127.0.0.1"
PORT = 8717
"""The port that is tried first, so that addresses in a browser's history lead to the page of another day."""

Thread = Annotated[
    str | None,
    typer.Argument(metavar="[THREAD]", help="The run to open, by its name or the beginning of one. Default: the list"),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", min=0, max=65535, help=f"The port to listen on. Default: {PORT}, or a free one if taken"
    ),
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Print the address, and open no browser.")]


@command
def view(invocation: Invocation, thread: Thread = None, port: Port = None, no_open: NoOpen = False) -> None:
    """Show runs in a browser: answers and their evidence, turns, calls, input, steps; live while they run.

    Serves the page of the runs in --home on this machine alone, until Ctrl-C. Each start prints an address with a
    token; requests without the token are refused. Where there is no screen, no browser is opened. Nothing is fetched
    from elsewhere.

    [bold]Examples[/bold]

      rlm view
      rlm view which-contracts-end-3f2a
      rlm view --no-open --port 0 --json
    """
    end_with_caller()
    name = None if thread is None else from_library(invocation, lambda library: library.resolve(thread))
    with interruptible():
        started = serve(invocation, path_of(name), port, opens=not no_open)
    if not started:
        report("ServerError", "The page could not be served.", as_json=invocation.json)
        raise typer.Exit(1)
    raise typer.Exit(STOPPED)


def serve(
    invocation: Invocation, path: str, port: int | None, *, opens: bool, show: Callable[[str], None] = put
) -> bool:
    """Serve the page until a signal comes, and open a browser at `path`. Return whether the server could start.

    `show` prints the address. Raises UsageError for a port that is taken.
    """
    from ..page.process import PageServer
    from ..serving.listening import url_of
    from ..serving.token import Access

    access = Access.chosen_or_new(announced=True)
    with _listening(port) as listening:
        url = url_of(HOST, listening)

        def ready() -> None:
            if invocation.json and show is put:
                put(safe_json({"url": url, "token": access.token, "pid": os.getpid()}, one_line=True))
            else:
                show(f"The page of {safe(str(invocation.home))}. Ctrl-C stops it; runs go on.\n")
                show(f"  {url}{path}?token={access.token}\n")
            if opens and has_screen():
                threading.Thread(target=_open, args=(f"{url}{path}?ticket={access.new_ticket()}",), daemon=True).start()

        server = PageServer(invocation.home, listening, access, partial(reads_copy, invocation), invocation.debug)
        try:
            return server.serve(ready, lambda: say("Stopping."))
        except KeyboardInterrupt:
            report(NOT_BEGUN, "Stopped before the page was served.", as_json=invocation.json)
            raise typer.Exit(STOPPED) from None


def page_of(invocation: Invocation) -> Callable[[str | None], None]:
    """Return a function that serves the page, opened on a run, until a signal comes; its address goes to stderr."""

    def served(thread: str | None) -> None:
        with interruptible():
            serve(invocation, path_of(thread), None, opens=True, show=say)

    return served


def _listening(port: int | None) -> "socket":
    from ..serving.listening import listen

    if port is None:
        with suppress(UsageError):
            return listen(HOST, PORT)
    return listen(HOST, port or 0)


def has_screen() -> bool:
    """Return whether a browser that is opened here can be seen: not over ssh, in a container or in a service."""
    if sys.platform == "darwin":
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))


def _open(url: str) -> None:
    with suppress(webbrowser.Error, OSError):
        if webbrowser.open(url):
            return
    say("No browser could be opened: open the address yourself.")
