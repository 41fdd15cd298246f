"""Named places at which a test and code in an in-memory kernel, which share a process, wait for each other."""

import threading
from collections import defaultdict

_PLACES: defaultdict[str, threading.Event] = defaultdict(threading.Event)
_SECONDS = 30.0


def pass_(place: str) -> None:
    """Open this place for all who wait at it, now and later."""
    _PLACES[place].set()


def wait_at(place: str) -> None:
    """Wait until this place is opened. Raises TimeoutError after 30 s."""
    if not _PLACES[place].wait(_SECONDS):
        raise TimeoutError(f"nothing passed {place}")


def forget() -> None:
    """Close every place again."""
    _PLACES.clear()
