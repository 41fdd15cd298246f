"""How much a model can read, and whether a request is clearly more than that. By the shipped list; no network."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from .pricing import LISTED_AS
from .tokens import estimate_messages
from .urls import is_openai

_SURELY = 0.8
"""Of an estimate: estimates lean high, and what would have fitted must not be refused."""
_MOST_TOKENS_A_CHARACTER = 2.2
"""No estimate is higher (`tokens`), so that most prompts need none."""


@lru_cache(maxsize=256)
def context_window(name: str) -> int | None:
    """The tokens that the model `provider:model` can read and write together; None when the list does not say."""
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
    """The window of a model where it is asked; None when that is not known.

    A server of one's own may call another model by a listed name: how much that one reads, it says itself.
    """
    return context_window(name) if not base_url or is_openai(base_url) else None


def surely_fits_not(messages: Sequence[Mapping[str, str]], max_output_tokens: int, window: int | None) -> bool:
    """Whether the messages and the answer that is kept room for are clearly more than `window` tokens."""
    if window is None:
        return False
    # An output limit beyond the model's own is cut down by most servers: it takes half of the window at most.
    room = window - min(max_output_tokens, window // 2)
    characters = sum(len(message["content"]) for message in messages)
    if characters * _MOST_TOKENS_A_CHARACTER * _SURELY <= room:
        return False
    return estimate_messages(messages) * _SURELY > room


def size(messages: Sequence[Mapping[str, str]]) -> str:
    """The size of a request in words: `about 512,000 tokens, 2,000,000 characters`."""
    characters = sum(len(message["content"]) for message in messages)
    return f"about {estimate_messages(messages):,} tokens, {characters:,} characters"
