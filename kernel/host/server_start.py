"""The start of a fork server's process, with what its self-test tries to reach."""

import contextlib
import socket
import subprocess
from pathlib import Path
from typing import Any

from .sandbox_tiers import TIERS, Start, as_canary, missing

START_SECONDS = 60.0


class NoSandbox(Exception):
    """No sandbox tier holds on this machine."""

    def __init__(self, reasons: dict[str, list[str]]) -> None:
        self.reasons = reasons
        said = "; ".join(f"{tier}: {', '.join(why)}" for tier, why in reasons.items())
        super().__init__(f"No sandbox holds on this machine ({said}).")
        self.hint = f"To run model code, {missing(TIERS)}."


def spawn(start: Start, theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Start the process, with its end of the socket. Raises OSError.

    Not in a thread that may end before it: the fork server ends with the thread that started it.
    """
    return subprocess.Popen(
        start.command,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=start.environment,
        cwd="/",
        start_new_session=True,
    )


def last_words(process: subprocess.Popen[bytes]) -> str:
    """End a process that did not start, and return the last line that it wrote to stderr."""
    process.kill()
    _, errors = process.communicate()
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def canary(folder: Path, held: contextlib.ExitStack) -> dict[str, Any]:
    """Create the file and the sockets that the probes try to reach; the sockets are closed with `held`."""
    place = folder / "canary"
    place.mkdir(mode=0o700)
    file = place / "file"
    file.write_text("nobody in a sandbox reads this")
    for address in (str(place / "socket"), f"\0{place / 'socket'}"):
        listener = held.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(address)
        listener.listen()
    return as_canary(str(file), str(place / "socket"))
