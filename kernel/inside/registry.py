"""The registry of posted calls.

A call is posted to the registry, and the calling code waits on a future in its own thread or coroutine. The carrier of
messages (`kernel.py` for a real kernel, a thread in the in-memory one) takes the posted calls and settles them. The
registry can be listed, so no call is ever lost with a message.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

from .sub_call_errors import SubCallError

_clock = time.perf_counter  # bound now: code of cells may patch the module
Outcome = dict[str, Any]
"""`{"value": …}` or `{"error": {"kind": …, "message": …}}`."""


class Request(NamedTuple):
    """A call as it is posted, and its weight: its characters, plus a constant for it and for each of its texts."""

    body: dict[str, Any]
    weight: int


class Registry:
    """The calls that the running cell waits for. Any thread may post; outcomes come from the carrier's thread."""

    def __init__(self, posted: Callable[[], None]) -> None:
        self._posted = posted
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Future[Outcome], Request]] = {}
        self._last = 0
        self._open = False
        self._waited = 0.0
        self._since: float | None = None

    def open(self) -> None:
        """Accept calls, as a cell begins."""
        self._open = True
        _opened.here = _opened_last[0] = self

    def close(self) -> None:
        """Cancel the calls that still wait and refuse later ones, as the cell has ended."""
        self._open = False
        with self._lock:
            left, self._waiting = self._waiting, {}
            self._note_waiting()
        for future, _ in left.values():
            _settle(future, {"error": {"kind": "cancelled", "message": "the cell that asked has ended"}})

    def waited(self) -> float:
        """Return the seconds during which calls were unsettled, so far."""
        with self._lock:
            return self._waited + (0.0 if self._since is None else _clock() - self._since)

    def _note_waiting(self) -> None:
        """Note whether calls are unsettled from now on. The lock is held."""
        if self._waiting and self._since is None:
            self._since = _clock()
        elif not self._waiting and self._since is not None:
            self._waited += _clock() - self._since
            self._since = None

    def post(self, requests: Iterable[Request]) -> list[Future[Outcome]]:
        """Post requests in order and return the futures of their outcomes. Raises SubCallError when no cell runs.

        Each body has as `rest` the number of calls that are posted together from it on.
        """
        futures: list[Future[Outcome]] = []
        posted = list(requests)
        with self._lock:
            if not self._open:
                raise SubCallError("no cell is running: a thread left over from an earlier cell cannot ask a model")
            for number, request in enumerate(posted):
                self._last += 1
                future: Future[Outcome] = Future()
                body = {"id": self._last, **request.body, "rest": len(posted) - number}
                self._waiting[self._last] = (future, Request(body, request.weight))
                futures.append(future)
            self._note_waiting()
        if futures:
            self._posted()
        return futures

    def take(self, after: int, limit: int, most: int) -> tuple[list[dict[str, Any]], int]:
        """Return unsettled calls with ids above `after`, oldest first, and their weight.

        They are at most `limit` calls and `most` of weight, or a single call of more.
        """
        taken: list[dict[str, Any]] = []
        weight = 0
        with self._lock:
            for number in range(after + 1, self._last + 1):
                entry = self._waiting.get(number)
                if entry is None:
                    continue
                request = entry[1]
                if taken and (len(taken) >= limit or weight + request.weight > most):
                    break
                weight += request.weight
                taken.append(request.body)
        return taken, weight

    def settle(self, number: int, outcome: Outcome) -> None:
        """Deliver an outcome to the code that waits for it. Unknown and settled numbers are ignored."""
        with self._lock:
            entry = self._waiting.pop(number, None)
            self._note_waiting()
        if entry:
            _settle(entry[0], outcome)


class _Opened(threading.local):
    """The registry that was opened last in this thread."""

    here: "Registry | None" = None


_opened = _Opened()
_opened_last: "list[Registry | None]" = [None]
"""The registry that was opened last in any thread: tests have several REPLs in one process, kernels one."""


def running() -> Registry:
    """Return the registry of the cell that runs, for code that was given none. Raises SubCallError."""
    registry = _opened.here or _opened_last[0]
    if registry is None:
        raise SubCallError("no cell is running")
    return registry


def _settle(future: "Future[Outcome]", outcome: Outcome) -> None:
    # Code that was interrupted or cancelled no longer waits.
    if future.set_running_or_notify_cancel():
        future.set_result(outcome)
