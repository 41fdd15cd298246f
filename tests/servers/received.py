"""What a scripted server has received, and what a provider would put on the bill for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Tokens:
    """What one reply took, or many."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.input + self.output

    def cost(self, price: tuple[float, float]) -> float:
        """Dollars, at a price per million (input, output) tokens."""
        return (self.input * price[0] + self.output * price[1]) / 1e6


@dataclass
class Seen:
    """A request as it arrived."""

    number: int
    body: Body
    headers: Mapping[str, str]
    nth: int = 1
    """Counted among the requests with this prompt."""
    billed: Tokens = Tokens()
    """What its reply took, once one is made, whether or not it got through."""

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
    """The last user message of a request, empty when there is none."""
    return next((message["content"] for message in reversed(body["messages"]) if message["role"] == "user"), "")


def tokens_of(messages: list[dict[str, str]], answer: str) -> Tokens:
    """Four characters a token."""
    return Tokens(len(json.dumps(messages)) // 4, len(answer) // 4 + 1)


def longest_answer(tokens: int) -> int:
    """Characters of the longest answer of so many tokens."""
    return 4 * max(tokens, 1) - 1
