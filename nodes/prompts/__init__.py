"""Build the messages for the root model. Texts are in `.md` files, those for some models only in `families.toml`."""

from .messages import CONVERGE_AT, REBOUND_NAMES, REPL_NAMES, Left, budget_line, converge, first_message, last_turn
from .system import SubModel, family_addendum, system_prompt

__all__ = [
    "CONVERGE_AT",
    "REBOUND_NAMES",
    "REPL_NAMES",
    "Left",
    "SubModel",
    "budget_line",
    "converge",
    "family_addendum",
    "first_message",
    "last_turn",
    "system_prompt",
]
