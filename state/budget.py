"""The budget of a run and of all runs below it: the limits, what is spent and what is reserved.

Every request is reserved before it is sent (its prompt and the output limit that it carries), so that a limit holds
even when hundreds are in flight (promise P9). A reservation is usually more than what is used: a request that fits
only without the reservations of others waits until those are settled, and one that does not fit at full length gets a
smaller output limit. What a last root turn may take is kept back for it.

An uncertain request (its process was killed, its connection broke) counts as what it is likely to have taken: its
input and the output that 99 of 100 requests of the run kept within; with `strict_budget` it counts as all that was
reserved for it.

There is one account for the tree: a child run also reserves with the run that called it, up to the one at the top,
whose limits apply to all. A run of a batch reserves with the account of the batch as well (`batch_budget.py`).
"""

import asyncio
import bisect
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .reservations import (
    NO_REQUEST,
    NOTHING,
    CostEstimate,
    Counted,
    Reservation,
    added,
    at_most_half,
    with_amount,
    with_uncertain,
)
from .settings import MOST_COUNT, MOST_DOLLARS, MOST_SECONDS, RunSettings, Size
from .shared_account import SharedAccount
from .usage import LEAST_LIKELY_OUTPUT, UsageTotals, usual_output

Resource = Literal["calls", "tokens", "cost", "time", "turns"]

FLAGS: dict[Resource, str] = {
    "calls": "--max-calls",
    "tokens": "--max-tokens",
    "cost": "--max-cost",
    "time": "--max-time",
    "turns": "--max-turns",
}


_TIME_KEPT, _MOST_TIME_KEPT = 0.1, 60.0
"""The share of `--max-time`, and the most seconds, that are kept for a last turn: the limit ends it, too."""
_ENOUGH_ANSWERS = 20
"""Answers after which their usual length is known."""


class Limits(BaseModel):
    """The limits in force. A resume may raise them; they are kept with the thread, not in its state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_turns: int = Field(ge=1, le=MOST_COUNT)
    max_calls: int = Field(ge=1, le=MOST_COUNT)
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_COUNT)
    max_cost: float | None = Field(default=None, gt=0, le=MOST_DOLLARS)
    max_time: float | None = Field(default=None, gt=0, le=MOST_SECONDS)
    strict_budget: bool = False
    """True when an uncertain request counts as all that was reserved for it."""
    max_home_size: Size | None = Field(default=None, ge=1 << 20, le=MOST_COUNT)
    """Bytes that the home may have on disk."""

    @classmethod
    def of(cls, settings: RunSettings) -> "Limits":
        """Return the limits that a run starts with."""
        return cls.model_validate(settings.model_dump(include=set(cls.model_fields)))

    def budget(self, resource: Resource) -> str:
        """Return the budget of one resource in words, such as `the budget of $5`."""
        return f"the budget of {_amount(resource, getattr(self, f'max_{resource}') or 0)}"

    def raised(self, raises: dict[str, Any]) -> "Limits":
        """Return a validated copy with the values of `raises` that are not None."""
        return Limits.model_validate({**self.model_dump(), **{k: v for k, v in raises.items() if v is not None}})


def _amount(resource: Resource, limit: float) -> str:
    return {"cost": f"${limit:g}", "time": f"{limit:g} s"}.get(resource, f"{limit:,.0f} {resource}")


class BudgetSpent(Exception):
    """A request was not sent because it would exceed the budget."""

    def __init__(self, resource: Resource, limit: float) -> None:
        super().__init__(f"the budget of {_amount(resource, limit)} is spent (raise it with {FLAGS[resource]})")
        self.resource: Resource = resource


class ApprovalNeeded(Exception):
    """A request was not sent because more dollars would be spent than a reviewer has allowed so far."""

    def __init__(self, allowed: float, spent: float, wanted: float) -> None:
        """`wanted`: the dollars that would be spent with it, at most."""
        super().__init__(f"more than ${allowed:g} would be spent, and no reviewer has allowed that")
        self.allowed = allowed
        self.spent = spent
        self.wanted = wanted


class BudgetLedger:
    """The running account of one run. Not shared between processes: the journal is the durable record."""

    def __init__(
        self,
        limits: Limits,
        spent: UsageTotals,
        *,
        seconds: float = 0.0,
        before: UsageTotals | None = None,
        outputs: Sequence[int] = (),
        above: "BudgetLedger | None" = None,
        shared: SharedAccount | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent`: by the run and those below it. `before`: by the runs that it was forked from, up to the fork.

        `outputs`: the output tokens of its answered requests, ascending. `above`: the account of the run that called
        this one; its limits apply. `shared`: the account of its batch, whose limits apply as well.
        """
        self._spent = spent
        self._outputs = list(outputs)
        self._limits = limits
        self._before = before or UsageTotals()
        self._above = above
        self.shared = shared if above is None else above.shared
        self._clock = clock
        self._started = clock() - seconds
        self._reserved = UsageTotals()
        self._kept = NOTHING
        self._allowed: float | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def below(self, spent: UsageTotals, *, seconds: float = 0.0) -> "BudgetLedger":
        """Return the account of a run that this one calls."""
        return BudgetLedger(self._limits, spent, seconds=seconds, above=self, clock=self._clock)

    @property
    def limits(self) -> Limits:
        """The limits of the whole tree; that on turns applies to each run in it."""
        return self._above.limits if self._above else self._limits

    @property
    def seconds(self) -> float:
        """Wall time of all executions so far."""
        return self._clock() - self._started

    def go_on(self, seconds: float) -> None:
        """Set the clock to `seconds`: the time between two executions does not count."""
        self._started = self._clock() - seconds

    @property
    def spent(self) -> UsageTotals:
        """The usage of the run and those below it."""
        if not self._spent.uncertain.calls:
            return self._spent
        return replace(self._spent, usual_output=self._usual_output)

    @property
    def _usual_output(self) -> int:
        return self._above._usual_output if self._above else usual_output(self._outputs)

    @property
    def _enough_output(self) -> int | None:
        """The output tokens that 99 of 100 answers of the run keep within, at least 1,000; None: not known yet."""
        if len(self._outputs) < _ENOUGH_ANSWERS:
            return None
        return max(LEAST_LIKELY_OUTPUT, self._usual_output)

    @property
    def counted(self) -> Counted:
        """The usage that counts against the limits: of the whole tree, and of the runs that it was forked from."""
        if self._above:
            return self._above.counted
        return counted(self._limits, self.spent, self._before)

    @property
    def time_counted(self) -> float:
        """Seconds that count against the limit."""
        return self._above.time_counted if self._above else self.seconds

    @property
    def seconds_left(self) -> float | None:
        """Seconds until everything ends that the run does; None without a limit, never less than 0."""
        if self._above:
            return self._above.seconds_left
        limit = self._limits.max_time
        own = None if limit is None else max(0.0, limit - self.seconds)
        shared = self.shared.seconds_left if self.shared else None
        return min((left for left in (own, shared) if left is not None), default=None)

    def allow(self, dollars: float | None) -> None:
        """Allow spending up to `dollars` before a reviewer is asked. Never lowers what was allowed before."""
        if self._above:
            self._above.allow(dollars)
        elif dollars is not None:
            self._allowed = max(dollars, self._allowed or 0.0)

    def raise_limits(self, limits: dict[str, float]) -> Limits:
        """Raise those of the tree's limits that are lower; return the limits in force. Raises ValueError."""
        if self._above:
            return self._above.raise_limits(limits)
        known = {name: getattr(self._limits, name) for name in limits}
        higher = {name: limit for name, limit in limits.items() if known[name] is not None and limit > known[name]}
        if higher:
            self._limits = self._limits.raised(higher)
        return self._limits

    def keep(self, last_turn: CostEstimate) -> None:
        """Keep back what a last root turn may take in case the budget runs out; at most half of what is left."""
        if self._above:
            return
        needed = last_turn.reservation(last_turn.output_tokens)
        tokens, dollars = self.left(NOTHING, self._reserved)
        self._kept = at_most_half(needed, tokens, dollars)
        if self.shared:
            self.shared.keep_for(self, needed)

    def close(self) -> None:
        """Keep nothing back any more: the run is no longer executed."""
        if self.shared:
            self.shared.leave(self)

    async def reserve(self, wanted: CostEstimate, *, last_turn: bool = False) -> Reservation:
        """Reserve what a request needs and return the reservation. Waits for others to settle where that makes room.

        A caller that waits must not hold a reservation. Raises BudgetSpent, or ApprovalNeeded when a reviewer must be
        asked first; nothing is reserved then.
        """
        if self._above:
            # The amount kept for a last turn is that of the top run.
            granted = await self._above.reserve(wanted)
        else:
            granted = await self._granted_by_all(wanted, last_turn=last_turn)
        self.hold(granted)
        return granted

    async def _granted_by_all(self, wanted: CostEstimate, *, last_turn: bool) -> Reservation:
        """Return what the run's account and that of its batch can both reserve. Nothing is held while it waits."""
        while True:
            granted = self._granted(wanted, last_turn=last_turn)
            if granted is None:
                await self.change()
            elif self.shared is None:
                return granted
            else:
                output = granted.output_tokens
                smaller = replace(wanted, output_tokens=output, least_output=min(output, wanted.least_output))
                if shared := self.shared.granted_to(self, smaller, last_turn=last_turn):
                    self.shared.hold(shared)
                    return shared
                await self.shared.change()

    def hold(self, granted: Reservation) -> None:
        """Count a reservation."""
        self._reserved = with_amount(self._reserved, granted, +1)

    def settle(self, reserved: Reservation, used: Reservation | None, *, streamed: int = 0) -> None:
        """Replace a reservation by what was used; None: unknown, the request becomes uncertain.

        `streamed`: the output tokens that had arrived of an uncertain request's answer.
        """
        if used is None:
            self._spent = with_uncertain(self._spent, reserved, streamed)
        else:
            self._spent = with_amount(self._spent, used, +1)
            # A refused request says nothing about how long answers are.
            if used.output_tokens and not self._above:
                bisect.insort(self._outputs, used.output_tokens)
        self._free(reserved)
        if account := self._above or self.shared:
            account.settle(reserved, used, streamed=streamed)

    def give_back(self, reserved: Reservation) -> None:
        """Release the reservation of a request that was not sent."""
        self._free(reserved)
        if account := self._above or self.shared:
            account.give_back(reserved)

    def count_reused(self) -> None:
        """Count an answer that came from the journal instead of a request."""
        self._spent = replace(self._spent, reused_calls=self._spent.reused_calls + 1)
        if self._above:
            self._above.count_reused()

    def exhausted(self) -> Resource | None:
        """Return the resource that forbids any further ordinary request, or None. Called between turns."""
        try:
            self.check()
        except BudgetSpent as spent:
            return spent.resource
        return None

    def check(self) -> None:
        """Raise BudgetSpent when no ordinary request can be sent, however small."""
        if self._above:
            self._above.check()
        else:
            self._granted(NO_REQUEST, last_turn=False)
            if self.shared:
                self.shared.granted_to(self, NO_REQUEST, last_turn=False)

    def _granted(self, wanted: CostEstimate, *, last_turn: bool) -> Reservation | None:
        """Return what can be reserved now; None when others have to settle first. Raises BudgetSpent."""
        kept_calls, kept = (0, NOTHING) if last_turn else (1, self._kept)
        return self.granted_beside(kept_calls, kept, wanted, last_turn=last_turn)

    def granted_beside(
        self, kept_calls: int, kept: Reservation, wanted: CostEstimate, *, last_turn: bool
    ) -> Reservation | None:
        """Return what can be reserved now beside what is kept back for last turns, as `_granted` does."""
        limits, counted, held = self._limits, self.counted, self._reserved
        calls = limits.max_calls - kept_calls
        if counted.model_calls + held.model_calls + 1 > calls:
            raise BudgetSpent("calls", limits.max_calls)
        if limits.max_time is not None and self.seconds > time_for(limits.max_time, last_turn=last_turn):
            raise BudgetSpent("time", limits.max_time)
        output = self._output_for(wanted, kept, held)
        if output >= wanted.output_tokens or (output >= wanted.least_output and not held.model_calls):
            return self._if_allowed(wanted.reservation(output))
        if (usual := self._enough_output) is not None and output >= usual:
            # Rather than wait for others, a request gets the room that 99 of 100 answers of this run need.
            return self._if_allowed(wanted.reservation(usual))
        if held.model_calls and self._output_for(wanted, kept, UsageTotals()) >= wanted.least_output:
            return None
        tokens, _ = self.left(kept, held)
        if tokens is not None and tokens - wanted.input_tokens <= output:
            raise BudgetSpent("tokens", limits.max_tokens or 0)
        raise BudgetSpent("cost", limits.max_cost or 0.0)

    def _if_allowed(self, granted: Reservation) -> Reservation | None:
        """Return `granted`; None when it may be allowed once others have settled. Raises ApprovalNeeded."""
        spent, held = self.counted.cost or 0.0, self._reserved.cost or 0.0
        wanted = spent + (granted.cost or 0.0)
        if self._allowed is None or wanted + held <= self._allowed:
            return granted
        if wanted <= self._allowed:
            return None
        raise ApprovalNeeded(self._allowed, spent, wanted)

    def _output_for(self, wanted: CostEstimate, kept: Reservation, held: UsageTotals) -> int:
        """Return the largest output limit up to the wanted one that fits; negative when not even the input fits."""
        tokens, dollars = self.left(kept, held)
        output = wanted.output_tokens
        if tokens is not None:
            output = min(output, tokens - wanted.input_tokens)
        return output if dollars is None else min(output, wanted.output_for(dollars))

    def left(self, kept: Reservation, held: UsageTotals) -> tuple[int | None, float | None]:
        """Return the tokens and dollars that are not spent, kept or held; None: no limit."""
        limits, counted = self._limits, self.counted
        tokens = dollars = None
        if limits.max_tokens is not None:
            tokens = limits.max_tokens - counted.tokens - held.tokens - kept.input_tokens - kept.output_tokens
        if limits.max_cost is not None:
            dollars = limits.max_cost - (counted.cost or 0.0) - (held.cost or 0.0) - (kept.cost or 0.0)
        return tokens, dollars

    def _free(self, reserved: Reservation) -> None:
        self._reserved = with_amount(self._reserved, reserved, -1)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def change(self) -> None:
        """Wait until a reservation has ended."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter


def time_for(limit: float, *, last_turn: bool) -> float:
    """Return the seconds within which a request may begin."""
    return limit if last_turn else limit - min(limit * _TIME_KEPT, _MOST_TIME_KEPT)


def counted(limits: Limits, spent: UsageTotals, before: UsageTotals) -> Counted:
    """Return the usage of a run, and of those that it was forked from, that counts against its limits."""
    total = added(spent, before)
    if limits.strict_budget:
        return Counted(total.model_calls, total.most_tokens, total.most_cost)
    return Counted(total.model_calls, total.tokens, total.total_cost)
