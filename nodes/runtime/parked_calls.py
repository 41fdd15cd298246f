"""Keep the sub-calls of the current cell that wait for a reviewer.

A call that a gate stops is *parked*: it is taken from the kernel and its code waits, but nothing is sent. Once nothing
else of the cell is under way, the graph's `review` node asks about all parked calls together (`approval/requests.py`).
When a parked call is woken, for whatever reason, it passes the gates again, so that only what was decided is ever done.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from ...kernel.session import PostedCall
from ...state.approval_policy import Gates
from ...state.approval_records import ActionRequest
from ...state.budget import ApprovalNeeded, BudgetSpent
from ...state.input.context import ContextRef
from .call_decisions import CallDecisions

QUIET = 0.1
"""Seconds without a change after which a cell is taken to wait for a reviewer alone."""
MOST_PARKED = 10_000
MOST_WEIGHT = 256 << 20
"""Calls, and their weight (`PostedCall.weight`), that are parked before a reviewer is asked about them."""


@dataclass(frozen=True)
class WaitingChild:
    """A sub-RLM that waits for a reviewer."""

    thread_id: str
    interrupt: str
    shown: str
    actions: list[ActionRequest]


Why = BudgetSpent | ApprovalNeeded | WaitingChild | None
"""The reason why a call is stopped: its budget, its price, its child run; None: no reviewer has seen it yet."""


@dataclass(frozen=True)
class ParkedCall:
    """A call that waits, and why."""

    key: str
    call: PostedCall
    why: Why
    context: ContextRef | None = None
    """The input that a sub-RLM is handed."""


class ParkedCalls:
    """The parked calls of one cell, and the rule by which calls are parked."""

    def __init__(self, gates: Gates, call_decisions: CallDecisions, recorded: frozenset[str]) -> None:
        """Start with no parked calls. `recorded`: keys of the cell's calls that an earlier run of it had answered."""
        self.gates = gates
        self.call_decisions = call_decisions
        self._parked: dict[asyncio.Future[None], ParkedCall] = {}
        self._weight = self._unseen = 0
        self.passed = set(recorded) - call_decisions.approved
        """Calls of the cell that no reviewer was asked about."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a call was parked, or when an active one has ended."""
        self._active = 0

    @property
    def parked(self) -> list[ParkedCall]:
        """The calls that wait, in the order in which they were parked."""
        return list(self._parked.values())

    @property
    def count(self) -> int:
        """The number of parked calls."""
        return len(self._parked)

    @property
    def weight(self) -> int:
        """The weight of the parked calls."""
        return self._weight

    @property
    def full(self) -> bool:
        """True when no more calls are to be taken from the kernel until a reviewer was asked."""
        return len(self._parked) >= MOST_PARKED or self._weight >= MOST_WEIGHT

    @property
    def blocked(self) -> bool:
        """True when only a reviewer's decision can continue the calls that were taken from the kernel."""
        return bool(self._parked) and not self._active

    @contextmanager
    def active(self) -> Generator[None]:
        """Count as work under way for the cell while this lasts."""
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self.changed()

    def lets_pass(self, key: str, call: PostedCall) -> bool:
        """Return whether the gate `calls` lets a call be made. A call that passes without approval is counted.

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

    async def park(self, key: str, call: PostedCall, why: Why = None, context: ContextRef | None = None) -> None:
        """Park a call until a reviewer has decided about any of the parked calls."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked[woken] = ParkedCall(key, call, why, context)
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
        """Apply a reviewer's decisions: wake every parked call, so that each passes the gates again."""
        self.call_decisions = call_decisions
        self.passed -= call_decisions.approved
        parked, self._parked = self._parked, {}
        self._weight = self._unseen = 0
        for woken in parked:
            if not woken.done():
                woken.set_result(None)
