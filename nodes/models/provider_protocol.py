"""Define the interface between `ModelClient` and providers: one request out, one reply or one exception back.

Requests and replies are plain values, whichever provider answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Message = dict[str, str]
"""`role` (`system`, `user` or `assistant`) and `content`."""

Role = Literal["root", "sub"]
Finish = Literal["stop", "length", "refusal", "error", "other"]

OnOutput = Callable[[int, int], None]
"""Called with the tokens of a reply that have arrived, by estimate, and those of a second; at most twice a second."""
OnPiece = Callable[[str], None]
"""Called with each piece of a reply's text, thoughts and code as it arrives."""


def ignore_piece(piece: str) -> None:
    """Do nothing with a piece of a reply."""
    del piece


@dataclass(frozen=True)
class ModelRequest:
    """One question to a model. The messages reach the server verbatim and in this order."""

    messages: list[dict[str, str]]
    """`{"role": "system" | "user" | "assistant", "content": text}`; a sub-call's prompt is the last user message."""
    max_output_tokens: int
    role: Role = "sub"
    """A root turn or a sub-call: servers do not see it, scripted models choose their function by it."""
    schema: dict[str, Any] | None = None
    """JSON Schema of the answer. `structured_output.ask_typed` instructs and validates; a sender may ask for it in its
    own way."""
    on_output: OnOutput | None = field(default=None, compare=False, repr=False)
    """Follows the reply of each attempt, where it is streamed."""


@dataclass(frozen=True)
class ModelReply:
    """A model's answer, and its usage."""

    text: str
    input_tokens: int
    """Tokens over all attempts that the server answered, the unusable ones (empty, refused) included: they are paid
    for."""
    output_tokens: int
    cost_usd: float | None
    """US dollars for those tokens; None, and never 0 instead, when no price is known."""
    finish: Finish
    """`length`: the text was cut, at `max_output_tokens` or because it repeated itself without end."""
    estimated: bool
    """True when some of the token counts are estimates, because the server sent none."""
    attempts: int
    """Requests sent."""
    seconds: float
    """Wall time from asking to answer, waits between attempts included."""
    thoughts: str = ""
    """The model's thoughts before it answered, as far as the server shows them. They are paid for, and no answer."""
    thought_tokens: int = 0
    """Those of the `output_tokens` that were thoughts, over all attempts, as far as the server counts them."""
    cached_tokens: int = 0
    """Those of the `input_tokens` that the provider read from its cache."""
    cache_write_tokens: int = 0
    """Those of the `input_tokens` that the provider wrote to its cache."""
    wrapped: bool = False
    """True when the value of a schema was asked for within an object (`schema_wrapper`)."""


@dataclass(frozen=True)
class RawReply:
    """The result of one request, before anything is judged or retried."""

    text: str
    """May begin with thoughts in tags: `ModelClient` takes them off."""
    thoughts: str = ""
    """Thoughts, where the provider has a field for them."""
    finish: str = ""
    """The provider's own word for why the model stopped: `stop`, `end_turn`, `MAX_TOKENS`, `content_filter` …"""
    error: str = ""
    """The server's words about an answer that broke off."""
    code: str = ""
    """Code that the model wants to be run by a tool, although it was offered none."""
    refusal: str = ""
    """The model's words instead of an answer, where the provider has a field for that."""
    input_tokens: int | None = None
    """None when the server sent no count."""
    output_tokens: int | None = None
    thought_tokens: int = 0
    """Those of the output tokens that were thoughts."""
    cached_tokens: int = 0
    """Those of the input tokens that came from the provider's cache, which cost less."""
    cache_write_tokens: int = 0
    """Those of the input tokens that the provider wrote to its cache, which may cost more."""
    wrapped: bool = False
    """True when the value of a schema was asked for within an object (`schema_wrapper`)."""


class Sender(Protocol):
    """A sender of one request to one model, once. Retrying, judging and pricing are done by its caller."""

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        """Return the model's reply; `on_piece` follows it where it is streamed.

        Raises what its provider raises; `errors.classify` reads it.
        """
        ...

    async def aclose(self) -> None:
        """Close connections. Safe to call twice, and before the first `send`."""
        ...
