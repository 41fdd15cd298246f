"""The state of a running cell: its posted, taken and answered calls, and its end, for any transport.

Every implementation of a session shares this part: it passes in what its kernel sends, and sends on what is
delivered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..state.errors import KernelLost, RlmError
from .answer_parts import Spool, checked
from .results import CellError, CellResult
from .session import REFUSED_ON, Answered, Failed, FailureKind, KernelSpec, Outcome, PostedCall
from .untrusted_json import BadMessage

_log = logging.getLogger("durable_rlm")
INTERRUPT_GRACE = 2.0
"""Seconds that a cell may still compute after an interrupt, before it is killed."""
MOST_REFUSALS = 300
"""Refusals after which a cell is interrupted, because it swallows them, perhaps for ever.

A refusal counts only when its call was posted after the one counted before was delivered: a batch counts once.
"""
MOST_SEARCHING = 3600.0
"""Seconds that the searches of a cell may take in all: its clock does not run meanwhile."""
_REFUSED: frozenset[FailureKind] = frozenset({"budget", "usage"})
"""Failures of calls that were not made, for a reason that holds for the next call as well."""


class RunningCell:
    """The running cell on the graph's side; its clock runs while no call is unanswered."""

    def __init__(
        self,
        timeout: float,
        interrupt: Callable[[], None],
        kill: Callable[[], None],
        answer_search: Callable[[PostedCall, float], Awaitable[None]] | None = None,
    ) -> None:
        """`answer_search` answers a search, given the seconds that those before it have taken."""
        self._timeout = timeout
        self._answer_search = answer_search
        self._searches: deque[PostedCall] = deque()
        self._searching: asyncio.Task[None] | None = None
        self._interrupt = interrupt
        self._kill = kill
        self._posted: deque[PostedCall] = deque()
        self._changed = asyncio.Event()
        self._result: CellResult | None = None
        self._lost: KernelLost | None = None
        self._unanswered: set[int] = set()
        self._refusals = self._refused_upto = self._posted_upto = 0
        """The number of refusals, and the highest ids posted when the last one of them was delivered, and until now."""
        self._computed = self._searched = 0.0
        self._limit = timeout
        self._began: float | None = None
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._error = ""
        self.stopped = ""
        """Why it was interrupted: `computed for more than 300 s`; empty while it was not."""
        self.highest = 0
        """The highest id that was posted, by which a call that is posted twice is refused."""
        self.held = 0
        """The weight of the calls that are posted and not taken, and of the searches that wait."""

    @property
    def waiting(self) -> int:
        return len(self._posted)

    @property
    def ended(self) -> bool:
        return self._result is not None

    @property
    def taken(self) -> int:
        """The id up to which calls are no longer held here."""
        return min((calls[0].id - 1 for calls in (self._posted, self._searches) if calls), default=self.highest)

    def start(self) -> None:
        """Start the clock: the cell computes."""
        self._since = asyncio.get_running_loop().time()
        self._began = self._since if self._began is None else self._began
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._limit - self._computed), self._expired)

    def post(self, calls: list[PostedCall]) -> None:
        """Add calls that the kernel posted, in the order of their ids. Raises BadMessage for one posted before."""
        if calls[0].id <= self.highest:
            raise BadMessage("a sub-call twice")
        self.highest = calls[-1].id
        self._posted_upto = self.highest + calls[-1].rest - 1
        if self.ended:
            return
        self._pause()
        self._unanswered.update(call.id for call in calls)
        self._posted.extend(call for call in calls if call.search is None)
        self._searches.extend(call for call in calls if call.search is not None)
        self.held += sum(call.weight for call in calls)
        self._changed.set()
        if self._searches and self._searching is None:
            self._searching = asyncio.create_task(self._search())

    def answered(self, call_id: int, outcome: Outcome) -> bool:
        """Record that a call was answered. Return False when it was not waiting. The last answer restarts the clock."""
        if call_id not in self._unanswered:
            return False
        self._unanswered.discard(call_id)
        if not self._unanswered and not self.ended and self._since is None:
            self.start()
        if isinstance(outcome, Failed) and outcome.kind in _REFUSED and call_id > self._refused_upto:
            self._refused_upto = self._posted_upto
            self._refusals += 1
            if self._refusals == MOST_REFUSALS and not self.stopped and not self.ended:
                self._stop(REFUSED_ON, f"kept making calls after {MOST_REFUSALS} refusals")
        return True

    def end(self, result: CellResult) -> None:
        """Record the cell's result, which the kernel has sent."""
        self._pause()
        if self.stopped and result.status == "error":
            message = f"the cell {self.stopped} and was interrupted"
            result = replace(result, status="timeout", final=None, error=CellError(self._error, message, message))
        elapsed = asyncio.get_running_loop().time() - self._began if self._began is not None else 0.0
        self._result = replace(result, computed=self._computed, elapsed=elapsed)
        self._posted.clear()
        self._stop_searching()
        self.held = 0
        self._changed.set()

    def lose(self, error: KernelLost) -> None:
        """Record that the kernel is gone."""
        self._pause()
        self._stop_searching()
        self._lost = error
        self._changed.set()

    async def peek(self) -> bool:
        while True:
            if self._lost:
                raise self._lost
            if self._posted:
                return True
            if self.ended:
                return False
            self._changed.clear()
            await self._changed.wait()

    async def next_call(self) -> PostedCall | None:
        while await self.peek():
            # Another waiter of the same cell may have been faster.
            if self._posted:
                call = self._posted.popleft()
                self.held -= call.weight
                return call
        return None

    async def result(self) -> CellResult:
        while self._result is None:
            if self._lost:
                raise self._lost
            self._changed.clear()
            await self._changed.wait()
        return self._result

    async def _search(self) -> None:
        """Answer the searches, one at a time."""
        assert self._answer_search is not None, "a cell of a session that answers no searches"
        began = asyncio.get_running_loop().time() - self._searched
        try:
            while self._searches:
                search = self._searches.popleft()
                self.held -= search.weight
                await self._answer_search(search, self._searched)
                self._searched = asyncio.get_running_loop().time() - began
        finally:
            self._searching = None

    def _stop_searching(self) -> None:
        self._searches.clear()
        if self._searching:
            self._searching.cancel()

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        if self._since is not None:
            self._computed += loop.time() - self._since
            self._since = None
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        """Interrupt a cell that has computed for too long; kill one that has ignored an interrupt."""
        if self.stopped:
            self._kill()
        else:
            self._stop("CellTimeout", f"computed for more than {self._timeout:g} s")

    def _stop(self, error: str, why: str) -> None:
        """Interrupt the cell, and leave it some seconds to end; waiting for answers does not count among them either.

        `error` is the name of the error of its result.
        """
        self._error, self.stopped = error, why
        computing = self._since is not None
        self._pause()
        self._limit = self._computed + INTERRUPT_GRACE
        self._interrupt()
        if computing:
            self.start()


class BaseSession:
    """The part of `session.KernelSession` that needs no kernel: one cell at a time, until the kernel is lost."""

    def __init__(self, spec: KernelSpec) -> None:
        self._spec = spec
        self._cell: RunningCell | None = None
        self._lost: KernelLost | None = None
        self._seen = 0
        self._answer: asyncio.Future[Any] | None = None
        """The kernel's reply about the saved variables that it was sent."""
        self._spool = Spool(spec.spool)
        """The parts of the answer of the cell that runs."""

    @property
    def waiting(self) -> int:
        return self._cell.waiting if self._cell else 0

    @property
    def busy(self) -> bool:
        return self._cell is not None

    @property
    def lost(self) -> bool:
        return self._lost is not None

    async def peek(self) -> bool:
        return await self._standing().peek()

    async def next_call(self) -> PostedCall | None:
        return await self._standing().next_call()

    async def result(self) -> CellResult:
        cell = self._standing()
        result = await cell.result()
        if result.final is not None and (table := result.final.table) is not None and table.head is None:
            try:
                result = replace(result, final=replace(result.final, table=await checked(table)))
            except BadMessage as error:
                self._refuse(str(error))
                assert self._lost is not None
                raise self._lost from error
        self._seen = cell.highest
        self._cell = None
        return result

    def _stand(self, interrupt: Callable[[], None], kill: Callable[[], None]) -> None:
        """Begin a cell. Raises KernelLost, or RuntimeError while another one is under way."""
        if self._lost:
            raise self._lost
        if self._cell:
            raise RuntimeError("a cell is under way")
        self._cell = RunningCell(self._spec.cell_timeout, interrupt, kill, self._answer_search)
        self._cell.highest = self._seen
        self._cell.start()

    async def deliver(self, call_id: int, outcome: Outcome) -> None:
        raise NotImplementedError

    async def _answer_search(self, call: PostedCall, taken: float) -> None:
        """Answer a search beside the calls: it is no sub-call, costs nothing and waits for no approval."""
        outcome = await self._searched_for(call, taken)
        with suppress(KernelLost):
            await self.deliver(call.id, outcome)

    async def _searched_for(self, call: PostedCall, taken: float) -> Outcome:
        if taken > MOST_SEARCHING:
            return Failed("usage", f"the searches of this cell have taken {MOST_SEARCHING:g} s: no more are made")
        if self._spec.search is None or call.search is None:
            return Failed("usage", "there is no input that can be searched")
        try:
            return Answered([list(hit) for hit in await self._spec.search(call.search)])
        except RlmError as error:
            return Failed("usage", error.message)
        except Exception:
            # It is about this input alone: the run goes on, and its code gets an error.
            _log.exception("a search failed")
            return Failed("usage", "the search failed; read the documents instead")

    def _was_answered(self, call_id: int, outcome: Outcome) -> bool:
        """Record an answer. Return whether the call waited for it. Raises KernelLost."""
        if self._lost:
            raise self._lost
        return self._cell is not None and self._cell.answered(call_id, outcome)

    def _refuse(self, what: str) -> None:
        """End a kernel that has sent what no unmodified one sends."""
        self._lose(KernelLost(f"The kernel died: it sent {what}."))

    def _lose(self, error: KernelLost) -> None:
        """Record that the kernel is gone, and raise `error` in every waiter."""
        self._lost = error
        self._spool.drop()
        if self._cell:
            self._cell.lose(error)
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)

    def _standing(self) -> RunningCell:
        if self._cell is None:
            if self._lost:
                raise self._lost
            raise RuntimeError("no cell is under way")
        return self._cell


def cause_of_death(code: Any, stopped: str) -> str:
    """Return why a kernel died, by its exit code and why its cell was stopped, as the rest of a sentence."""
    if stopped:
        return f"its cell {stopped} and ignored the interrupt"
    if code == -9:
        return "it was killed (out of memory, perhaps)"
    if isinstance(code, int) and code < 0:
        return f"signal {-code}"
    return f"it exited with status {code}"
