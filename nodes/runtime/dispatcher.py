"""Dispatch the sub-calls of one cell: take them from the kernel, have them answered, deliver the answers.

`sub_call` nodes are the workers. Each call is a task of its own, which outlives the superstep that began it: a
superstep may end (its interval has passed, more workers are wanted) without waiting for its slowest call, and the
workers of the next one take over what is still under way. A call that a sub-RLM answers takes no worker at all.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal

from ...kernel.session import KernelSession, PostedCall
from ...state.errors import KernelLost
from .call_decisions import CallDecisions
from .parked_calls import QUIET, ParkedCalls

Blocked = Literal["calls", "approval", "ended"]
"""The status of a cell: calls wait for workers, only parked calls are left, or the cell has ended."""
MOST_ACTIVE = 1_000
MOST_ACTIVE_WEIGHT = 256 << 20
"""Calls under way at once, and their weight, before no more are taken from the kernel. Calls that take no worker have
no other bound, and hostile code could make this process hold one long prompt a thousand times."""
_CLOSING_SECONDS = 0.8
"""Seconds within which calls have to end when they are cancelled."""
AnswerCall = Callable[[PostedCall], Awaitable[bool]]
"""Answers one call and delivers it. Returns whether it succeeded; raises only what must stop the run."""


class _State(Enum):
    IDLE = auto()
    """No worker serves."""
    FULL = auto()
    """No worker serves, and no more calls are taken until enough of those under way have ended."""
    SERVING = auto()
    """Workers take calls."""
    DRAINING = auto()
    """Workers are to end: more of them are wanted, or the cell has ended."""
    AWAITING_APPROVAL = auto()
    """Only parked calls are left; the cell continues once a reviewer has decided."""
    FAILED = auto()
    """A call raised what must stop the run."""
    CLOSED = auto()


_TRANSITIONS: Mapping[_State, frozenset[_State]] = {
    _State.IDLE: frozenset({_State.FULL, _State.SERVING, _State.AWAITING_APPROVAL, _State.FAILED, _State.CLOSED}),
    _State.FULL: frozenset({_State.IDLE, _State.AWAITING_APPROVAL, _State.FAILED, _State.CLOSED}),
    _State.SERVING: frozenset(
        {_State.IDLE, _State.DRAINING, _State.AWAITING_APPROVAL, _State.FAILED, _State.CLOSED},
    ),
    _State.DRAINING: frozenset({_State.IDLE, _State.AWAITING_APPROVAL, _State.FAILED, _State.CLOSED}),
    _State.AWAITING_APPROVAL: frozenset({_State.IDLE, _State.FAILED, _State.CLOSED}),
    _State.FAILED: frozenset({_State.CLOSED}),
    _State.CLOSED: frozenset(),
}


@dataclass
class Tally:
    """Counts of the calls that have ended."""

    answered: int = 0
    failed: int = 0


class CallDispatcher:
    """Serves the calls of one cell, from its start to its end.

    `IDLE` → workers enter → `SERVING` → they are to end → `DRAINING` → the last one leaves → `IDLE`, superstep after
    superstep. Between supersteps `wait_until_blocked` returns the status of the cell; when that is "approval", `decide`
    takes the reviewer's decision. `close` ends the dispatcher; so does, in effect, the first exception that must stop
    the run.
    """

    def __init__(
        self,
        session: KernelSession,
        answer: AnswerCall,
        *,
        without_worker: Callable[[PostedCall], bool] = lambda _: False,
        parked_calls: ParkedCalls | None = None,
    ) -> None:
        """Set up the dispatcher; workers serve it later.

        `without_worker` returns True for a call that may take long: it runs beside the workers rather than in one.
        `parked_calls`: the calls that wait for approval; None where no gate can stop a call.
        """
        self._session = session
        self._answer = answer
        self._without_worker = without_worker
        self._parked_calls = parked_calls
        self._state = _State.IDLE
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[bool]] = set()
        self._left_under_way: deque[asyncio.Task[bool]] = deque()
        """Calls whose worker has ended."""
        self._weight = 0
        """Weight of all calls under way, parked ones included."""
        self._workers = self._idle_workers = self._max_workers = 0
        self._stop_events: set[asyncio.Future[None]] = set()
        """One for each worker, which ends when its event is set."""
        self._call_taken = asyncio.Event()
        """Set when a worker has taken a call and the monitor has to check again."""
        self._monitor: asyncio.Task[None] | None = None
        self._quiet: asyncio.TimerHandle | None = None
        if parked_calls:
            parked_calls.changed = self._on_change
        self.tally = Tally()

    @property
    def open_calls(self) -> int:
        """Calls that no worker has taken, or that one left under way."""
        return self._session.waiting + len(self._left_under_way)

    @property
    def in_flight(self) -> int:
        """Calls being answered now, parked ones included."""
        return len(self._tasks)

    @property
    def active(self) -> int:
        """Calls under way that are not parked."""
        return len(self._tasks) - (self._parked_calls.count if self._parked_calls else 0)

    async def wait_until_blocked(self) -> Blocked:
        """Wait until calls want a worker, or only parked calls are left, or the cell has ended.

        Raises what must stop the run.
        """
        peeking = asyncio.ensure_future(self._session.peek())
        try:
            while self._state is not _State.AWAITING_APPROVAL and not (peeking.done() and not self._full):
                if self._failure:
                    raise self._failure
                with self._stop_event() as stop:
                    if self._full:
                        self._enter(_State.FULL)
                    self._on_change()
                    await self._first_of(None if self._state is _State.FULL else peeking, stop)
                if self._state is _State.FULL:
                    self._enter(_State.IDLE)
            if self._state is _State.AWAITING_APPROVAL:
                return "approval"
            return "calls" if await peeking else "ended"
        finally:
            if self._state is _State.FULL:
                self._enter(_State.IDLE)
            peeking.cancel()

    def decide(self, decisions: CallDecisions) -> None:
        """Hand a reviewer's decisions to the parked calls."""
        if self._state is _State.AWAITING_APPROVAL:
            self._enter(_State.IDLE)
        if self._parked_calls:
            self._parked_calls.decide(decisions)

    async def serve(self, *, seconds: float, max_workers: int) -> int:
        """Be one worker: answer calls one after another. Return how many were answered.

        Ends with the cell, after `seconds`, or when calls wait while every worker is busy and there could be more.
        """
        self._worker_enters(max_workers)
        answered = 0
        try:
            with self._stop_event(seconds) as stop:
                while self._state is _State.SERVING and not stop.done():
                    task = self._left_under_way.popleft() if self._left_under_way else await self._next(stop)
                    if task is None:
                        break
                    await self._first_of(task, stop)
                    if not task.done():
                        self._left_under_way.append(task)
                        break
                    task.result()
                    answered += 1
                if self._failure:
                    raise self._failure
        finally:
            await self._worker_leaves()
        return answered

    async def close(self) -> None:
        """Cancel what is under way. Safe to call twice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            # One that does not end when it is cancelled is left: its answer is not delivered any more.
            await asyncio.wait(tasks, timeout=_CLOSING_SECONDS)
        self._left_under_way.clear()
        if self._state is not _State.CLOSED:
            self._enter(_State.CLOSED)
        self._stop_quiet_timer()

    def _enter(self, state: _State) -> None:
        assert state in _TRANSITIONS[self._state], f"{self._state.name} → {state.name}"
        self._state = state

    @property
    def _full(self) -> bool:
        """True when no more calls are taken from the kernel for now: calls without a worker have no other bound."""
        parked = self._parked_calls
        return parked is not None and (
            parked.full or self.active >= MOST_ACTIVE or self._weight - parked.weight >= MOST_ACTIVE_WEIGHT
        )

    @property
    def _roomy(self) -> bool:
        """True when enough calls have ended that a good number may be taken at once."""
        parked = self._parked_calls
        return parked is None or (
            not parked.full
            and self.active <= MOST_ACTIVE // 2
            and self._weight - parked.weight <= MOST_ACTIVE_WEIGHT // 2
        )

    def _on_change(self) -> None:
        """Schedule a check after a call without a worker was parked or has ended.

        It is made once nothing has changed for `QUIET` seconds.
        """
        self._stop_quiet_timer()
        if self._parked_calls is None or self._state in (_State.AWAITING_APPROVAL, _State.FAILED, _State.CLOSED):
            return
        if self._state is _State.FULL and self._roomy:
            self._set_stop_events()
        elif self._parked_calls.blocked:
            self._quiet = asyncio.get_running_loop().call_later(QUIET, self._on_quiet)

    def _on_quiet(self) -> None:
        if self._parked_calls and self._parked_calls.blocked and (self._full or not self._session.waiting):
            self._enter(_State.AWAITING_APPROVAL)
            self._set_stop_events()

    def _stop_quiet_timer(self) -> None:
        if self._quiet:
            self._quiet.cancel()
            self._quiet = None

    @contextlib.contextmanager
    def _stop_event(self, seconds: float | None = None) -> Generator["asyncio.Future[None]"]:
        """Yield a future that is set when workers are to end, or after `seconds`."""
        loop = asyncio.get_running_loop()
        event: asyncio.Future[None] = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _set, event)
        self._stop_events.add(event)
        try:
            yield event
        finally:
            self._stop_events.discard(event)
            if timer:
                timer.cancel()

    def _set_stop_events(self) -> None:
        for event in self._stop_events:
            _set(event)

    def _drain(self) -> None:
        if self._state is _State.SERVING:
            self._enter(_State.DRAINING)
        self._set_stop_events()

    async def _next(self, stop: "asyncio.Future[None]") -> asyncio.Task[bool] | None:
        """Begin the next call that takes a worker. Return None when this worker is to end."""
        while not self._full and (call := await self._taken(stop)) is not None:
            task = self._begin(call)
            if not self._without_worker(call):
                return task
        return None

    async def _taken(self, stop: "asyncio.Future[None]") -> PostedCall | None:
        if self._session.waiting:
            return await self._session.next_call()
        self._idle_workers += 1
        taking = asyncio.create_task(self._session.next_call())
        try:
            await self._first_of(taking, stop)
            return taking.result() if taking.done() else None
        finally:
            self._idle_workers -= 1
            taking.cancel()

    def _begin(self, call: PostedCall) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self._answer(call))
        self._tasks.add(task)
        self._weight += call.weight
        task.add_done_callback(lambda task: self._on_ended(task, call.weight))
        if self._workers < self._max_workers or not self._session.waiting:
            self._call_taken.set()
        return task

    def _on_ended(self, task: asyncio.Task[bool], weight: int) -> None:
        self._tasks.discard(task)
        self._weight -= weight
        self._on_change()
        if task.cancelled():
            return
        if error := task.exception():
            self._fail(error)
        elif task.result():
            self.tally.answered += 1
        else:
            self.tally.failed += 1

    def _fail(self, error: BaseException) -> None:
        if self._state in (_State.FAILED, _State.CLOSED):
            return
        self._failure = error
        self._stop_quiet_timer()
        self._enter(_State.FAILED)
        self._set_stop_events()

    async def _first_of(self, task: "asyncio.Task[Any] | None", stop: "asyncio.Future[None]") -> None:
        """Wait until the task, if there is one, is done or `stop` is set. Raises what must stop the run."""
        # Nothing that workers share is waited for: with hundreds of them, each wait would cost as many callbacks.
        if not self._failure:
            await asyncio.wait({task, stop} if task else {stop}, return_when=asyncio.FIRST_COMPLETED)
        if self._failure:
            raise self._failure

    def _worker_enters(self, max_workers: int) -> None:
        self._workers += 1
        if self._workers == 1 and self._state is _State.IDLE:
            self._enter(_State.SERVING)
            self._max_workers = max_workers
            self._monitor = asyncio.create_task(self._watch())

    async def _worker_leaves(self) -> None:
        self._workers -= 1
        if self._workers:
            return
        if self._monitor:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
            self._monitor = None
        if self._state in (_State.SERVING, _State.DRAINING):
            self._enter(_State.IDLE)

    async def _watch(self) -> None:
        """Drain the workers when the cell has ended, or when calls wait, no worker is free and there could be more."""
        with contextlib.suppress(KernelLost):
            while await self._session.peek():
                # Idle workers were woken by the same event; let them take theirs.
                await asyncio.sleep(0)
                if self._session.waiting and not self._idle_workers and self._workers < self._max_workers:
                    break
                if self._session.waiting:
                    self._call_taken.clear()
                    await self._call_taken.wait()
        self._drain()


def _set(event: "asyncio.Future[None]") -> None:
    if not event.done():
        event.set_result(None)
