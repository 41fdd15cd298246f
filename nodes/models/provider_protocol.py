"""The interface between `ModelClient` and providers: one request out, one reply or one exception back.

Requests and replies are plain values, whichever provider answers.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

Message = dict[str, str]
"""`role` (`system`, `user` or `assistant`) and `content`."""

Role = Literal["root", "sub"]
Finish = Literal["stop", "length", "refusal", "other"]


@dataclass(frozen=True)
class ModelRequest:
    """One question to a model. The messages reach the server verbatim and in this order."""

    messages: list[dict[str, str]]
    """`{"role": "system" | "user" | "assistant", "content": text}`; a sub-call's prompt is the last user message."""
    max_output_tokens: int
    role: Role = "sub"
    """A root turn or a sub-call: servers do not see it, scripted models choose their function by it."""
    schema: dict[str, Any] | None = None
    """JSON Schema of the answer: `typed.ask_typed` instructs and validates, a sender may ask for it in its own way."""


@dataclass(frozen=True)
class ModelReply:
    """A model's answer, and what it took to get it."""

    text: str
    input_tokens: int
    """Over all attempts that the server answered, the unusable ones (empty, refused) included: they are paid."""
    output_tokens: int
    cost_usd: float | None
    """US dollars for those tokens; None when no price is known, never a made-up 0."""
    finish: Finish
    """`length`: the text was cut at `max_output_tokens`."""
    estimated: bool
    """Whether some of the token counts are estimates, because the server sent none."""
    attempts: int
    """Requests sent."""
    seconds: float
    """Wall time from asking to answer, waits between attempts included."""


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
