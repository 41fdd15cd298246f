"""The page beside a run (`--view`): `rlm view` in a process of its own, which the command ends when it ends itself.

The run does not depend on it, and it does not hold up the run.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from ..terminal.console import at_terminal, say
from .signals import interruptible

_ENDING = 5.0
"""Seconds that the page's process is given to end."""
_ENDS_WITH_STDIN = "RLM_PAGE_ENDS_WITH_STDIN"


def end_with_caller() -> None:
    """In the page's process: end when the command has ended, however it has; nothing elsewhere."""
    if os.environ.pop(_ENDS_WITH_STDIN, None):
        threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    # Nothing is ever written there: its end means that the other side is gone.
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def path_of(thread_id: str | None) -> str:
    """Return the path of a run's page; that of the list for None."""
    return f"/runs/{quote(thread_id, safe='')}" if thread_id else "/"


class PageBeside:
    """The page of a run that the command executes."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None

    def begun(self, thread_id: str, show: Callable[[str], None]) -> None:
        """Open the page on a run that has begun, once. `show` gets its address, in another thread."""
        if self._process is not None:
            return
        # Without -P a module of the folder would be imported in place of one of ours.
        line = [sys.executable, "-P", "-m", "durable_rlm", "--home", str(self._home.absolute()), "view", "--json"]
        self._process = subprocess.Popen(
            [*line, "--", thread_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, _ENDS_WITH_STDIN: "1"},
            # A signal of the terminal is for the command, which then ends the page.
            start_new_session=True,
        )
        threading.Thread(target=self._announce, args=(self._process, thread_id, show), daemon=True).start()

    @staticmethod
    def _announce(process: "subprocess.Popen[str]", thread_id: str, show: Callable[[str], None]) -> None:
        assert process.stdout is not None
        try:
            about = json.loads(process.stdout.readline())
            show(f"Page: {about['url']}{path_of(thread_id)}?token={about['token']}")
        except (ValueError, KeyError, TypeError):
            show("The page could not be served; `rlm view` says why.")

    def end(self, *, stays: bool) -> None:
        """End the page. With `stays` it is kept open at a terminal until the user interrupts it."""
        if self._process is None:
            return
        try:
            if stays and at_terminal() and self._process.poll() is None:
                say("The page stays until Ctrl-C.")
                self._wait(self._process)
        finally:
            self._process.terminate()
            try:
                self._process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                self._process.kill()
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()

    @staticmethod
    def _wait(process: "subprocess.Popen[str]") -> None:
        try:
            with interruptible():
                process.wait()
        except KeyboardInterrupt:
            return
