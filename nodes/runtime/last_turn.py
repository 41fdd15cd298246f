"""The turn in which the root must answer from what it has: what is kept back for it, and what it may take."""

from functools import partial
from typing import TYPE_CHECKING

from ...state.reservations import CostEstimate
from ..models.pricing import Price, cost_usd
from ..models.tokens import estimate_messages
from ..prompts.history import Message

if TYPE_CHECKING:
    from .active_runs import ActiveRun

LAST_OUTPUT_TOKENS = 4_096
"""The output limit of its reply, where tokens or money are limited."""
LEAST_LAST_OUTPUT = 256
ANOTHER_TURN = 10_000
"""Tokens by which its request may be longer than the one before: a reply, and what a cell shows."""


def last_turn(model: str, price: Price | None, input_tokens: int) -> CostEstimate:
    """What a last turn may take that follows a request of so many tokens."""
    cost = partial(cost_usd, model, price=price)
    return CostEstimate(input_tokens + ANOTHER_TURN, LAST_OUTPUT_TOKENS, LEAST_LAST_OUTPUT, cost)


def keep_last_turn(run: "ActiveRun", messages: list[Message]) -> None:
    """Keep back what a last turn may take that follows the request with these messages."""
    run.ledger.keep(last_turn(run.settings.model, run.settings.price, estimate_messages(messages)))
