"""The index of an input: its documents with their places, and the files that were given.

One blob in two parts with an empty line between them:

- a line for each document: JSON of `{"name", "start", "end", "chars", "meta"}`, a tab, JSON of its places. `start` and
  `end` are bytes of the pack.
- a line of JSON for each file that was given (`FileReport`).

JSON in ASCII contains no tab and no line end. Kernels read the same format (`kernel/inside/context_index.py`), places
only when code asks for them.
"""

import json
from collections.abc import Iterator
from typing import Any

from typing_extensions import TypedDict


class FileReport(TypedDict):
    """The outcome for one file that was given, or for one inside it."""

    path: str
    """Its name in the input, as its documents' names begin; `/` and the path inside for one inside another."""
    kind: str
    bytes: int
    encoding: str
    """The encoding of a text file, as it was read; empty for other formats."""
    documents: int
    pages: int
    """Pages of its documents; 0 for formats without pages."""
    chars: int
    tokens: int
    """An estimate, rather too high."""
    losses: list[str]
    """The parts of it that are not in the text, one short phrase each."""
    skipped: str | None
    """The reason for which it gave no document; None for one that was read."""


class DocumentEntry(TypedDict):
    """A document's line of the index, without its places."""

    name: str
    start: int
    end: int
    chars: int
    meta: dict[str, Any]


def document_line(entry: DocumentEntry, places: str = "{}") -> bytes:
    """Return the line of a document. `places`: JSON, already encoded."""
    return f"{json.dumps(entry)}\t{places}\n".encode()


def report_line(report: FileReport) -> bytes:
    """Return the line of a file."""
    return json.dumps(report).encode() + b"\n"


def document_lines(index: bytes) -> list[bytes]:
    """Return the lines of the documents, each with its places."""
    end = index.find(b"\n\n")
    return index[: end if end >= 0 else None].splitlines()


def entry_of(line: bytes) -> DocumentEntry:
    """Return a document's entry without parsing its places."""
    return json.loads(line.partition(b"\t")[0])


def places_of(line: bytes) -> str:
    """Return a document's places, as JSON."""
    return line.partition(b"\t")[2].decode() or "{}"


def reports(index: bytes) -> Iterator[FileReport]:
    """Yield the reports of all files, in the order in which they were given."""
    end = index.find(b"\n\n")
    if end >= 0:
        yield from map(json.loads, index[end + 2 :].splitlines())
