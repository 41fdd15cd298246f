"""Finds a quotation in a text, and returns where it stands there.

Nothing is found that is only similar: `find` says how a passage differs from the quotation, and `nearest` is for the
note that a quotation is not there. What is found exactly is not searched for in any other way.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["exact", "folded", "folded with an omission", "across a page", "nearest"]
"""The way in which a passage is the quotation: `nearest` means that it is not."""
LEAST = 3
"""Letters and digits that a quotation has at least."""
_SHORT = 300_000
"""Characters of a text up to which all of it is folded, when an expression has found nothing."""
_COMPARED = 2_000_000
"""Characters that are folded to compare what an expression has found, at most."""
_OMITTED, _PARTS = 3_000, 10
"""Characters of the source that an omission may stand for, and parts of a quotation, at most."""
_OMISSION = re.compile(r"\[\s*+(?:…|\.{3,}+)\s*+\]|\(\s*+(?:…|\.{3,}+)\s*+\)|…|\.{3,}+|\.\s\.\s\.")
_MARKS = "\"' "
"""Marks around a quotation, folded, that are not a part of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage of a text, in characters."""

    start: int
    end: int
    how: How
    share: float = 1.0
    """The part of the quotation that it has, from 0 to 1."""


def find(text: str, quote: str, start: int = 0, end: int | None = None, *, pages: Sequence[int] = ()) -> Found | None:
    """Return the first passage between `start` and `end` that is the quotation, or None.

    `pages`: the offsets at which pages begin. A passage may go over from one to the next.
    """
    return next(iter(find_all(text, quote, start, end, pages=pages, most=1)), None)


def find_all(
    text: str, quote: str, start: int = 0, end: int | None = None, *, pages: Sequence[int] = (), most: int = 10_000
) -> list[Found]:
    """Return the first passages that are the quotation, in order, all of them found in the same way."""
    if not _is_long_enough(quote):
        return []
    end = len(text) if end is None else min(end, len(text))
    ways: list[Callable[[], list[Found]]] = [
        lambda: _exact(text, quote, start, end, most),
        lambda: _folded(text, quote, start, end, most),
        lambda: _across_pages(text, quote, start, end, pages, most),
        lambda: _with_omissions(text, quote, start, end, most),
    ]
    return next((found for way in ways if (found := way())), [])


def find_quickly(text: str, quote: str, start: int = 0, end: int | None = None) -> Found | None:
    """Return the first passage that is the quotation, exactly or folded, in the ways that take little time.

    Some passages that `find` returns are not found. It is for many texts, before `find` and `likeness`.
    """
    end = len(text) if end is None else min(end, len(text))
    found = _exact(text, quote, start, end, 1)
    for form in () if found else _forms(quote):
        found = found or _by_expression(text, form, start, end, 1)
    return found[0] if found else None


def likeness(text: str, quote: str, start: int = 0, end: int | None = None) -> float:
    """Return the share of the quotation's longest words that stand in a text, from 0 to 1."""
    from .candidates import words_of

    words = words_of(quote)
    return sum(text.find(word, start, end) >= 0 for word in words) / max(1, len(words))


def same(found: str, quote: str) -> bool:
    """Return whether the words of a source are this quotation, once both are folded."""
    from .folding import folded

    words = folded(found).strip()
    if any(words == form for form in _forms(quote)):
        return True
    parts = _parts(quote)
    at = 0
    for number, part in enumerate(parts):
        form = folded(part).strip(_MARKS)
        at = words.find(form, at) if number else words.strip(_MARKS).find(form)
        if at < 0 or (number == 0 and words.find(form) > len(_MARKS)):
            return False
        at += len(form)
    return len(parts) > 1 and words.rstrip(_MARKS).endswith(folded(parts[-1]).strip(_MARKS))


def _is_long_enough(quote: str) -> bool:
    return sum(map(str.isalnum, quote)) >= LEAST


def _forms(quote: str) -> list[str]:
    """Return a quotation folded; and without marks and omissions around it, when it has any."""
    from .folding import folded

    whole = folded(quote).strip()
    bare = whole.strip(_MARKS).removeprefix("...").removesuffix("...").strip(_MARKS)
    return [form for form in dict.fromkeys((whole, bare)) if _is_long_enough(form)]


def _exact(text: str, quote: str, start: int, end: int, most: int) -> list[Found]:
    found: list[Found] = []
    at = text.find(quote, start, end)
    while at >= 0 and len(found) < most:
        found.append(Found(at, at + len(quote), "exact"))
        at = text.find(quote, at + len(quote), end)
    return found


def _folded(text: str, quote: str, start: int, end: int, most: int) -> list[Found]:
    """Return passages that are the quotation once folded: by an expression, else where its words are frequent."""
    from .candidates import windows

    for form in _forms(quote):
        if found := _by_expression(text, form, start, end, most):
            return found
        if end - start <= _SHORT:
            places: list[tuple[int, int]] = [(start, end)]
        else:
            places = sorted(windows(text, quote, start, end))
        found = [one for first, last in places for one in _in_window(text, form, first, last, most)]
        if found:
            return found[:most]
    return []


def _by_expression(text: str, form: str, start: int, end: int, most: int) -> list[Found]:
    from .expressions import expressions

    for made, first in expressions(form, text, start, end):
        if found := _among(made.finditer(text, start, end), first, text, form, start, end, most):
            return found
    return []


def _among(
    matches: "Iterator[re.Match[str]]", first: int, text: str, form: str, start: int, end: int, most: int
) -> list[Found]:
    """Return the passages that are a folded quotation among those matched, each for the part of it from `first` on."""
    found: list[Found] = []
    left = _COMPARED
    last = start
    for one in matches:
        if one.start() < last:
            continue
        before, behind = 2 * first + 40 * (first > 0), 2 * (len(form) - first) + 100
        window = max(last, one.start() - before), min(end, one.end() + behind)
        passage = _in_window(text, form, *window, 1)
        if passage:
            found += passage
            last = passage[0].end
        left -= window[1] - window[0]
        if left < 0 or len(found) >= most:
            break
    return found


def _in_window(text: str, form: str, start: int, end: int, most: int) -> list[Found]:
    """Return passages between two offsets that are a folded quotation, which all of that is folded for."""
    from .folding import Folded

    window = Folded(text[start:end])
    found: list[Found] = []
    at = window.text.find(form)
    while at >= 0 and len(found) < most:
        first, last = window.range(at, at + len(form))
        passage = _compared(text, form, start + first, start + last)
        if passage:
            found.append(passage)
        at = window.text.find(form, at + len(form))
    return found


def _compared(text: str, form: str, start: int, end: int) -> Found | None:
    """Return the passage that is a folded quotation by itself: the range, or one that is wider by one character.

    Beside a cut, a hyphen or a mark folds in another way than in the middle of a text.
    """
    from .folding import folded

    for first, last in ((start, end), (start, end + 1), (max(0, start - 1), end), (max(0, start - 1), end + 1)):
        if folded(text[first:last]).strip() == form:
            return Found(first, last, "folded")
    return None


# -- across pages


def _across_pages(text: str, quote: str, start: int, end: int, pages: Sequence[int], most: int) -> list[Found]:
    """Return passages that are the quotation when lines at the end of one page and the start of the next are left out.

    These lines are running heads, page numbers and footnotes.
    """
    from .pages import joined

    found: list[Found] = []
    left = _COMPARED
    for form in _forms(quote) if pages else ():
        for window in joined(text, form, start, end, pages):
            left -= len(window.text)
            for one in _in_window(window.text, form, 0, len(window.text), 1):
                if one.start < window.break_ < one.end and not (found and window.place(one.start) < found[-1].end):
                    found.append(Found(window.place(one.start), window.place(one.end - 1) + 1, "across a page"))
            if len(found) >= most or left < 0:
                return found
    return found


# -- with omissions


def _parts(quote: str) -> list[str]:
    parts = [part.strip() for part in _OMISSION.split(quote, _PARTS + 1)]
    return [part for part in parts if part.strip(_MARKS)]


def _with_omissions(text: str, quote: str, start: int, end: int, most: int) -> list[Found]:
    """Return passages that begin and end as the quotation and have its parts in order, not far from each other."""
    parts = _parts(quote)
    if not 1 < len(parts) <= _PARTS or not all(map(_is_long_enough, parts)):
        return []
    chains: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        places = _exact(text, part, start, end, 10_000) or _folded(text, part, start, end, 10_000)
        if number:
            places = list(_behind(chains, places))
            chains = [(chain, one.end) for chain, one in places]
        else:
            chains = [(one.start, one.end) for one in places]
        if not chains:
            return []
    return [Found(first, last, "folded with an omission") for first, last in chains[:most]]


def _behind(chains: list[tuple[int, int]], places: list[Found]) -> Iterator[tuple[int, Found]]:
    """Yield each place with the beginning of the chain that ends before it, if that is not far."""
    at = -1
    for one in places:
        while at + 1 < len(chains) and chains[at + 1][1] <= one.start:
            at += 1
        if at >= 0 and one.start - chains[at][1] <= _OMITTED:
            yield chains[at][0], one


# -- not there


def nearest(text: str, quote: str, start: int = 0, end: int | None = None) -> Found | None:
    """Return the passage that is most like the quotation; None when no word of it is there."""
    from .candidates import most_alike

    found = most_alike(text, quote, start, len(text) if end is None else min(end, len(text)))
    return Found(found[0], found[1], "nearest", found[2]) if found else None
