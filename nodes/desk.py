"""The desk: where the calls of one standing cell are taken, answered and handed back.

`sub_call` nodes are its lanes. A call is a task of its own, which outlives the superstep that began it:
a superstep may end (an interval has passed, more lanes are wanted) without waiting for its slowest call,
and the next one's lanes take over what is still under way.
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

    def __init__(self, session: KernelSession, answer: AnswerCall) -> None:
        self._session = session
        self._answer = answer
        self._under_way: deque[asyncio.Task[bool]] = deque()
        """Calls whose lane has gone."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._lanes = self._idle = 0
        self._crowded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
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
        if self._session.waiting:
            call = await self._session.next_call()
            return None if call is None else self._begin(call)
        self._idle += 1
        taking = asyncio.create_task(self._session.next_call())
        try:
            await self._first_of(taking, deadline)
            if not taking.done():
                return None
            call = taking.result()
            return None if call is None else self._begin(call)
        finally:
            self._idle -= 1
            taking.cancel()

    def _begin(self, call: PostedCall) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _finished(self, task: asyncio.Task[bool], deadline: float) -> bool:
        await self._first_of(task, deadline)
        if not task.done():
            return False
        if task.result():
            self.tally.answered += 1
        else:
            self.tally.failed += 1
        return True

    async def _first_of(self, task: "asyncio.Task[Any]", deadline: float) -> None:
        """Until the task is done, more lanes are wanted, or the time is up."""
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.wait({task, self._crowded}, timeout=left, return_when=asyncio.FIRST_COMPLETED)

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
