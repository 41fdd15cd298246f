"""The private part of langchain-anthropic that is used."""

from typing import Any


def make_client(chat: Any) -> None:
    """Make the HTTP client of a ChatAnthropic now; it makes one with its first request, of the fields it has then."""
    getattr(chat, "_async_client", None)
