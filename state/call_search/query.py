"""The words that are searched for: parts that all stand in one text, each also within longer words."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...matching.search_words import bare, folded, folded_words, is_without_blanks
from ..blobs.texts import well_formed
from ..errors import UsageError

MOST_CHARACTERS, MOST_PARTS = 1_000, 20
_MOST_WORDS = 200
"""Words that a part may be within, for the index to be asked for each of them."""
_MOST_ENDINGS = 20
_PART = re.compile(r'"([^"]*)"|\S+')
_AROUND = 90
"""Characters of a snippet on either side of the first match."""
_MOST_MATCHES = 20

Containing = Callable[[str, bool, int], list[str] | None]
"""Returns the known words that have a text in them (with True, at their end), None when they are more than so many."""


@dataclass(frozen=True)
class Snippet:
    """A piece of a text around what was found in it."""

    text: str
    matches: tuple[tuple[int, int], ...]
    """The places of the parts in `text`: characters from 0."""


@dataclass(frozen=True)
class Query:
    """Words to search for."""

    parts: tuple[str, ...]
    """In small letters, without accents."""

    @classmethod
    def of(cls, words: str) -> "Query":
        """Return the query that somebody has written: words, and in double quotes what belongs together.

        Raises UsageError when there is nothing to look for in it, or too much.
        """
        if len(words) > MOST_CHARACTERS:
            raise UsageError(
                f"That is too long to search for: {len(words):,} characters of at most {MOST_CHARACTERS:,}.",
                hint="Give a few words that stand in the prompt or the answer.",
            )
        found = [
            one.group(1) if one.group(1) is not None else one.group()
            for one in _PART.finditer(bare(well_formed(words)))
        ]
        parts = dict.fromkeys(folded(part.strip()) for part in found if _words_of(part))
        if not parts:
            raise UsageError(
                "There is nothing to search for: no letter and no digit.",
                hint='Give words, such as `notice period`, or "notice period" in double quotes.',
            )
        if len(parts) > MOST_PARTS:
            raise UsageError(f"That is too much to search for: {len(parts)} words of at most {MOST_PARTS}.")
        return cls(tuple(parts))

    def expression(self, containing: Containing) -> str | None:
        """Return FTS5's expression for texts that may have all parts; None when it would be true for nearly all."""
        found = [one for part in self.parts if (one := _expression(part, containing)) is not None]
        return " AND ".join(f"({one})" for one in found) or None

    def found_in(self, text: str) -> Snippet | None:
        """Return a snippet of a text that has all parts; None when one is missing."""
        text = bare(text)
        plain = folded(text)
        first = [plain.find(part) for part in self.parts]
        if min(first) < 0:
            return None
        start = max(0, min(first) - _AROUND)
        end = min(len(text), max(start + 2 * _AROUND, min(first) + len(self.parts[0]) + _AROUND))
        return Snippet(text[start:end], _joined(_places(plain[start:end], self.parts)))


def _places(text: str, parts: Iterable[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for part in parts:
        at = text.find(part)
        while at >= 0 and len(found) < _MOST_MATCHES:
            found.append((at, at + len(part)))
            at = text.find(part, at + len(part))
    return sorted(found)


def _joined(places: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return tuple(joined)


def _words_of(part: str) -> list[str]:
    """Return the words of a part as the index has them, without the last character of a run that a pair has too."""
    words = folded_words(part).split()
    if len(words) > 1 and len(words[-1]) == 1 and is_without_blanks(words[-1]) and is_without_blanks(words[-2]):
        words.pop()
    return words


def _expression(part: str, containing: Containing) -> str | None:
    """Return the expression for one part, None when it is so short that it stands in nearly all texts."""
    first, *others = _words_of(part)
    # A pair of characters is a whole word of the index, and a single one the beginning of a pair.
    known: list[str] | None = [first]
    if not others:
        if is_without_blanks(first):
            return _quoted([first], begins=len(first) == 1)
        known = containing(first, False, _MOST_WORDS)
        return None if known is None else " OR ".join([_quoted([first], begins=True), *map(_quoted_word, known)])
    if not is_without_blanks(first):
        known = containing(first, True, _MOST_ENDINGS)
    if known is None:
        return _quoted(others, begins=True)
    return " OR ".join(_quoted([one, *others], begins=True) for one in dict.fromkeys([first, *known]))


def _quoted_word(word: str) -> str:
    return _quoted([word], begins=False)


def _quoted(words: list[str], *, begins: bool) -> str:
    """Return words as a phrase; with `begins`, the last one is the beginning of a word."""
    return '"' + " ".join(words).replace('"', " ") + '"' + ("*" if begins else "")
