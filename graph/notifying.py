"""Notifications of runs: events are entered into the outbox of the store, and sent from there in the background.

A run is never held up: what cannot be sent is tried again by this process while it lives, and by the next one that
resumes the run. Only runs that this process executes or resumes are notified about, and only targets that are in
the settings of the run are used: a row in a home that came from somebody else starts nothing by itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ..nodes.notify.failures import SendingFailed
from ..nodes.notify.send import send
from ..nodes.notify.targets import described
from ..nodes.runtime.active_runs import ActiveRuns
from ..nodes.runtime.events import OnEvent
from ..state.budget import Resource
from ..state.db.connection import Unit
from ..state.errors import LeaseLost, RlmError, RunBusy, StoreError, cli_command
from ..state.notifications import Notification, Occurrence
from ..state.run_state import Status
from ..state.stores import Stores
from ..state.threads import Thread
from .build import Graph
from .occurrences import at_end, key_of, limit_reached, nearly_spent, targets_of

WAITS = (1.0, 4.0, 30.0, 150.0, 415.0)
"""Seconds between two attempts, ten minutes in all: the first ones come within what a process waits at its end."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at how much of the limits is used."""
CLOSING_SECONDS = 10.0
"""Seconds for which a process waits at its end for what is still being sent."""
_QUIET_SECONDS = 1.0
"""Seconds of that after which the wait is announced."""
_CANCELLING = 3.0
_AT_ONCE = 8
"""Notifications that are sent at the same time."""
_log = logging.getLogger("durable_rlm")

Sleep = Callable[[float], Awaitable[Any]]


class Send(Protocol):
    """Sends one notification. Raises SendingFailed."""

    def __call__(self, target: str, body: str, event: str, *, key: str, folder: Any, now: float) -> Awaitable[None]: ...


def _to_log(event: Mapping[str, Any]) -> None:
    _log.warning("%s", event["text"])


class Notifier:
    """The notifications of one process."""

    def __init__(
        self, stores: Stores, active_runs: ActiveRuns, graph: Graph, *, send: Send = send, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._stores = stores
        self._outbox = stores.notifications
        self._active_runs = active_runs
        self._graph = graph
        self._send = send
        self._sleep = sleep
        self._receivers: dict[str, OnEvent] = {}
        self._wanted: set[tuple[str, str]] = set()
        """Threads and targets for which a sender has to look again."""
        self._senders: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._closing = asyncio.Event()
        self._ends: float | None = None
        """The time on the loop's clock after which nothing is waited for."""
        self._left: dict[str, OnEvent] = {}
        """The runs of which something is not sent when the process ends, with what is to report it."""
        self._announce: OnEvent = _to_log

    @contextlib.contextmanager
    def reporting(self, thread_id: str, on_event: OnEvent) -> Generator[None]:
        """Report what cannot be sent about a run to `on_event`, also afterwards what was entered meanwhile."""
        self._receivers[thread_id] = self._announce = on_event
        try:
            yield
        finally:
            self._receivers.pop(thread_id, None)

    async def ending(
        self, row: Thread, status: Status, *, seconds: float, error: Mapping[str, Any] | None
    ) -> list[Unit]:
        """Return what is to be done in the transaction that records the status with which an execution ends."""
        if not (targets := targets_of(row)):
            return []
        try:
            found = await at_end(self._stores, self._graph, row, status, seconds=seconds, error=error)
        except StoreError:
            # The status comes first. It cannot be saved either, as a rule, and the next execution enters both.
            return []
        return [self._outbox.entering(row.thread_id, targets, one) for one in found]

    async def watch(self, thread_id: str) -> None:
        """Enter it as an event when a run has used most of a limit. Ends with the execution, which cancels it."""
        try:
            row = await self._stores.threads.get(thread_id)
        except RlmError:
            return
        if not (targets := targets_of(row)):
            return
        seen: set[tuple[Resource, float]] = set()
        while True:
            await self._sleep(_LOOK_EVERY)
            run = self._active_runs.find(thread_id)
            if run is None:
                continue
            ledger = run.ledger
            for resource, used, limit in nearly_spent(ledger.limits, ledger.counted, ledger.time_counted):
                if (resource, limit) in seen:
                    continue
                occurrence = limit_reached(self._stores, row, ledger.spent, resource, used, limit)
                try:
                    await self._enter(thread_id, targets, occurrence)
                except (LeaseLost, RunBusy):
                    return
                except StoreError:
                    # The end of the execution enters it.
                    continue
                seen.add((resource, limit))
                self.deliver(thread_id)

    async def _enter(self, thread_id: str, targets: tuple[str, ...], occurrence: Occurrence) -> None:
        enter = self._outbox.entering(thread_id, targets, occurrence)

        def unit(connection: Any) -> None:
            self._stores.leases.check(connection, thread_id)
            enter(connection)

        await self._stores.database.commit(unit, "notification-entered")

    def deliver(self, thread_id: str, on_event: OnEvent | None = None) -> None:
        """Send in the background what is entered about a run, and report what fails to `on_event`."""
        receiver = on_event or self._receivers.get(thread_id, _to_log)
        if self._ends is None:
            self._start(self._begin(thread_id, receiver))

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _begin(self, thread_id: str, receiver: OnEvent) -> None:
        """Start a sender for each target to which something is to be sent. It sends one after the other."""
        with contextlib.suppress(StoreError):
            for target in await self._outbox.targets(thread_id):
                place = thread_id, target
                self._wanted.add(place)
                if place not in self._senders:
                    self._senders[place] = self._start(self._send_all(thread_id, target, receiver))

    async def _send_all(self, thread_id: str, target: str, receiver: OnEvent) -> None:
        place = thread_id, target
        try:
            row = await self._stores.threads.get(thread_id)
            if target not in targets_of(row):
                return
            going_on = True
            while going_on and place in self._wanted:
                self._wanted.discard(place)
                while going_on and (one := await self._outbox.first(thread_id, target)):
                    going_on = await self._sent(one, row, receiver)
        except asyncio.CancelledError:
            self._left[thread_id] = receiver
            raise
        except RlmError as error:
            _report(receiver, f"Notifications about {thread_id} cannot be sent now: {error.message}")
        finally:
            self._wanted.discard(place)
            self._senders.pop(place, None)

    async def _sent(self, one: Notification, row: Thread, receiver: OnEvent) -> bool:
        """Send one notification, as often as it takes. Return whether the next one can be sent now."""
        what = f"The notification `{one.kind}` about {one.thread_id} to {described(one.target)}"
        while True:
            try:
                async with self._at_once:
                    home = self._stores.home
                    key, now = key_of(row), self._outbox.now()
                    await self._send(one.target, one.body, one.event, key=key, folder=home.parent, now=now)
            except SendingFailed as failed:
                problem, then = str(failed), failed.then
            else:
                await self._outbox.sent(one)
                return True
            if then == "elsewhere":
                await self._outbox.held(one, problem)
                later = f"{_resume(one.thread_id)} sends it when that is mended"
                _report(receiver, f"{what} was not sent: {problem}; {later}.")
                return False
            last = then == "never" or one.attempts >= len(WAITS)
            wait = 0.0 if last else WAITS[one.attempts]
            await self._outbox.failed(one, problem, due=None if last else self._outbox.now() + wait)
            if last:
                _report(receiver, f"{what} was not sent: {problem}; it is given up.")
                return True
            if not one.attempts:
                _report(receiver, f"{what} was not sent yet: {problem}; it is tried again.")
            one = replace(one, attempts=one.attempts + 1)
            if not await self._waited(wait):
                self._left[one.thread_id] = receiver
                return False

    async def _waited(self, seconds: float) -> bool:
        """Wait for the next attempt. Return False when the process does not live as long as that."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({sleeping, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not sleeping.done():
                if self._ends is None or due > self._ends:
                    return False
                await sleeping
            return True
        finally:
            sleeping.cancel()
            closing.cancel()

    def hurry(self) -> None:
        """Wait for nothing at the end of this process: what is not sent yet stays for the next one."""
        self._ends = 0.0
        self._closing.set()
        for task in [*self._tasks]:
            task.cancel()

    async def settle(self, seconds: float) -> None:
        """Wait until everything that can be sent now is sent, or seconds have passed."""
        end = asyncio.get_running_loop().time() + seconds
        while self._tasks and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait([*self._tasks], timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Wait a short time for what is being sent. What is not sent then stays in the outbox, and that is reported."""
        if self._ends is None:
            await asyncio.sleep(0)
            await asyncio.gather(*(task for task in self._tasks if task not in self._senders.values()))
            self._ends = asyncio.get_running_loop().time() + CLOSING_SECONDS
            self._closing.set()
            await self.settle(_QUIET_SECONDS)
            if self._tasks:
                text = f"Waiting up to {CLOSING_SECONDS:g} s for notifications to be sent."
                _report(self._announce, text)
            await self.settle(CLOSING_SECONDS - _QUIET_SECONDS)
        for task in [*self._tasks]:
            task.cancel()
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=_CANCELLING)
        for thread_id, receiver in self._left.items():
            _report(receiver, f"Notifications about {thread_id} are not sent yet: {_resume(thread_id)} sends them.")


def _resume(thread_id: str) -> str:
    return cli_command("resume", thread_id)


def _report(receiver: OnEvent, text: str) -> None:
    receiver({"event": "notice", "text": text})
