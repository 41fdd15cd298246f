"""Limit the work that a JSON Schema may take, by counted steps and by a time limit above them.

Schemas come from model code, and a kilobyte of one can ask for more steps than could ever be done. Steps are counted
rather than seconds measured, so that the same schema and the same answer always end in the same verdict. The time limit
is far above what that many steps take: it stops only what the count misjudges.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

STEPS = 100_000
"""Steps of one check: one or two seconds of computing. Checking a schema of a thousand properties itself takes half."""
STEPS_A_VALUE = 100
"""Steps that each value in an answer adds: a table takes work in proportion to its length."""
MOST_STEPS = 3_000_000
SECONDS = 30.0
PATTERN_SECONDS = 1.0
"""Seconds for all matches of regular expressions in one check."""
QUICK_STEPS = 4_000
QUICK_SECONDS = 0.05
"""Limits on the event loop, where everything else waits: about ten milliseconds of work."""


_STEPS_A_LOOK = 64
"""Steps between two looks at the clock."""


class SchemaInvalid(ValueError):
    """Raised when the schema itself cannot be used; says why in a few words."""


class SchemaTooCostly(SchemaInvalid):
    """Raised when checking something against the schema takes more work than is allowed."""


class CheckStopped(Exception):
    """Raised when nothing waits for the check any more."""


class WorkLimit:
    """The work that a check may still do."""

    def __init__(
        self,
        steps: int | None = None,
        seconds: float = SECONDS,
        *,
        grows: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.taken = 0
        self.pattern_seconds = min(seconds, PATTERN_SECONDS)
        self.memo: dict[Any, Any] = {}
        """Values that keywords keep for the length of one check."""
        self.grows = grows
        self.clock = clock
        self._steps = STEPS if steps is None else steps
        self._seconds = seconds
        self._stopped = False
        self.start()

    def start(self) -> None:
        """Begin to count the time."""
        self._deadline = self.clock() + self._seconds
        self.look_at = 0

    def stop(self) -> None:
        """Make one of the next steps the last one. May be called from any thread."""
        self._stopped = True
        self.look_at = 0

    def look(self) -> None:
        """Raise SchemaTooCostly when there are no steps or no time left, and CheckStopped after `stop`."""
        if self._stopped:
            raise CheckStopped
        if self.taken > self._steps or self.clock() > self._deadline:
            raise SchemaTooCostly(
                "it takes too much work to check (make it smaller, with fewer alternatives and references)"
            )
        self.look_at = min(self.taken + _STEPS_A_LOOK, self._steps + 1)

    def grow(self, value: Any) -> None:
        """Allow the steps that a value of this size may take."""
        if self.grows:
            self._steps = min(self._steps + STEPS_A_VALUE * _count(value), max(MOST_STEPS, self._steps))


_current: ContextVar[WorkLimit | None] = ContextVar("work_limit", default=None)


def current() -> WorkLimit:
    """Return the limit of the check that is under way."""
    limit = _current.get()
    assert limit is not None, "a check without a limit"
    return limit


def take(steps: int) -> None:
    """Count `steps` of the check that is under way. Raise SchemaTooCostly when it has none left."""
    limit = current()
    limit.taken += steps
    if limit.taken >= limit.look_at:
        limit.look()


@contextmanager
def limited(limit: WorkLimit | None = None) -> Generator[WorkLimit]:
    """Bound the check that follows by `limit`, or by the one in force, or by a new one."""
    limit = limit or _current.get() or WorkLimit()
    token = _current.set(limit)
    try:
        yield limit
    finally:
        _current.reset(token)


_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="json-schema")
"""One thread: more would compete with the event loop's, which would run less often with each of them."""


async def off_loop(check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of `check` within a limit: at once when it is quick, else from a thread.

    A check that is not quick is begun again in the thread, and the event loop continues meanwhile. When this is
    cancelled, the check ends with its next step.
    """
    try:
        with limited(WorkLimit(QUICK_STEPS, QUICK_SECONDS, grows=False)):
            return check(*args, **kwargs)
    except SchemaTooCostly:
        pass
    limit = WorkLimit()

    def work() -> T:
        limit.start()
        with limited(limit):
            return check(*args, **kwargs)

    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        limit.stop()


def _count(value: Any) -> int:
    """Return the number of values in `value`, itself included."""
    found, layer = 0, [value]
    while layer:
        found += len(layer)
        layer = [
            part
            for one in layer
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)  # pyright: ignore
        ]
    return found
