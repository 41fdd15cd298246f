"""Read the token counts that servers send beside a reply. A count that cannot be true is treated as not sent."""

from typing import Any, cast

Json = dict[str, Any]

_MOST_TOKENS = 10**9


def plausible(count: Any) -> int | None:
    """Return a count of tokens that can be true; None for a text, a fraction, a negative or an enormous number."""
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MOST_TOKENS:
        return count
    return None


def plausible_usage(usage: Any) -> Json:
    """Return the `usage` of a chat completion in OpenAI's form, without the counts that cannot be true.

    Cached tokens are under other names with DeepSeek and LiteLLM. Some servers (xAI's, Gemini's) leave thoughts out of
    `completion_tokens`, although they bill them as output: there the total gives that away, and they are added.
    """
    sent = _dict(usage)
    if not sent:
        return {}
    input_details, output_details = (
        _dict(sent.get("prompt_tokens_details")),
        _dict(sent.get("completion_tokens_details")),
    )
    given, answered = plausible(sent.get("prompt_tokens")), plausible(sent.get("completion_tokens"))
    thoughts = plausible(output_details.get("reasoning_tokens"))
    if given and answered is not None and thoughts and sent.get("total_tokens") == given + answered + thoughts:
        answered += thoughts
    cached = _first(input_details.get("cached_tokens"), sent.get("prompt_cache_hit_tokens"))
    written = _first(input_details.get("cache_write_tokens"), sent.get("cache_creation_input_tokens"))
    return {
        "prompt_tokens": given,
        "completion_tokens": answered,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }


def _first(*counts: Any) -> int | None:
    return next((count for count in map(plausible, counts) if count), None)


def _dict(value: Any) -> Json:
    return cast(Json, value) if isinstance(value, dict) else {}
