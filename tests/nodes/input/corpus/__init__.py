"""Files with sentences planted in every part that their formats have, one module a format.

Each module has `samples(random)`, which makes files of its formats with varied content. The test of silent losses
reads them all: every sentence is in the text, or a loss names its part.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Protocol


@dataclass(frozen=True)
class Planted:
    """A sentence in one part of a file."""

    sentence: str
    part: str
    """For the message of a failed test: `footnote`."""
    loss: str = ""
    """A word of the loss that stands for it where a reader does not show that part; empty: it must be shown."""


@dataclass(frozen=True)
class Sample:
    """One file."""

    name: str
    data: bytes
    planted: list[Planted] = field(default_factory=list[Planted])


class Samples(Protocol):
    """Makes files, a few for each call."""

    def __call__(self, random: Random) -> list[Sample]: ...


def sentence(random: Random, part: str) -> str:
    """Return a sentence that occurs nowhere else: words of random letters, and the part's name."""
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9))) for _ in range(5)]
    return f"{words[0].capitalize()} {part} {' '.join(words[1:])}."
