"""The first steps of every forked process: it lets go of what was the fork server's."""

import fcntl
import json
import os
import signal
import socket
from typing import NoReturn

FIRST = 3
"""The first descriptor after the standard streams."""
_HIGH, _MOST_OPEN = 100, 4096
"""Descriptors above all of the fork server: the first free one, and the end of those that are closed."""
_FAILED = 70


def settle(descriptors: "list[int]", environment: "dict[str, str]") -> None:
    """Drop the fork server's signal handlers, environment, streams and open files.

    The descriptors that the process received are then in order from `FIRST` on.
    """
    signal.set_wakeup_fd(-1)
    for one in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    # First moved above all others, then down to their places.
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _HIGH) for one in descriptors]
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(FIRST):
        os.dup2(nothing, stream)
    for place, one in enumerate(high, FIRST):
        os.dup2(one, place, inheritable=False)
    os.closerange(FIRST + len(high), _MOST_OPEN)


def fail(place: int, error: BaseException) -> NoReturn:
    """Send the host the reason over the socket `place`, and end the process."""
    socket.socket(fileno=place).send(json.dumps({"error": f"{type(error).__name__}: {error}"[:1000]}).encode())
    os._exit(_FAILED)
