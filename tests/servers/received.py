"""The requests that a scripted server received, and what a provider would bill for them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Tokens:
    """The tokens of one reply, or of many."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """The sum of both."""
        return self.input + self.output

    def cost(self, price: tuple[float, float]) -> float:
        """Return dollars, at a price per million (input, output) tokens."""
        return (self.input * price[0] + self.output * price[1]) / 1e6


@dataclass
class Seen:
    """A request as it arrived."""

    number: int
    body: Body
    headers: Mapping[str, str]
    nth: int = 1
    """Its number among the requests with this prompt."""
    peer: object = None
    """The client's end of the connection."""
    billed: Tokens = Tokens()
    """The tokens of its reply, once there is one, whether or not it got through."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that was sent."""
        return self.body["messages"]

    @property
    def prompt(self) -> str:
        """The last user message."""
        return prompt_of(self.body)

    @property
    def output_limit(self) -> int | None:
        """The most tokens that the reply may have, under either name of the field; None where neither is sent."""
        return self.body.get("max_completion_tokens", self.body.get("max_tokens"))


def prompt_of(body: Body) -> str:
    """Return the last user message of a request, empty when there is none."""
    return next((message["content"] for message in reversed(body["messages"]) if message["role"] == "user"), "")


def tokens_of(messages: list[dict[str, str]], answer: str) -> Tokens:
    """Count four characters as a token."""
    return Tokens(len(json.dumps(messages)) // 4, len(answer) // 4 + 1)


def longest_answer(tokens: int) -> int:
    """Return the characters of the longest answer of so many tokens."""
    return 4 * max(tokens, 1) - 1
