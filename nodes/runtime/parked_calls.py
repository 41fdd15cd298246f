"""Sub-calls of a standing cell that wait for a person.

A call that a gate stops is *parked*: it is taken from the kernel and its code waits on, but nothing is sent. Once
nothing else of the cell is under way, all that is parked is asked about together (`asks.py`), by the graph's `review`
node. Whatever wakes a parked call, it is looked at anew, so that only what was decided is ever done.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from ...kernel.session import PostedCall
from ...state.approval_policy import Gates
from ...state.approval_records import ActionRequest
from ...state.budget import ApprovalNeeded, BudgetSpent
from .call_decisions import CallDecisions

QUIET = 0.1
"""Seconds without anything new after which a cell is taken to wait for a person alone."""
MOST_PARKED = 10_000
MOST_WEIGHT = 256 << 20
"""Calls, and what they weigh (`PostedCall.weight`), that are parked before a person is asked about so many."""


@dataclass(frozen=True)
class ChildWaits:
    """A sub-RLM that waits for a person."""

    thread_id: str
    interrupt: str
    shown: str
    actions: list[ActionRequest]


Why = BudgetSpent | ApprovalNeeded | ChildWaits | None
"""What stops a call: its budget, a price, its own run; None: that nobody has looked at it."""


@dataclass(frozen=True)
class ParkedCall:
    """A call that waits."""

    key: str
    call: PostedCall
    why: Why


class ParkedCalls:
    """The parked calls of one cell, and which ones are to be parked."""

    def __init__(self, gates: Gates, call_decisions: CallDecisions, recorded: frozenset[str]) -> None:
        """`recorded`: keys of the cell's calls that were answered in an earlier run of it."""
        self.gates = gates
        self.call_decisions = call_decisions
        self._parked: dict[asyncio.Future[None], ParkedCall] = {}
        self._weight = self._unseen = 0
        self.passed = set(recorded) - call_decisions.approved
        """Calls of the cell that nobody was asked about."""
        self.changed: Callable[[], None] = lambda: None
        """Told when something was parked, or has ended."""
        self._active = 0

    @property
    def parked(self) -> list[ParkedCall]:
        """The calls that wait, in the order in which they began to."""
        return list(self._parked.values())

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._parked)

    @property
    def weight(self) -> int:
        """What the calls weigh that wait."""
        return self._weight

    @property
    def full(self) -> bool:
        """Whether no more is to be taken from the kernel until a person was asked."""
        return len(self._parked) >= MOST_PARKED or self._weight >= MOST_WEIGHT

    @property
    def waits(self) -> bool:
        """Whether nothing that was taken from the kernel can go on but by a person's word."""
        return bool(self._parked) and not self._active

    @contextmanager
    def active(self) -> Generator[None]:
        """While this lasts, something is being done for the cell."""
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self.changed()

    def lets_pass(self, key: str, call: PostedCall) -> bool:
        """Whether a call may be made as far as the gate `calls` goes. One that may is counted, if it was not approved.

        Calls that the code posts together pass together or not at all.
        """
        most = self.gates.calls
        if most is None or key in self.call_decisions.approved:
            return True
        others = len(self.passed) - (key in self.passed)
        if others + self._unseen + call.rest > most:
            return False
        self.passed.add(key)
        return True

    async def park(self, key: str, call: PostedCall, why: Why = None) -> None:
        """Wait until something was decided about any of the parked calls."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked[woken] = ParkedCall(key, call, why)
        self._weight += call.weight
        self._unseen += why is None
        self.changed()
        try:
            await woken
        finally:
            if self._parked.pop(woken, None):
                self._weight -= call.weight
                self._unseen -= why is None

    def decide(self, call_decisions: CallDecisions) -> None:
        """Something was decided: every parked call is looked at anew."""
        self.call_decisions = call_decisions
        self.passed -= call_decisions.approved
        parked, self._parked = self._parked, {}
        self._weight = self._unseen = 0
        for woken in parked:
            if not woken.done():
                woken.set_result(None)
