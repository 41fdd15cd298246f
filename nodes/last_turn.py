"""The turn in which the root must answer from what it has: what is kept back for it, and what it may take."""

from dataclasses import replace

from .asking import wanted
from .conversation import Message
from .live import LiveRun
from .models.reply import ModelRequest

LAST_OUTPUT_TOKENS = 4_096
"""The output limit of its reply, where tokens or money are limited."""
LEAST_LAST_OUTPUT = 256
_ANOTHER_TURN = 10_000
"""Tokens by which its request may be longer than the one before: a reply, and what a cell shows."""


def keep_last_turn(run: LiveRun, messages: list[Message]) -> None:
    """Keep back what a last turn may take that follows the request with these messages."""
    request = ModelRequest(messages=messages, max_output_tokens=LAST_OUTPUT_TOKENS, role="root")
    needed = wanted(run.root_model, run, request)
    run.ledger.keep(replace(needed, input_tokens=needed.input_tokens + _ANOTHER_TURN))
