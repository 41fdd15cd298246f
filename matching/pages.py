"""The end of each page with the beginning of the next, without the lines that stand there on every page."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .candidates import words_of

_LEFT_OUT = ((1, 1), (0, 1), (1, 0), (2, 1), (1, 2), (2, 2), (0, 2), (2, 0))
"""Lines at the end of a page, and at the beginning of the next one, that are left out."""
_LINES = 500
"""Characters of the lines that are left out, at most."""
_WORDS = 6
"""The longest words of a quotation, of which half stand there as they are."""
_MOST = 20_000
"""Pages at whose ends a quotation is searched for, at most."""


class Joined(NamedTuple):
    """The end of a page and the beginning of the next one, with a blank between them."""

    text: str
    break_: int
    """The offset of the blank."""
    before: int
    """The offset in the source of the first character."""
    behind: int
    """The offset in the source of the first one of the next page."""

    def place(self, offset: int) -> int:
        """Return the offset in the source of a character."""
        return self.before + offset if offset < self.break_ else self.behind + max(0, offset - self.break_ - 1)


def joined(text: str, form: str, start: int, end: int, pages: Sequence[int]) -> Iterator[Joined]:
    """Yield the ends of pages between two offsets at which a folded quotation may stand, with 0 to 2 lines left out."""
    longest = words_of(form)[:_WORDS]
    width = 2 * len(form) + _LINES
    at = bisect_left(pages, start + 1)
    for number in range(at, min(len(pages), at + _MOST)):
        break_ = pages[number]
        if break_ >= end:
            return
        before = max(start, pages[number - 1] if number else 0, break_ - width)
        behind = min(end, pages[number + 1] if number + 1 < len(pages) else end, break_ + width)
        left, right = text[before:break_], text[break_:behind]
        if 2 * sum(word in left or word in right for word in longest) < len(longest):
            continue
        for ended, begun in _LEFT_OUT:
            upper, cut = _without_last(left, ended), _of_first(right, begun)
            yield Joined(f"{upper} {right[cut:]}", len(upper), before, break_ + cut)


def _without_last(text: str, lines: int) -> str:
    """Return a text without its last lines that are not empty."""
    text = text.rstrip()
    for _ in range(lines):
        text = text[: text.rfind("\n") + 1].rstrip()
    return text


def _of_first(text: str, lines: int) -> int:
    """Return the offset behind the first lines that are not empty."""
    at = len(text) - len(text.lstrip())
    for _ in range(lines):
        line_end = text.find("\n", at)
        if line_end < 0:
            return len(text)
        at = line_end + len(text[line_end:]) - len(text[line_end:].lstrip())
    return at
