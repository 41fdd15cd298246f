"""The ranges of a text in which a quotation most likely stands, by the places of its longest words."""

import re
from collections import defaultdict
from collections.abc import Iterator
from difflib import SequenceMatcher
from math import log2

_WORD = re.compile(r"\w+")
_UNBROKEN = 4
"""Characters in which a word of a script without blanks is searched for."""
_WIDE = "\u2e80"
_WORDS, _PLACES = 12, 2_000
"""Words that are searched for, and places of each, at most."""
_WINDOWS = 5
_COMPARED = 600
"""Characters of a quotation that are compared, at most."""


def windows(text: str, quote: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the ranges in which most of the quotation's words stand, the best first. Rare words count for more."""
    width = max(100, 2 * min(len(quote), 100 * _COMPARED))
    votes: defaultdict[int, float] = defaultdict(float)
    for word in words_of(quote):
        places = list(_places(text, word, start, end))
        weight = len(word) / (1 + log2(1 + len(places)))
        for bucket in {place // width for place in places}:
            votes[bucket] += weight
    # A passage may begin in one range and end in the next.
    both = {at: votes.get(at, 0) + votes.get(at + 1, 0) for at in {*votes, *(at - 1 for at in votes)}}
    best = sorted(both, key=lambda at: (-both[at], at))[:_WINDOWS]
    return [(max(start, at * width), min(end, (at + 2) * width)) for at in best if at * width < end]


def words_of(quote: str) -> list[str]:
    """Return the longest words of a quotation."""
    found: dict[str, None] = {}
    for one in _WORD.finditer(quote[: 100 * _COMPARED]):
        word = one.group()
        if word >= _WIDE:
            found.update(dict.fromkeys(word[at : at + _UNBROKEN] for at in range(0, len(word), _UNBROKEN)))
        else:
            found[word] = None
    return sorted(found, key=len, reverse=True)[:_WORDS]


def _places(text: str, word: str, start: int, end: int) -> Iterator[int]:
    at = text.find(word, start, end)
    for _ in range(_PLACES):
        if at < 0:
            return
        yield at
        at = text.find(word, at + len(word), end)


def most_alike(text: str, quote: str, start: int, end: int) -> tuple[int, int, float] | None:
    """Return the passage that has most of the quotation, as its range and the share of the quotation in it."""
    wanted = _tokens(quote[:_COMPARED])
    best: tuple[int, int, float] | None = None
    for first, last in windows(text, quote[:_COMPARED], start, end):
        found = _alike(text[first:last], quote, wanted)
        if found and (best is None or found[2] > best[2]):
            best = first + found[0], first + found[1], found[2]
    return best


def _tokens(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for one in _WORD.finditer(text):
        start, end = one.span()
        step = 1 if one.group() >= _WIDE else end - start
        found += [(at, at + step) for at in range(start, end, step)]
    return found


def _alike(window: str, quote: str, wanted: list[tuple[int, int]]) -> tuple[int, int, float] | None:
    """Return the passage of a window that has most words of the quotation in order, and their share."""
    there = _tokens(window)
    one = [quote[start:end].lower() for start, end in wanted]
    other = [window[start:end].lower() for start, end in there]
    # Words that are frequent in the window are compared beside others only: else this takes time in their square.
    blocks = [block for block in SequenceMatcher(None, one, other).get_matching_blocks() if block.size]
    # Blocks that stand far from the longest one belong to another passage.
    longest = max(blocks, key=lambda block: block.size, default=None)
    if longest is None:
        return None
    near = [block for block in blocks if abs((block.b - block.a) - (longest.b - longest.a)) <= max(3, len(one) // 2)]
    chars = sum(len(word) for block in near for word in one[block.a : block.a + block.size])
    first = max(0, near[0].b - near[0].a)
    last = min(len(there), near[-1].b + near[-1].size + len(one) - near[-1].a - near[-1].size) - 1
    return there[first][0], there[last][1], chars / max(1, sum(map(len, one)))
