"""Estimate the tokens of requests, and check whether a request exceeds a model's context window.

It is used to reserve budget before a request, and for servers that send no counts. Windows come from a shipped list.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ...matching.token_estimate import estimate_tokens
from .pricing import LISTED_AS
from .urls import is_openai

_PER_MESSAGE = 8
"""Role markers and separators of the common chat templates."""


def estimate_messages(messages: Iterable[Mapping[str, str]]) -> int:
    """Estimate the input tokens of a request with these messages."""
    return sum(estimate_tokens(message["content"]) + _PER_MESSAGE for message in messages)


_SURELY = 0.8
"""Factor on an estimate: estimates are rather high, and what would have fitted must not be refused."""
_MOST_TOKENS_A_CHARACTER = 2.2
"""No estimate is higher, so that most prompts need none."""


@lru_cache(maxsize=256)
def context_window(name: str) -> int | None:
    """Return the tokens that the model `provider:model` can read and write together; None when the list has none."""
    provider, _, model = name.partition(":")
    if provider not in LISTED_AS or not model:
        return None
    # Imported late: the list takes a quarter of a second.
    from genai_prices import Usage, calc_price

    try:
        found = calc_price(Usage(input_tokens=1, output_tokens=1), model, provider_id=LISTED_AS[provider])
    except (LookupError, ValueError):
        return None
    return found.model.context_window


def window_of(name: str, base_url: str) -> int | None:
    """Return the window of a model at this server; None when that is not known.

    A user's own server may give another model a listed name: only the server knows how much that one reads.
    """
    return context_window(name) if not base_url or is_openai(base_url) else None


def surely_fits_not(messages: Sequence[Mapping[str, str]], max_output_tokens: int, window: int | None) -> bool:
    """Return whether the messages and the room kept for the answer are clearly more than `window` tokens."""
    if window is None:
        return False
    # Most servers cut down an output limit beyond the model's own, so it counts for at most half of the window.
    room = window - min(max_output_tokens, window // 2)
    characters = sum(len(message["content"]) for message in messages)
    if characters * _MOST_TOKENS_A_CHARACTER * _SURELY <= room:
        return False
    return estimate_messages(messages) * _SURELY > room


def size(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the size of a request in words: `about 512,000 tokens, 2,000,000 characters`."""
    characters = sum(len(message["content"]) for message in messages)
    return f"about {estimate_messages(messages):,} tokens, {characters:,} characters"
