"""A part of a document as the page shows it: lines with what was read of each, citations and words that were found."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from ...graph.coverage import InputRead
from ...graph.coverage_parts import parts_read
from ...nodes.input.document_lines import CountedLines, TextLine, places_of_words
from ...state.evidence.citations import Citation
from ...state.evidence.sent_passages import Request
from .coverage_bar import WORDS, level_of
from .escaped import shown

MOST_LINES = 400
"""Lines on a page."""
MOST_OF_A_LINE = 1_500
"""Characters of a line that are shown."""
_MOST_HTML = 220_000
"""Characters of HTML from which no further line is added to a page: one of a hostile text may take fifty."""
_MOST_REQUESTS = 60


class Part(NamedTuple):
    """A part of a line that is marked in one way."""

    html: Markup
    citation: int | None
    """The number of the citation that it is of."""
    found: bool
    """True for words that were searched for."""


class ShownLine(NamedTuple):
    """A line on the page."""

    number: int
    parts: list[Part]
    place: str
    """Its place in words, where another one than that of the line before begins: `page 7`."""
    level: str
    """The class of how often it was read; empty when nothing is known."""
    words: str
    """The same in words."""
    chosen: bool
    rest: int
    """The character at which the rest of the line begins that is not shown; 0 when it is whole."""
    more: int
    """About how many characters are not shown."""


class Reader(NamedTuple):
    """A request that held a part of what is shown."""

    request: Request
    first: int
    last: int
    """The first line and the last of what is shown that it held."""


class CitedHere(NamedTuple):
    """A citation in what is shown, in characters of the document."""

    id: int
    start: int
    end: int


def shown_lines(
    lines: Sequence[TextLine],
    source: CountedLines,
    read: InputRead | None,
    cited: Sequence[CitedHere] = (),
    words: str = "",
    chosen: tuple[int, int] = (0, 0),
) -> list[ShownLine]:
    """Return lines of `source` as they are shown, fewer where they take too much HTML; at least one."""
    found: list[ShownLine] = []
    levels = _levels(lines, read)
    place, size = "", 0
    for line, level in zip(lines, levels, strict=True):
        cut = line.text[:MOST_OF_A_LINE]
        parts = list(_parts(line, cut, cited, words))
        here = source.place_of(line.char)
        more = len(line.text) - len(cut) + line.more
        marked = ShownLine(
            *(line.number, parts, here if here != place else "", level, WORDS.get(level, "")),
            chosen=chosen[0] <= line.number <= chosen[1],
            rest=line.char + len(cut) if more else 0,
            more=more,
        )
        size += sum(len(part.html) for part in parts)
        if found and size > _MOST_HTML:
            break
        found.append(marked)
        place = here
    return found


def _levels(lines: Sequence[TextLine], read: InputRead | None) -> list[str]:
    if read is None or not lines:
        return [""] * len(lines)
    return [level_of(part) for part in parts_read(read, [_words_of(line) for line in lines])]


def _words_of(line: TextLine) -> tuple[int, int]:
    """Return the bytes of a line without the white space at its ends: passages often begin or end there."""
    bare = line.text.strip()
    if line.more or not bare:
        return line.start, line.end
    start = line.start + len(line.text[: len(line.text) - len(line.text.lstrip())].encode())
    return start, start + len(bare.encode())


def _parts(line: TextLine, cut: str, cited: Sequence[CitedHere], words: str) -> Iterator[Part]:
    """Yield the parts of a line, cut where a citation or words that were found begin and end."""
    citations = [
        (max(0, one.start - line.char), min(len(cut), one.end - line.char), one.id)
        for one in cited
        if one.start < line.char + len(cut) and one.end > line.char
    ]
    hits = list(places_of_words(cut, words)) if words else []
    edges = sorted({0, len(cut), *_edges((first, last) for first, last, _ in citations), *_edges(hits)})
    for first, last in pairwise(edges):
        citation = next((number for start, end, number in citations if start <= first < end), None)
        hit = any(start <= first < end for start, end in hits)
        yield Part(shown(cut[first:last]), citation, hit)


def _edges(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    for first, last in ranges:
        yield from (first, last)


def readers_of(lines: Sequence[TextLine], read: InputRead) -> tuple[list[Reader], int]:
    """Return requests that held a part of these lines, and how many more there are."""
    if not lines:
        return [], 0
    starts, ends = zip(*map(_words_of, lines), strict=True)
    held = read.sent.within(lines[0].start, lines[-1].end)
    found: list[Reader] = []
    for request, passages in held[:_MOST_REQUESTS]:
        first = min(bisect_right(ends, passages[0][0]), len(lines) - 1)
        last = max(first, bisect_left(starts, passages[-1][1]) - 1)
        found.append(Reader(request, lines[first].number, lines[last].number))
    return found, max(0, len(held) - len(found))


def cited_within(citations: Sequence[Citation], name: str, lines: Sequence[TextLine]) -> list[CitedHere]:
    """Return the verified citations of a document that stand in these lines."""
    if not lines:
        return []
    first, last = lines[0].char, lines[-1].char + len(lines[-1].text)
    return [
        CitedHere(one["id"], one["start"], one["end"])
        for one in citations
        if one["verified"] and one["document"] == name and one["start"] < last and one["end"] > first
    ]


def lines_of_citation(lines: CountedLines, citation: Citation) -> tuple[int, int] | None:
    """Return the first and the last line of a citation; None while these are not counted."""
    start, end = lines.byte_of(citation["start"]), lines.byte_of(max(citation["start"], citation["end"] - 1))
    first = None if start is None else lines.line_of(start)
    last = None if end is None else lines.line_of(end)
    return None if first is None or last is None else (first, last)
