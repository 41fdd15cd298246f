"""The characters that folding changes, and those that it changes them to. Made at the first use, in 0.1 seconds."""

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

QUOTES = dict.fromkeys("‘’‚‛′`´ʼʹ＇‹›", "'") | dict.fromkeys("“”„‟″«»＂", '"')
# pdfium writes U+FFFE, other programs U+0002, for the hyphen at the end of a line.
DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－\ufffe\x02", "-")
SOFT = "\u00ad"
"""The soft hyphen, which may stand before a line end."""
DROPPED = "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f" + "".join(map(chr, range(0x202A, 0x202F)))
"""Characters without a width."""
_FOLDED = frozenset({"wide", "narrow", "font", "initial", "medial", "final", "isolated", "compat", "noBreak"})
"""Kinds of compatibility that are folded. Superscripts and fractions are not: 10² is not 102."""
_RANGES = ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x12000), (0x1B000, 0x1F300), (0x2F800, 0x2FA20))
"""Code points outside of the ideographs and syllables, none of which change."""
_JAMO = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
"""The vowels and last consonants of Korean, which follow a first one."""


class _Table(dict[int, int]):
    """A table for `str.translate`, which with a plain dict raises and catches an error for each character it lacks."""

    def __missing__(self, key: int) -> int:
        self[key] = key
        return key


class Tables(NamedTuple):
    """The changes: of one character for one, of one for several, and of characters with those before them."""

    one: _Table
    """Changes that keep offsets as they are."""
    longer: dict[str, str]
    """Characters that stand for several, or for none."""
    variants: dict[str, str]
    """The characters that become one character, without itself."""
    ligatures: dict[str, str]
    """The characters that become two or three letters, or three dots."""
    runs: "re.Pattern[str]"
    """A run of characters that are changed together with the one before them, or change the length."""
    attached: frozenset[str]
    """Marks, and other characters that may be one with those before them."""


@cache
def tables() -> Tables:
    """Return the tables."""
    single = QUOTES | DASHES
    one: dict[str, str] = {}
    longer = dict.fromkeys(DROPPED, "")
    attached = {chr(code) for code in _JAMO}
    for char in [*single, *_changed(attached)]:
        if char in longer or char == SOFT:
            continue
        folded = _folded(char, single)
        if folded != char:
            if len(folded) == 1:
                one[char] = folded
            else:
                longer[char] = folded
    attached |= {char for char in (*one, *longer) if unicodedata.normalize("NFKD", char)[:1] in attached}
    attached -= {*single, *DROPPED}
    longer |= {char: one.pop(char) for char in attached & one.keys()}
    variants: dict[str, list[str]] = {}
    for char, folded in one.items():
        variants.setdefault(folded, []).append(char)
    ligatures: dict[str, list[str]] = {}
    for char, folded in longer.items():
        if 1 < len(folded) <= 3:
            ligatures.setdefault(folded, []).append(char)
    return Tables(
        _Table({ord(char): ord(folded) for char, folded in one.items()}),
        longer,
        {folded: "".join(chars) for folded, chars in variants.items() if folded != " "},
        {folded: "".join(chars) for folded, chars in ligatures.items()},
        # Of bounded length, because putting many marks in order takes time in the square of their number.
        re.compile(f"{class_of((*attached, *longer))}{{1,30}}"),
        frozenset(attached),
    )


def _changed(attached: "set[str]") -> "list[str]":
    """Return the characters that may change, and add those that may be one with the character before them."""
    found: list[str] = [chr(code) for code in range(0x80) if chr(code).isspace() and code != 0x20]
    for first, last in _RANGES:
        for char in map(chr, range(first, min(last, sys.maxunicode))):
            decomposed = unicodedata.decomposition(char)
            if unicodedata.combining(char):
                attached.add(char)
            if decomposed:
                kind, _, rest = decomposed.rpartition(">")
                if not kind and " " in rest:
                    attached.add(chr(int(rest.split()[1], 16)))
                    continue
                if not kind or kind[1:] in _FOLDED:
                    found.append(char)
            elif char.isspace():
                found.append(char)
    return found


def _folded(char: str, single: "dict[str, str]") -> str:
    if char in single:
        return single[char]
    if char.isspace():
        return " "
    folded = "".join(single.get(one, one) for one in unicodedata.normalize("NFKC", char))
    if unicodedata.decomposition(char).startswith("<compat>") and not folded.isalpha() and set(folded) != {"."}:
        return char
    return folded


def class_of(chars: Iterable[str]) -> str:
    """Return the class of a regular expression for these characters."""
    parts: list[str] = []
    codes = sorted({ord(char) for char in chars})
    at = 0
    while at < len(codes):
        end = at
        while end + 1 < len(codes) and codes[end + 1] == codes[end] + 1:
            end += 1
        parts.append(re.escape(chr(codes[at])) + (f"-{re.escape(chr(codes[end]))}" if end > at else ""))
        at = end + 1
    return f"[{''.join(parts)}]"
