"""Output limits of requests, and what is reserved for the last turn, in which the root must answer from what it has."""

from functools import partial

from ...state.model_specs import ModelSpec
from ...state.reservations import CostEstimate
from ..models.client import ModelClient
from ..models.pricing import cost_usd

ROOT_OUTPUT_TOKENS = 16_384
SUB_OUTPUT_TOKENS = 8_192
UNKNOWN_OUTPUT_TOKENS = 4_096
"""For models about which nothing is known: servers refuse a limit that leaves no room for the prompt."""
LAST_OUTPUT_TOKENS = 4_096
"""Output limit of a last turn, where tokens or money are limited."""
LEAST_OUTPUT = 512
"""Tokens that an answer must have room for, or the request is not sent."""
LEAST_LAST_OUTPUT = 256
ANOTHER_TURN = 10_000
"""Tokens by which a turn's request may be longer than the one before: a reply, and the output of a cell."""


def output_limit(model: ModelClient, usual: int) -> int:
    """Return the output limit of a request: the user's own for this model, else the usual one for a known model."""
    if model.max_output is not None:
        return model.max_output
    return usual if model.window is not None else min(usual, UNKNOWN_OUTPUT_TOKENS)


def last_turn(model: ModelSpec, input_tokens: int) -> CostEstimate:
    """Return what a last turn may take after a request of `input_tokens`."""
    cost = partial(cost_usd, model.name, price=model.price)
    return CostEstimate(input_tokens + ANOTHER_TURN, LAST_OUTPUT_TOKENS, LEAST_LAST_OUTPUT, cost)
