"""The input of a run for a file: its documents with the parts that models were shown, up to a bound."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ....graph.coverage import InputRead
from ....state.evidence.coverage import DocumentRead
from ....state.stores import Stores

MOST_BYTES = 5_000_000
"""Bytes of the texts of an input that one file has."""
MOST_OF_ONE = 200_000
"""Bytes of one document that it has."""


@dataclass(frozen=True)
class ShownDocument:
    """A document, and the beginning of its text in parts: each with whether models were shown it."""

    about: DocumentRead
    parts: list[tuple[str, bool]]
    left_out: int
    """Bytes of the text that are not in `parts`."""

    @property
    def share(self) -> float:
        """The share of it that models were shown."""
        return self.about.read / self.about.size if self.about.size else 1.0


async def documents_of(stores: Stores, found: InputRead) -> AsyncGenerator[ShownDocument]:
    """Yield the documents of an input, those that nobody looked at first. Raises OSError."""
    path = stores.blobs.path(found.source["pack"])
    left = MOST_BYTES

    def read(one: DocumentRead, most: int) -> ShownDocument:
        end = one.start + min(one.size, most)
        edges = found.coverage.both.within(one.start, end)
        parts: list[tuple[str, bool]] = []
        with path.open("rb") as file:
            at = one.start
            for start, until in [*edges, (end, end)]:
                for begin, stop, seen in ((at, start, False), (start, until, True)):
                    if stop > begin:
                        file.seek(begin)
                        parts.append((file.read(stop - begin).decode("utf-8", "replace"), seen))
                at = until
        return ShownDocument(one, parts, one.size - (end - one.start))

    for one in sorted(found.coverage.documents, key=lambda one: bool(one.read)):
        shown = await asyncio.to_thread(read, one, max(0, min(left, MOST_OF_ONE)))
        left -= one.size - shown.left_out
        yield shown
