"""The desk: where the calls of one standing cell are taken, answered and handed back.

`sub_call` nodes are its lanes. A call is a task of its own, which outlives the superstep that began it:
a superstep may end (an interval has passed, more lanes are wanted) without waiting for its slowest call,
and the next one's lanes take over what is still under way. A call that a whole run answers takes no lane at all.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..kernel.session import KernelSession, PostedCall

AnswerCall = Callable[[PostedCall], Awaitable[bool]]
"""Answers one call and delivers it; whether it succeeded. Raises only what must stop the run."""


@dataclass
class _Tally:
    answered: int = 0
    failed: int = 0


class Desk:
    """Serves one cell. `answer` does the work on one call."""

    def __init__(
        self, session: KernelSession, answer: AnswerCall, *, apart: Callable[[PostedCall], bool] = lambda _: False
    ) -> None:
        """`apart`: whether a call is one that may take long and keeps no lane from the others."""
        self._session = session
        self._answer = answer
        self._apart = apart
        self._under_way: deque[asyncio.Task[bool]] = deque()
        """Calls whose lane has gone."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._lanes = self._idle = 0
        self._crowded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Holds what a call raised that must stop the run, wherever its lane is."""
        self._monitor: asyncio.Task[None] | None = None
        self.tally = _Tally()

    @property
    def open_calls(self) -> int:
        """Calls that nobody works on yet, or that a lane left under way."""
        return self._session.waiting + len(self._under_way)

    @property
    def in_flight(self) -> int:
        """Calls being answered now."""
        return len(self._tasks)

    async def stands(self) -> bool:
        """Wait until a call waits for a lane (True) or the cell has ended (False). Raises what must stop the run."""
        peeking = asyncio.ensure_future(self._session.peek())
        try:
            await asyncio.wait({peeking, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            return await peeking
        finally:
            peeking.cancel()

    async def serve(self, *, seconds: float, most_lanes: int) -> int:
        """One lane: answer calls one after another until the cell ends, `seconds` have passed, or calls wait
        while every lane is busy and there could be more. Returns how many it answered."""
        deadline = asyncio.get_running_loop().time() + seconds
        self._enter(most_lanes)
        answered = 0
        try:
            while not self._crowded.done() and asyncio.get_running_loop().time() < deadline:
                task = self._under_way.popleft() if self._under_way else await self._next(deadline)
                if task is None:
                    break
                if not await self._finished(task, deadline):
                    self._under_way.append(task)
                    break
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

    async def _next(self, deadline: float) -> asyncio.Task[bool] | None:
        """The next call that takes a lane, begun; None when this lane is to end."""
        while (call := await self._taken(deadline)) is not None:
            task = self._begin(call)
            if not self._apart(call):
                return task
        return None

    async def _taken(self, deadline: float) -> PostedCall | None:
        if self._session.waiting:
            return await self._session.next_call()
        self._idle += 1
        taking = asyncio.create_task(self._session.next_call())
        try:
            await self._first_of(taking, deadline)
            return taking.result() if taking.done() else None
        finally:
            self._idle -= 1
            taking.cancel()

    def _begin(self, call: PostedCall) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            if not self._broken.done():
                self._broken.set_exception(error)
                self._broken.exception()  # seen: nobody may be waiting any more
        elif task.result():
            self.tally.answered += 1
        else:
            self.tally.failed += 1

    async def _finished(self, task: asyncio.Task[bool], deadline: float) -> bool:
        await self._first_of(task, deadline)
        if not task.done():
            return False
        task.result()
        return True

    async def _first_of(self, task: "asyncio.Task[Any]", deadline: float) -> None:
        """Until the task is done, more lanes are wanted, or the time is up. Raises what must stop the run."""
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        waiting = {task, self._crowded, self._broken}
        await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if self._broken.done():
            self._broken.result()

    def _enter(self, most_lanes: int) -> None:
        self._lanes += 1
        if self._lanes == 1:
            self._crowded = asyncio.get_running_loop().create_future()
            self._monitor = asyncio.create_task(self._watch(most_lanes))

    async def _leave(self) -> None:
        self._lanes -= 1
        if self._lanes == 0 and self._monitor:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
            self._monitor = None

    async def _watch(self, most_lanes: int) -> None:
        """Say when calls wait and no lane is free for them, though there could be more lanes."""
        with contextlib.suppress(Exception):
            while await self._session.peek():
                # Idle lanes were woken by the same event; let them take theirs.
                await asyncio.sleep(0)
                if self._lanes >= most_lanes:
                    return
                if self._session.waiting and not self._idle:
                    self._crowded.set_result(None)
                    return
