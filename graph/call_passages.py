"""The passages of the input in a prompt: which documents it was cut from, and where in the prompt they stand."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..nodes.input.stored_documents import DocumentFacts, StoredInput
from ..state.evidence.recorded import added_up

MOST_PASSAGES = 40
"""Passages of one prompt that are named."""
_MOST_TEXT = 256 << 10
"""Bytes of a passage that are compared with the prompt."""
_ANCHOR, _LEAST_LINE, _MOST_LINES = 48, 24, 1_000


@dataclass(frozen=True)
class Passage:
    """A passage of a document."""

    facts: DocumentFacts
    start: int
    """Its first byte in the pack."""
    end: int
    text: str
    """As much of it as is compared with the prompt."""


class Segment(NamedTuple):
    """A part of a prompt: one passage's, or nothing's."""

    text: str
    passage: int | None
    """The number of the passage, from 0."""


def passages_of(stored: StoredInput, places: str) -> tuple[list[Passage], int]:
    """Return the passages that a call's record names, and how many more it names. Reads the pack: call it in a thread.

    Raises StoredDataDamaged, OSError.
    """
    edges = added_up([places], stored.reference["pack"]).edges
    parts = [
        (facts, max(start, facts.start), min(end, facts.end))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        for facts in _documents(stored, start, end)
    ]
    return [_passage(stored, *part) for part in parts[:MOST_PASSAGES]], max(0, len(parts) - MOST_PASSAGES)


def _documents(stored: StoredInput, start: int, end: int) -> Iterator[DocumentFacts]:
    """Yield the documents of which a part is between two bytes of the pack."""
    number = max(0, bisect_right(stored.documents, start, key=lambda one: one.start) - 1)
    for facts in stored.documents[number:]:
        if facts.start >= end:
            return
        if max(start, facts.start) < min(end, facts.end):
            yield facts


def _passage(stored: StoredInput, facts: DocumentFacts, start: int, end: int) -> Passage:
    text = stored.open(facts).stored()[0].read(start, min(end, start + _MOST_TEXT)).decode("utf-8", "replace")
    return Passage(facts, start, end, text)


def segments_of(prompt: str, passages: Sequence[Passage]) -> list[Segment]:
    """Return a prompt, or a piece of one, as the parts that are passages and those between them.

    Passages that code has changed are found line by line; what is not found stays unmarked.
    """
    found: list[tuple[int, int, int]] = []
    lines = _MOST_LINES
    for number, passage in enumerate(passages):
        whole = _whole(prompt, passage.text)
        if whole:
            found.append((*whole, number))
            continue
        said = [line.strip() for line in passage.text.split("\n", lines)[:lines]]
        lines -= len(said)
        found += [(start, end, number) for start, end in _by_lines(prompt, said)]
    return _cut(prompt, found)


def _whole(prompt: str, passage: str) -> tuple[int, int] | None:
    """Return the place of a passage in a piece of a prompt that has it, its beginning, or a part of its middle."""
    text = passage.strip()
    if len(text) < _LEAST_LINE:
        return None
    at = prompt.find(text)
    if at >= 0:
        return at, at + len(text)
    # It begins in this piece, or this piece begins within it.
    at = prompt.find(text[:_ANCHOR])
    if at >= 0:
        length = _alike(prompt, at, text, 0)
        return (at, at + length) if at + length == len(prompt) else None
    within = text.find(prompt[:_ANCHOR])
    if within < 0 or len(prompt) < _LEAST_LINE:
        return None
    length = _alike(prompt, 0, text, within)
    return (0, length) if within + length == len(text) or length == len(prompt) else None


def _alike(one: str, at: int, other: str, place: int) -> int:
    """Return how many characters two texts have in common from two places on."""
    most = min(len(one) - at, len(other) - place)
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[at : at + middle] == other[place : place + middle] else (low, middle - 1)
    return low


def _by_lines(prompt: str, lines: Sequence[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    behind = 0
    for line in lines:
        at = prompt.find(line, behind) if len(line) >= _LEAST_LINE else -1
        if at >= 0:
            # Lines with only white space between them are one part.
            if found and not prompt[found[-1][1] : at].strip():
                found[-1] = found[-1][0], at + len(line)
            else:
                found.append((at, at + len(line)))
            behind = at + len(line)
    return found


def _cut(prompt: str, found: Sequence[tuple[int, int, int]]) -> list[Segment]:
    segments: list[Segment] = []
    at = 0
    for start, end, number in sorted(found):
        if start < at:
            continue
        if start > at:
            segments.append(Segment(prompt[at:start], None))
        segments.append(Segment(prompt[start:end], number))
        at = end
    if at < len(prompt):
        segments.append(Segment(prompt[at:], None))
    return segments
