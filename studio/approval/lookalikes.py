"""Finds names in code that read as other names: letters of several scripts in one name, or letters that imitate others.

After Unicode's security mechanisms (UTS 39): a name may mix scripts only where a language writes it so, and a name
that is made of letters which look like Latin ones is marked although it is of one script. Python itself reads a name
in its compatibility form (NFKC), which is marked where it is another one.
"""

import io
import tokenize
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import regex

_WORD = regex.compile(r"[^\W\d]\w*")
_SCRIPTS = (
    *("Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Devanagari", "Bengali", "Thai", "Georgian"),
    *("Hangul", "Hiragana", "Katakana", "Han", "Bopomofo", "Cherokee", "Coptic", "Lisu", "Ethiopic", "Khmer"),
)
_SCRIPT = regex.compile("|".join(rf"(?P<{name}>\p{{Script={name}}})" for name in _SCRIPTS) + r"|(?P<other>\p{L})")
_WRITTEN_TOGETHER = (
    frozenset({"Latin", "Han", "Hiragana", "Katakana"}),
    frozenset({"Latin", "Han", "Bopomofo"}),
    frozenset({"Latin", "Han", "Hangul"}),
)
_LIKE_LATIN: Mapping[str, str] = dict(
    zip(
        "асԁеһіјӏорԛѕуѵԝхАВЕНІЈКМОРЅТУХԌԚԜαγικνορυΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսհքցԼՏՍ",
        "acdehijlopqsyvwxABEHIJKMOPSTYXGQWaykkvopuABEZHIKMNOPTYXonuhqgLSU",
        strict=True,
    )
)
_MOST_CHARACTERS = 1_000_000
"""Characters of the longest code that is split into tokens; in longer code, words of texts and comments count, too."""
_NAMED = 4
"""The number of names that a warning gives."""


@dataclass(frozen=True)
class Lookalike:
    """A name that may be taken for another one."""

    start: int
    end: int
    """Its place in the code."""
    name: str
    line: int
    why: str


def lookalikes(code: str) -> list[Lookalike]:
    """Return the names in `code` that may be taken for others, in order."""
    if code.isascii():
        return []
    line, counted_to = 1, 0
    found: list[Lookalike] = []
    for start, name in _names(code):
        if not name.isascii() and (why := _why(name)):
            line += code.count("\n", counted_to, start)
            counted_to = start
            found.append(Lookalike(start, start + len(name), name, line, why))
    return found


def _names(code: str) -> Iterator[tuple[int, str]]:
    """Yield the names in code with their places; all words where it cannot be split into tokens."""
    if len(code) <= _MOST_CHARACTERS:
        try:
            yield from list(_tokens(code))
            return
        except (tokenize.TokenError, SyntaxError, ValueError, IndexError):
            pass
    yield from _words(code, 0)


def _tokens(code: str) -> Iterator[tuple[int, str]]:
    """Yield the names in code, and the words of formatted texts, which hold names. Raises what `tokenize` raises."""
    starts = [0]
    for line in io.StringIO(code, newline=""):
        starts.append(starts[-1] + len(line))
    for kind, text, (line, column), *_ in tokenize.generate_tokens(io.StringIO(code, newline="").readline):
        start = starts[line - 1] + column
        if kind == tokenize.NAME:
            yield start, text
        elif kind == tokenize.STRING and "f" in text.partition(text[-1])[0].lower():
            yield from _words(text, start)


def _words(text: str, start: int) -> Iterator[tuple[int, str]]:
    for word in _WORD.finditer(text):
        yield start + word.start(), word[0]


def _why(name: str) -> str:
    """Return the reason why a name may be taken for another one; empty when it may not."""
    read = unicodedata.normalize("NFKC", name)
    if read != name:
        return f"read as {read}"
    scripts = {found.lastgroup for found in _SCRIPT.finditer(name)}
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        return f"mixes {' and '.join(sorted(map(str, scripts)))}"
    if all(letter.isascii() or letter in _LIKE_LATIN for letter in name):
        return f"looks like {''.join(_LIKE_LATIN.get(letter, letter) for letter in name)}"
    return ""


def lookalike_warning(found: list[Lookalike]) -> str:
    """Return a line with the number of such names, and the first of them spelt out; empty when there are none."""
    if not found:
        return ""
    by_name: dict[str, list[Lookalike]] = {}
    for one in found:
        by_name.setdefault(one.name, []).append(one)
    named = [_spelt(one) for one in list(by_name.values())[:_NAMED]]
    more = [f"{len(by_name) - _NAMED:,} more"] if len(by_name) > _NAMED else []
    what = "1 name may" if len(by_name) == 1 else f"{len(by_name):,} names may"
    return f"{what} be taken for another: {', '.join([*named, *more])}"


def _spelt(places: list[Lookalike]) -> str:
    [first, *_] = places
    name: Any = first.name.encode("ascii", "backslashreplace").decode()
    numbers = list(dict.fromkeys(str(one.line) for one in places))
    return f"{name} in line {', '.join(numbers[:3])}{', …' if len(numbers) > 3 else ''} ({first.why})"
