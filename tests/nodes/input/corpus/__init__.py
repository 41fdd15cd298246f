"""Files with sentences planted in every part that their formats have, one module a format.

Each module has `samples(random)`, which makes files of its formats with varied content. The test of silent losses
reads them all: every sentence is in the text, or a loss names its part.
"""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
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


def makers() -> list[Samples]:
    """Return the function of each module here that makes samples."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return [module.samples for module in modules if hasattr(module, "samples")]


def corpus(files: int, seed: int = 1) -> Iterator[Sample]:
    """Yield at least so many files of all formats, the same ones for the same seed."""
    random = Random(seed)
    made = 0
    while made < files:
        for make in makers():
            for sample in make(random):
                yield sample
                made += 1
