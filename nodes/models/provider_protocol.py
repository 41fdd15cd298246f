"""The narrow waist: one request out, one reply or one exception back. Providers implement it, `ModelClient` uses it."""

from dataclasses import dataclass
from typing import Protocol

from .reply import ModelRequest


@dataclass(frozen=True)
class RawReply:
    """What one request brought back, before anything is judged or retried."""

    text: str
    finish: str = ""
    """The provider's own word for why it stopped: `stop`, `end_turn`, `MAX_TOKENS`, `content_filter` …"""
    refusal: str = ""
    """What the model said instead of an answer, where the provider has a field for that."""
    input_tokens: int | None = None
    """None: the server sent no count."""
    output_tokens: int | None = None
    cached_tokens: int = 0
    """How many of the input tokens came from the provider's cache, which costs less."""


class Sender(Protocol):
    """Sends one request to one model, once. Retrying, judging and pricing are done by its caller."""

    async def send(self, request: ModelRequest) -> RawReply:
        """The model's reply. Raises whatever its provider raises; `failures.classify` reads it."""
        ...

    async def aclose(self) -> None:
        """Close connections. Safe to call twice, and before the first `send`."""
        ...
