"""The budget of a run: what may be spent, what is, and what is reserved for requests under way.

Every request is reserved before it is sent (its prompt and the output limit that it carries), so that a
limit holds even when hundreds are in flight (promise P9). One request is kept back for a last root turn.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .journal import Spent
from .settings import RunSettings

Resource = Literal["calls", "tokens", "cost", "time", "turns"]

FLAGS: dict[Resource, str] = {
    "calls": "--max-calls",
    "tokens": "--max-tokens",
    "cost": "--max-cost",
    "time": "--max-time",
    "turns": "--max-turns",
}


class Limits(BaseModel):
    """The limits in force. A resume may raise them; they are kept with the thread, not in its state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_turns: int = Field(ge=1)
    max_calls: int = Field(ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, gt=0)
    max_time: float | None = Field(default=None, gt=0)

    @classmethod
    def of(cls, settings: RunSettings) -> "Limits":
        """The limits that a run starts with."""
        return cls.model_validate(settings.model_dump(include=set(cls.model_fields)))

    def raised(self, raises: dict[str, Any]) -> "Limits":
        """A validated copy with those of `raises` that are given (not None) put in."""
        return Limits.model_validate({**self.model_dump(), **{k: v for k, v in raises.items() if v is not None}})


class BudgetSpent(Exception):
    """A request was not sent because the budget forbids it."""

    def __init__(self, resource: Resource, limit: float) -> None:
        super().__init__(f"the budget of {limit:g} {resource} is spent (raise it with {FLAGS[resource]})")
        self.resource: Resource = resource


@dataclass(frozen=True)
class Reservation:
    """What one request may cost at most. `cost` is None when its price is unknown."""

    input_tokens: int
    output_tokens: int
    cost: float | None


class Ledger:
    """The running account of one run. Not shared between processes: the journal is what lasts."""

    def __init__(
        self,
        limits: Limits,
        spent: Spent,
        *,
        seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.spent = spent
        self._clock = clock
        self._started = clock() - seconds
        self._reserved = Spent()

    @property
    def seconds(self) -> float:
        """Wall time of all sittings so far."""
        return self._clock() - self._started

    def reserve(self, wanted: Reservation, *, last_turn: bool = False) -> None:
        """Take `wanted` out of what is left. Raises BudgetSpent, and then takes nothing."""
        limits, spent, held = self.limits, self.spent, self._reserved
        calls = limits.max_calls if last_turn else limits.max_calls - 1
        if spent.model_calls + held.model_calls + 1 > calls:
            raise BudgetSpent("calls", limits.max_calls)
        tokens = wanted.input_tokens + wanted.output_tokens
        if limits.max_tokens is not None and spent.tokens + held.tokens + tokens > limits.max_tokens:
            raise BudgetSpent("tokens", limits.max_tokens)
        if limits.max_cost is not None:
            known = (spent.cost or 0.0) + (held.cost or 0.0) + (wanted.cost or 0.0)
            if known > limits.max_cost:
                raise BudgetSpent("cost", limits.max_cost)
        if limits.max_time is not None and self.seconds > limits.max_time and not last_turn:
            raise BudgetSpent("time", limits.max_time)
        self._reserved = _plus(held, wanted, +1)

    def settle(self, reserved: Reservation, used: Reservation | None) -> None:
        """Turn one reservation into what was used; None: as much as was reserved (outcome unknown)."""
        self._reserved = _plus(self._reserved, reserved, -1)
        self.spent = _plus(self.spent, used or reserved, +1)

    def count_reused(self) -> None:
        """One answer came from the journal instead of a request."""
        self.spent = replace(self.spent, reused_calls=self.spent.reused_calls + 1)

    def exhausted(self) -> Resource | None:
        """What forbids another ordinary request, or None. Asked between turns."""
        try:
            self.reserve(_NOTHING)
        except BudgetSpent as spent:
            return spent.resource
        self._reserved = _plus(self._reserved, _NOTHING, -1)
        return None


_NOTHING = Reservation(0, 0, 0.0)


def _plus(total: Spent, amount: Reservation, sign: int) -> Spent:
    cost = None if total.cost is None or amount.cost is None else total.cost + sign * amount.cost
    return replace(
        total,
        model_calls=total.model_calls + sign,
        input_tokens=total.input_tokens + sign * amount.input_tokens,
        output_tokens=total.output_tokens + sign * amount.output_tokens,
        cost=cost,
    )
