"""Reservations and usage of requests, and how they add up: the arithmetic of the budget (`budget.py`)."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from .usage import NO_DETAILS, TokenDetails, Uncertain, UsageTotals


@dataclass(frozen=True)
class Reservation:
    """The most that one request may cost, or what it did cost. `cost` is `None` when its price is unknown."""

    input_tokens: int
    output_tokens: int
    cost: float | None
    expected_input: int | None = None
    """Input tokens of the first attempt, where more is reserved (for a repair that may follow)."""
    input_cost: float | None = 0.0
    """Dollars for that input."""
    details: TokenDetails = NO_DETAILS
    """Parts of the tokens of a request that has ended."""

    @property
    def sent_tokens(self) -> int:
        """The input tokens that a request is likely to take."""
        return self.input_tokens if self.expected_input is None else self.expected_input


NOTHING = Reservation(0, 0, 0.0)


@dataclass(frozen=True)
class CostEstimate:
    """The input of a request and its output limit, which may be lowered to `least_output`."""

    input_tokens: int
    output_tokens: int
    least_output: int
    cost: Callable[[int, int], float | None]
    """Dollars for the given input and output tokens; None when the price is unknown."""
    expected_input: int | None = None
    """Input tokens of the first attempt, where more is reserved."""

    def reservation(self, output_tokens: int) -> Reservation:
        """Return the reservation for the request with this output limit."""
        sent = self.input_tokens if self.expected_input is None else self.expected_input
        most = self.cost(self.input_tokens, output_tokens)
        return Reservation(self.input_tokens, output_tokens, most, sent, self.cost(sent, 0))

    def output_for(self, dollars: float) -> int:
        """Return the largest output limit up to the wanted one that `dollars` pay for; negative if none does."""
        whole, bare = (self.cost(self.input_tokens, out) or 0.0 for out in (self.output_tokens, 0))
        if whole <= dollars:
            return self.output_tokens
        return math.floor(self.output_tokens * (dollars - bare) / (whole - bare)) if whole > bare else -1


NO_REQUEST = CostEstimate(0, 0, 0, lambda _in, _out: 0.0)
"""The smallest request there could be."""


@dataclass(frozen=True)
class Counted:
    """The amounts that count against the limits. `cost` is `None` when a price is unknown."""

    model_calls: int
    tokens: int
    cost: float | None


def at_most_half(needed: Reservation, tokens: int | None, dollars: float | None) -> Reservation:
    """Return what is kept back of the tokens and dollars that are left (None: no limit): half of them at most."""
    kept, cost = needed.input_tokens + needed.output_tokens, needed.cost or 0.0
    return Reservation(
        0 if tokens is None else max(0, min(kept, tokens // 2)),
        0,
        0.0 if dollars is None else max(0.0, min(cost, dollars / 2)),
    )


def plus(one: Reservation, other: Reservation) -> Reservation:
    """Add up what two requests took."""
    tokens_in, tokens_out = one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens
    details = one.details.plus(other.details)
    return Reservation(tokens_in, tokens_out, _dollars(one.cost, other.cost), details=details)


def with_amount(total: UsageTotals, amount: Reservation, sign: int) -> UsageTotals:
    """Add one request to `total`, or subtract it where `sign` is -1."""
    cost = None if total.cost is None or amount.cost is None else total.cost + sign * amount.cost
    return replace(
        total,
        model_calls=total.model_calls + sign,
        input_tokens=total.input_tokens + sign * amount.input_tokens,
        output_tokens=total.output_tokens + sign * amount.output_tokens,
        cost=cost,
        details=total.details.plus(amount.details),
    )


def with_uncertain(total: UsageTotals, reserved: Reservation, streamed: int = 0) -> UsageTotals:
    """Add one uncertain request to `total`. `streamed`: the output tokens that had arrived of its answer."""
    most = reserved.input_tokens + reserved.output_tokens
    one = Uncertain(
        *(1, reserved.sent_tokens, reserved.output_tokens, most, reserved.cost, reserved.input_cost),
        *((1, streamed) if streamed else (0, 0)),
    )
    return added(total, UsageTotals(model_calls=1, uncertain=one))


def added(one: UsageTotals, other: UsageTotals) -> UsageTotals:
    """Add up two totals."""
    first, second = one.uncertain, other.uncertain
    return UsageTotals(
        one.model_calls + other.model_calls,
        one.reused_calls + other.reused_calls,
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        _dollars(one.cost, other.cost),
        Uncertain(
            first.calls + second.calls,
            first.input_tokens + second.input_tokens,
            first.output_tokens + second.output_tokens,
            first.most_tokens + second.most_tokens,
            _dollars(first.most_cost, second.most_cost),
            _dollars(first.input_cost, second.input_cost),
            first.streamed_calls + second.streamed_calls,
            first.streamed_output + second.streamed_output,
        ),
        one.details.plus(other.details),
        max(one.usual_output, other.usual_output),
    )


def _dollars(one: float | None, other: float | None) -> float | None:
    """Return the sum of two amounts of dollars; None when either is unknown."""
    return None if one is None or other is None else one + other
