"""The desk: where the calls of one standing cell are taken, answered and handed back.

`sub_call` nodes are its lanes. A call is a task of its own, which outlives the superstep that began it:
a superstep may end (an interval has passed, more lanes are wanted) without waiting for its slowest call,
and the next one's lanes take over what is still under way. A call that a whole run answers takes no lane at all.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal

from ...kernel.session import KernelSession, PostedCall
from ...state.errors import KernelLost
from .call_decisions import CallDecisions
from .parked_calls import QUIET, ParkedCalls

Standing = Literal["calls", "held", "ended"]
"""How a cell stands: calls wait for lanes, or all that is left waits for a person; or it has ended."""
MOST_ACTIVE = 1_000
MOST_ACTIVE_WEIGHT = 256 << 20
"""Calls that are under way at once, and what they weigh, before no more are taken from the kernel: those that take no
lane have no other bound, and hostile code could have this process hold one long prompt a thousand times."""
AnswerCall = Callable[[PostedCall], Awaitable[bool]]
"""Answers one call and delivers it; whether it succeeded. Raises only what must stop the run."""


@dataclass
class _Tally:
    answered: int = 0
    failed: int = 0


class CallDispatcher:
    """Serves one cell. `answer` does the work on one call."""

    def __init__(
        self,
        session: KernelSession,
        answer: AnswerCall,
        *,
        apart: Callable[[PostedCall], bool] = lambda _: False,
        parked_calls: ParkedCalls | None = None,
    ) -> None:
        """`apart`: whether a call is one that may take long and keeps no lane from the others. `parked_calls`: where calls wait
        for a person."""
        self._session = session
        self._answer = answer
        self._apart = apart
        self._under_way: deque[asyncio.Task[bool]] = deque()
        """Calls whose lane has gone."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._lanes = self._idle = 0
        self._weight = 0
        """Of all calls under way, those that wait for a person included."""
        self._bells: set[asyncio.Future[None]] = set()
        """One for each lane, which ends when it rings."""
        self._over = False
        """Whether lanes are to end: more of them are wanted, or the cell has ended."""
        self._most_lanes = 0
        self._moved = asyncio.Event()
        """Set when a lane has taken a call, as far as the monitor has to know."""
        self._broken: BaseException | None = None
        """What a call raised that must stop the run, wherever its lane is."""
        self._monitor: asyncio.Task[None] | None = None
        self._parked_calls = parked_calls
        self._quiet: asyncio.TimerHandle | None = None
        self._held = self._stuck = False
        """Whether nothing goes on but by a person's word, and whether calls wait for others that take no lane."""
        if parked_calls:
            parked_calls.changed = self._listen
        self.tally = _Tally()

    @property
    def open_calls(self) -> int:
        """Calls that nobody works on yet, or that a lane left under way."""
        return self._session.waiting + len(self._under_way)

    @property
    def in_flight(self) -> int:
        """Calls being answered now."""
        return len(self._tasks)

    async def wait_until_blocked(self) -> Standing:
        """Wait until calls wait for a lane, or for a person alone, or the cell has ended.

        Raises what must stop the run.
        """
        peeking = asyncio.ensure_future(self._session.peek())
        try:
            while not (self._held or (peeking.done() and not self._full)):
                with self._bell() as bell:
                    self._stuck = self._full
                    self._listen()
                    await self._first_of(None if self._stuck else peeking, bell)
            if self._held:
                return "held"
            return "calls" if await peeking else "ended"
        finally:
            self._stuck = False
            peeking.cancel()

    def decide(self, call_decisions: CallDecisions) -> None:
        """A person has decided: what waited for them goes on."""
        self._held = False
        if self._parked_calls:
            self._parked_calls.decide(call_decisions)

    @property
    def active(self) -> int:
        """Calls under way that do not wait for a person."""
        return len(self._tasks) - (self._parked_calls.count if self._parked_calls else 0)

    @property
    def _full(self) -> bool:
        """Whether no more calls are taken from the kernel for now: those without lanes have no other bound."""
        parked_calls = self._parked_calls
        return parked_calls is not None and (
            parked_calls.full or self.active >= MOST_ACTIVE or self._weight - parked_calls.weight >= MOST_ACTIVE_WEIGHT
        )

    @property
    def _roomy(self) -> bool:
        """Whether so much has ended that a good number may be taken at once."""
        parked_calls = self._parked_calls
        return parked_calls is None or (
            not parked_calls.full
            and self.active <= MOST_ACTIVE // 2
            and self._weight - parked_calls.weight <= MOST_ACTIVE_WEIGHT // 2
        )

    def _listen(self) -> None:
        """Something has changed for calls that take no lane: look again once it has been quiet for a while."""
        if self._quiet:
            self._quiet.cancel()
            self._quiet = None
        if self._parked_calls is None or self._held:
            return
        if self._stuck and self._roomy:
            self._end_lanes()
        elif self._parked_calls.waits:
            self._quiet = asyncio.get_running_loop().call_later(QUIET, self._look)

    def _look(self) -> None:
        if self._parked_calls and self._parked_calls.waits and (self._full or not self._session.waiting):
            self._held = True
            self._end_lanes()

    async def serve(self, *, seconds: float, max_workers: int) -> int:
        """One lane: answer calls one after another until the cell ends, `seconds` have passed, or calls wait
        while every lane is busy and there could be more. Returns how many it answered."""
        self._enter(max_workers)
        answered = 0
        try:
            with self._bell(seconds) as bell:
                while not (bell.done() or self._over):
                    task = self._under_way.popleft() if self._under_way else await self._next(bell)
                    if task is None:
                        break
                    await self._first_of(task, bell)
                    if not task.done():
                        self._under_way.append(task)
                        break
                    task.result()
                    answered += 1
        finally:
            await self._leave()
        return answered

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._under_way.clear()
        if self._quiet:
            self._quiet.cancel()

    @contextlib.contextmanager
    def _bell(self, seconds: float | None = None) -> Generator["asyncio.Future[None]"]:
        """Rings when lanes are to end, and after so many seconds."""
        loop = asyncio.get_running_loop()
        bell: asyncio.Future[None] = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _ring, bell)
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)
            if timer:
                timer.cancel()

    def _end_lanes(self) -> None:
        self._over = True
        for bell in self._bells:
            _ring(bell)

    async def _next(self, bell: "asyncio.Future[None]") -> asyncio.Task[bool] | None:
        """The next call that takes a lane, begun; None when this lane is to end."""
        while not self._full and (call := await self._taken(bell)) is not None:
            task = self._begin(call)
            if not self._apart(call):
                return task
        return None

    async def _taken(self, bell: "asyncio.Future[None]") -> PostedCall | None:
        if self._session.waiting:
            return await self._session.next_call()
        self._idle += 1
        taking = asyncio.create_task(self._session.next_call())
        try:
            await self._first_of(taking, bell)
            return taking.result() if taking.done() else None
        finally:
            self._idle -= 1
            taking.cancel()

    def _begin(self, call: PostedCall) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self._answer(call))
        self._tasks.add(task)
        self._weight += call.weight
        task.add_done_callback(lambda task: self._ended(task, call.weight))
        if self._lanes < self._most_lanes or not self._session.waiting:
            self._moved.set()
        return task

    def _ended(self, task: asyncio.Task[bool], weight: int) -> None:
        self._tasks.discard(task)
        self._weight -= weight
        self._listen()
        if task.cancelled():
            return
        if error := task.exception():
            self._broken = self._broken or error
            self._end_lanes()
        elif task.result():
            self.tally.answered += 1
        else:
            self.tally.failed += 1

    async def _first_of(self, task: "asyncio.Task[Any] | None", bell: "asyncio.Future[None]") -> None:
        """Until the task, if there is one, is done or the bell rings. Raises what must stop the run."""
        # Nothing that lanes share is waited for: with hundreds of them, each wait would cost as many callbacks.
        if not self._broken:
            await asyncio.wait({task, bell} if task else {bell}, return_when=asyncio.FIRST_COMPLETED)
        if self._broken:
            raise self._broken

    def _enter(self, max_workers: int) -> None:
        self._lanes += 1
        if self._lanes == 1:
            self._over, self._most_lanes = False, max_workers
            self._monitor = asyncio.create_task(self._watch())

    async def _leave(self) -> None:
        self._lanes -= 1
        if self._lanes == 0 and self._monitor:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
            self._monitor = None

    async def _watch(self) -> None:
        """End the lanes when the cell has ended, or when calls wait though none is free and there could be more."""
        with contextlib.suppress(KernelLost):
            while await self._session.peek():
                # Idle lanes were woken by the same event; let them take theirs.
                await asyncio.sleep(0)
                if self._session.waiting and not self._idle and self._lanes < self._most_lanes:
                    break
                if self._session.waiting:
                    self._moved.clear()
                    await self._moved.wait()
        self._end_lanes()


def _ring(bell: "asyncio.Future[None]") -> None:
    if not bell.done():
        bell.set_result(None)
