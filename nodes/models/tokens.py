"""Estimate token counts from the text alone, and check whether a request exceeds a model's context window.

This needs no tokenizer file and no network. It is used to reserve budget before a request, and for servers that send no
counts. Estimates are rather too high: a reservation that is too small lets a run overspend. Windows come from a shipped
list.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from .pricing import LISTED_AS
from .urls import is_openai

_WINDOW = 64
_WINDOWS = 16
"""Longer texts are judged by this many evenly spread samples, so a gigabyte costs what 1 KB costs: 0.1 ms."""
_SAFETY = 1.1
"""Factor on a sampled estimate, for what lies between the samples."""
_REMEMBERED = 16_384
"""Characters of the longest text whose estimate is remembered."""
_PER_MESSAGE = 8
"""Role markers and separators of the common chat templates."""

_PIECE = re.compile(
    r"(?P<word>[A-Z]?[a-z]+|[A-Z]+)|(?P<digits>[0-9]+)|(?P<space>\s+)"
    r"|(?P<rule>([!-/:-@\[-`{-~])\5{3,})|(?P<signs>[!-/:-@\[-`{-~]+)"
    r"|(?P<cjk>[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+)"
    r"|(?P<letters>[^\W\d_]+)|(?P<rest>.)",
    re.DOTALL,
)
"""Runs of similar characters, much as the pre-tokenizers of byte-pair vocabularies cut them."""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of `text`, rather too many than too few; 0 for an empty text.

    English prose comes out at about 3.7 characters a token, code at 3, CJK at 0.8, base64 and numbers at less than 2.
    The cost does not grow with the length.
    """
    return _remembered(text) if len(text) <= _REMEMBERED else _estimated(text)


def _estimated(text: str) -> int:
    length = len(text)
    if length <= _WINDOW * _WINDOWS:
        return _count(text)
    step = (length - _WINDOW) / (_WINDOWS - 1)
    starts = [int(index * step) for index in range(_WINDOWS)]
    sampled = sum(_count(text[start : start + _WINDOW]) for start in starts)
    return int(sampled / (_WINDOW * _WINDOWS) * length * _SAFETY) + 1


@lru_cache(maxsize=256)
def _remembered(text: str) -> int:
    """Return the estimate, cached: a root request is mostly that of the turn before, and is judged more than once."""
    return _estimated(text)


def estimate_messages(messages: Iterable[Mapping[str, str]]) -> int:
    """Estimate the input tokens of a request with these messages."""
    return sum(estimate_tokens(message["content"]) + _PER_MESSAGE for message in messages)


def _count(text: str) -> int:
    return sum(_weight(match.lastgroup or "rest", match.end() - match.start()) for match in _PIECE.finditer(text))


def _weight(kind: str, length: int) -> int:
    """Return the tokens of one run of similar characters, as byte-pair vocabularies tend to split it."""
    match kind:
        case "word":
            return -(-length // 5)
        case "digits":
            return -(-length // 2)
        case "space":
            # A single space belongs to the word after it.
            return 0 if length == 1 else 1
        case "rule":
            # `-----` is few tokens, however long.
            return 1 + length // 8
        case "cjk":
            return -(-length * 5 // 4)
        case "letters" | "signs":
            return -(-length // 2)
        case _:
            return 2 * length


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
