"""The results of saving and restoring variables."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .chunks import Pieces

Describe = Callable[[str, Any], "dict[str, Any] | None"]
"""Function that describes a variable for people: `{"name", "type", "size", "preview"}`, or None."""


MOST_VARIABLES = 100_000
"""Variables that can be saved, at most."""


class TooManyVariables(Exception):
    """The cell left more variables than can be saved."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"{number:,} variables are more than the {MOST_VARIABLES:,} that can be saved: keep them in a dict or a "
            "list, and delete the single names"
        )


@dataclass
class Taken:
    """Changes since the last snapshot (`Group` of `state.blobs.snapshots`), and the pieces not sent before."""

    groups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    gone: list[str] = field(default_factory=list[str])
    chunks: Pieces = field(default_factory=dict[str, "bytes | memoryview"])


@dataclass
class Restored:
    """The variables that were restored as they were, and those that were not, with the reasons."""

    names: list[str]
    lost: dict[str, str]
    notes: list[str] = field(default_factory=list[str])
    """Differences between this kernel and the one that saved them."""
