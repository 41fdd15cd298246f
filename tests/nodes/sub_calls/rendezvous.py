"""Where a test and code in an in-memory kernel, which share a process, wait for each other."""

import threading
from collections import defaultdict

_PLACES: defaultdict[str, threading.Event] = defaultdict(threading.Event)
_SECONDS = 30.0


def pass_(place: str) -> None:
    """Let go whoever waits at this place, now and later."""
    _PLACES[place].set()


def wait_at(place: str) -> None:
    """Wait until somebody passes it. Raises TimeoutError."""
    if not _PLACES[place].wait(_SECONDS):
        raise TimeoutError(f"nobody passed {place}")


def forget() -> None:
    """Begin anew."""
    _PLACES.clear()
