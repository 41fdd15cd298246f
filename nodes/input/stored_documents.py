"""The documents of a stored input as a page lists and opens them: what is known of each, without its text.

A gigabyte of text is not checked here, unlike where kernels map it: that would take seconds before the first line is
seen. Ranges that lie outside of the stored file are refused.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from ...kernel.inside.context import Document
from ...kernel.inside.context_file import Pack
from ...state.blobs.store import Blobs
from ...state.errors import StoredDataDamaged
from ...state.input.context import ContextRef, context_range
from ...state.input.index import document_lines, entry_of, reports

_COMPARED, _LONGEST = 5_000, 300
"""Names that a wrong one is compared with, and characters from which it is compared with none."""
_CLOSE = 3


class DocumentFacts(NamedTuple):
    """One document, as its line of the index describes it."""

    number: int
    """Its place among the documents, from 0, in the order of their texts."""
    name: str
    """Empty for an input that is one text without a name."""
    start: int
    end: int
    """Bytes of the pack."""
    chars: int
    kind: str
    pages: int
    """0 for kinds without pages."""
    losses: tuple[str, ...]
    line: bytes
    """Its line of the index with its places; empty when it has none."""

    @property
    def size(self) -> int:
        """Bytes of its text."""
        return self.end - self.start


class Skipped(NamedTuple):
    """A file that was given, or one inside it, that gave no document."""

    path: str
    reason: str


class StoredInput:
    """The documents of one input, in the order of their texts."""

    def __init__(self, reference: ContextRef, blobs: Blobs) -> None:
        """Read the index: call it in a thread. Raises StoredDataDamaged."""
        self.reference = reference
        self._path = str(blobs.path(reference["pack"]))
        if reference["index"]:
            index = blobs.read(reference["index"])
            self.documents: tuple[DocumentFacts, ...] = _documents(index)
            self.skipped = [Skipped(one["path"], one["skipped"]) for one in reports(index) if one["skipped"]]
        else:
            start, end = context_range(reference)
            chars = reference["chars"]
            self.documents = (DocumentFacts(0, "", start, end, chars, "text", 0, (), b""),)
            self.skipped = []

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {one.name: one.number for one in reversed(self.documents)}

    def get(self, name: str) -> DocumentFacts | None:
        """Return the document of this name; None when there is none."""
        number = self._numbers.get(name)
        return None if number is None else self.documents[number]

    def close_to(self, name: str) -> list[str]:
        """Return names that are like a wrong one: first those that end with it."""
        ends = list(islice((one.name for one in self.documents if one.name.endswith(f"/{name}")), _CLOSE))
        if ends or len(name) > _LONGEST:
            return ends
        return get_close_matches(name, [one.name[:_LONGEST] for one in self.documents[:_COMPARED]], n=_CLOSE)

    def open(self, facts: DocumentFacts) -> Document:
        """Return a document, whose text and places can then be read. Raises StoredDataDamaged."""
        try:
            pack = Pack.open(self._path)
            meta: dict[str, Any] = entry_of(facts.line)["meta"] if facts.line else {}
            return Document(pack, facts.name, facts.start, facts.end, facts.chars, meta, facts.line)
        except (OSError, ValueError) as error:
            said = f"The run's stored input cannot be read: {error}."
            raise StoredDataDamaged(said, hint="Run `rlm verify`.") from error


def _documents(index: bytes) -> tuple[DocumentFacts, ...]:
    found = sorted(_facts(index), key=lambda one: (one.start, one.end))
    return tuple(one._replace(number=number) for number, one in enumerate(found))


def _facts(index: bytes) -> Iterator[DocumentFacts]:
    for line in document_lines(index):
        entry = entry_of(line)
        meta = entry["meta"]
        pages, losses = meta.get("pages"), meta.get("losses")
        yield DocumentFacts(
            *(0, entry["name"], entry["start"], entry["end"], entry["chars"]),
            kind=str(meta.get("kind", "text")),
            pages=pages if isinstance(pages, int) else 0,
            losses=tuple(map(str, losses)) if isinstance(losses, list) else (),
            line=line,
        )
