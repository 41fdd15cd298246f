"""A search of the input, as a kernel posts it and the host answers it (`session.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class SearchQuery:
    """A search of the kernel's own input. Parsed from a kernel, so nothing in it is trusted."""

    words: str
    k: int
    """The most hits."""
    ranges: tuple[tuple[int, int], ...] = ()
    """Parts of the pack, in bytes, in which hits must begin; none: anywhere in the input."""


class SearchHit(NamedTuple):
    """A passage that a search has found, in a document of the input."""

    document: int
    """Its number in the input's index, from 0."""
    start: int
    end: int
    """The bytes of the pack that are the passage."""
    first: int
    """The character of the document at which it begins, from 0."""
    line: int
    """The line of the document in which it begins, from 1."""
    score: float


class SearchInput(Protocol):
    """A function that searches the input of a kernel on the graph's side."""

    async def __call__(self, query: SearchQuery) -> Sequence[SearchHit]:
        """Return the best hits, best first. Raises RlmError when that is impossible; stops when cancelled."""
        ...
