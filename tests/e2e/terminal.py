"""The `rlm` program in a terminal."""

import contextlib
import os
import pty
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.program import CLEAN, RLM


class Terminal:
    """The program on a pseudo-terminal, shared by every process that it starts."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self._screen, theirs = pty.openpty()
        environment = CLEAN | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"} | environ
        self.process = subprocess.Popen(
            [str(RLM), *arguments],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            process_group=0,
        )
        os.close(theirs)
        os.set_blocking(self._screen, False)
        self.text = ""

    def read(self, until: Callable[[], bool], seconds: float = 30) -> str:
        """Return all output, once `until` holds."""
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            try:
                self.text += os.read(self._screen, 1 << 16).decode(errors="replace")
            except OSError:
                # Nothing to read yet; or the program has closed its side, and may still be about to end.
                time.sleep(0.01)
        assert until(), self.words[-3000:]
        return self.text

    def shows(self, text: str) -> str:
        return self.read(lambda: text in self.text)

    def asks(self, again: int = 1) -> str:
        """Return all output, once the review prompt has been shown so many times."""
        return self.read(lambda: self.text.count("[s]kip > ") >= again)

    def type(self, text: str) -> None:
        """Send these keys."""
        os.write(self._screen, text.encode())

    @property
    def words(self) -> str:
        """The output without colours and with newlines as line ends."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.text).replace("\r\n", "\n")

    def ended(self) -> int:
        self.read(lambda: self.process.poll() is not None)
        self.read(lambda: True)
        with contextlib.suppress(OSError):
            self.text += os.read(self._screen, 1 << 16).decode(errors="replace")
        os.close(self._screen)
        return self.process.returncode
