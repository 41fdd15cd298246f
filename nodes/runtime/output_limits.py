"""Output limits of requests, and what is reserved for the last turn, in which the root must answer from what it has."""

from functools import partial

from ...state.model_specs import ModelSpec
from ...state.reservations import CostEstimate
from ..models.pricing import cost_usd

ROOT_OUTPUT_TOKENS = 16_384
SUB_OUTPUT_TOKENS = 8_192
LAST_OUTPUT_TOKENS = 4_096
"""Output limit of a last turn, where tokens or money are limited."""
LEAST_OUTPUT = 512
"""Tokens that an answer must have room for, or the request is not sent."""
LEAST_LAST_OUTPUT = 256
ANOTHER_TURN = 10_000
"""Tokens by which a turn's request may be longer than the one before: a reply, and the output of a cell."""


def last_turn(model: ModelSpec, input_tokens: int) -> CostEstimate:
    """Return what a last turn may take after a request of `input_tokens`."""
    cost = partial(cost_usd, model.name, price=model.price)
    return CostEstimate(input_tokens + ANOTHER_TURN, LAST_OUTPUT_TOKENS, LEAST_LAST_OUTPUT, cost)
