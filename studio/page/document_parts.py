"""The part of a document that an address names: lines, a page, a citation, a piece of a long line, a page of hits."""

from typing import Any, NamedTuple

from ...nodes.input.document_lines import CountedLines, Found, TextLine, whole_characters
from ...state.evidence.citations import Citation
from .document_view import MOST_LINES, lines_of_citation
from .errors import NotThere
from .open_documents import WordSearch

_BEFORE = 8
"""Lines that are shown before those that an address names."""
_PIECE = 8_000
"""Bytes of a piece of a long line."""
_HITS = 40


class Window(NamedTuple):
    """The lines to show."""

    first: int
    most: int
    chosen: tuple[int, int]
    """The first and the last of those that the address names."""


def window_of(lines: CountedLines, said: str | None, page: str | None, citation: Citation | None) -> Window:
    """Return the lines that an address names by `lines`, `page` or a citation; else those from the first on.

    `said`: `120-140`, `120`, or `120-` for those from there on. Raises NotThere for lines and pages that there are not.
    """
    if citation is not None and citation["verified"] and citation["document"] == lines.document.name:
        chosen = lines_of_citation(lines, citation)
    elif page:
        chosen = _lines_of_page(lines, page)
    elif said:
        chosen = _lines_said(lines, said)
    else:
        return Window(1, MOST_LINES, (0, 0))
    if chosen is None:
        # Not counted yet.
        return Window(0, 0, (0, 0))
    first, last = chosen
    if page:
        return Window(first, min(MOST_LINES, last - first + 1), (0, 0))
    if said and said.endswith("-"):
        return Window(first, MOST_LINES, (0, 0))
    return Window(max(1, first - _BEFORE), MOST_LINES, (first, last))


def lines_in(lines: CountedLines, window: Window) -> list[TextLine]:
    """Return the lines of a window, as far as they are counted."""
    return list(lines.read(window.first, window.most))


def _lines_said(lines: CountedLines, said: str) -> tuple[int, int] | None:
    first, _, last = said.partition("-")
    numbers = [int(one) for one in (first, last or first) if one.isascii() and one.isdigit() and len(one) <= 15]
    if len(numbers) != 2 or not 1 <= numbers[0] <= numbers[1]:
        raise NotThere(f"{said} are no lines.", "Lines are named like 120-140, the first one is 1.")
    if numbers[0] > lines.lines:
        if not lines.whole:
            return None
        raise NotThere(f"There is no line {numbers[0]:,}.", f"It has {lines.lines:,} lines.")
    return numbers[0], min(numbers[1], lines.lines)


def _lines_of_page(lines: CountedLines, said: str) -> tuple[int, int] | None:
    pages = lines.document.pages
    number = int(said) if said.isascii() and said.isdigit() and len(said) <= 9 else 0
    if not 1 <= number <= len(pages):
        raise NotThere(f"There is no page {said}.", f"It has {len(pages):,} pages." if pages else "It has no pages.")
    start = pages.starts[number - 1]
    end = pages.starts[number] if number < len(pages) else len(lines.document)
    places = [lines.byte_of(char) for char in (start, max(start, end - 1))]
    first, last = [None if place is None else lines.line_of(place) for place in places]
    return None if first is None or last is None else (first, last)


def piece_at(lines: CountedLines, char: int) -> dict[str, Any]:
    """Return a piece of the text from a character on, whatever its lines are. Raises NotThere behind the text."""
    chars = len(lines.document)
    if char >= chars:
        raise NotThere(f"There is no character {char:,}.", f"It has {chars:,} characters, the first one is 0.")
    start = lines.byte_of(char)
    nothing = {"lines": [], "cited": [], "readers": [], "more_readers": 0, "before": None, "after": None}
    if start is None:
        return {
            **nothing,
            "piece": {"text": "", "first": char, "behind": None, "before": None, "place": "", "line": None},
        }
    data = whole_characters(lines.pack.read(start, min(lines.end, start + _PIECE)))
    text = data.decode("utf-8", "replace")
    behind = char + len(text)
    return {
        **nothing,
        "piece": {
            "text": text,
            "first": char,
            "behind": behind if behind < chars else None,
            "before": max(0, char - _PIECE) if char else None,
            "place": lines.place_of(char),
            "line": lines.line_of(start),
        },
    }


class Hit(NamedTuple):
    """Words that were found, with the line in which they stand."""

    found: Found
    line: int | None


def found_on_page(search: WordSearch, lines: CountedLines, first: int) -> dict[str, Any]:
    """Return the hits of a search from the number `first` on, from 0, with the pages before and after."""
    found = search.found[first : first + _HITS]
    behind = first + len(found)
    return {
        "hits": [Hit(one, lines.line_of(one.start)) for one in found],
        "first": first,
        "count": len(search.found),
        "before": max(0, first - _HITS) if first else None,
        "after": behind if behind < len(search.found) else None,
    }
