"""A regular expression made from a quotation, which finds in a text, without a folded copy, where it may stand.

It finds more than the quotation: what it finds is folded and compared afterwards. Its repetitions are possessive, so
that a text takes time in proportion to its length times that of the expression, which is short.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from .folding_tables import DASHES, DROPPED, SOFT, class_of, tables

LONGEST = 64
"""Folded characters of a quotation from which an expression is made, at most."""
_SAMPLES, _SAMPLE = 4, 4_000
_WIDTHLESS = DROPPED + SOFT
_GAP = f"(?:[-{''.join(map(re.escape, DASHES))}{SOFT}][\\s{_WIDTHLESS}]*+|[{_WIDTHLESS}]++)?+"
_NOTHING, _ASCII_GAP, _ASCII_NOTHING = f"[{_WIDTHLESS}]*+", "(?:[-\x02]\\s*+)?+", ""
_BLANK, _BLANK_OR_NOTHING = f"[\\s{_WIDTHLESS}]++", f"[\\s{_WIDTHLESS}]*+"
_WIDE = "\u2e80"
"""The first character of the scripts that put no blanks between words."""


def expressions(quote: str, text: str, start: int, end: int) -> "Iterator[tuple[re.Pattern[str], int]]":
    """Yield expressions for a part of a folded quotation, each with the offset at which that part begins.

    It begins with a character that is rare in the text, because each occurrence of it is tried. The first expression
    has that character alone, for which a text is searched ten times faster than for its variants, which the second
    one has, when they occur in the text at all.
    """
    sample = _sample(text, start, end)
    ascii_only = text.isascii()
    most = min(LONGEST, max(1, len(quote) - LONGEST // 2))
    plain = [at for at in range(most) if _is_plain(quote, at)]
    first = min(plain, key=lambda at: sample.count(quote[at]), default=0)
    part = quote[first : first + LONGEST]
    yield _made(part, ascii_only, alone=bool(plain)), first
    if plain and not ascii_only and any(text.find(one, start, end) >= 0 for one in tables().variants.get(part[0], "")):
        yield _made(part, ascii_only, alone=False), first


def _sample(text: str, start: int, end: int) -> str:
    step = max(1, (end - start) // _SAMPLES)
    return "".join(text[at : min(at + _SAMPLE, end)] for at in range(start, end, step))


def _is_plain(quote: str, at: int) -> bool:
    """Return whether a character of a folded quotation is mostly written as it is.

    It is no mark with variants, no letter that may have its marks behind it, and in no ligature.
    """
    ligatures = tables().ligatures
    return (
        quote[at].isalnum()
        and unicodedata.normalize("NFD", quote[at]) == quote[at]
        and quote[at - 1 : at + 1] not in ligatures
        and quote[at : at + 2] not in ligatures
    )


@lru_cache(maxsize=512)
def _made(part: str, ascii_only: bool, *, alone: bool) -> "re.Pattern[str]":
    """`alone`: the first character has no variants."""
    pieces: list[str] = []
    at = 0
    while at < len(part):
        length = 1
        if part[at] == " ":
            pieces.append("\\s++" if ascii_only else _BLANK)
        elif ascii_only or (alone and not at):
            pieces.append(_ascii(part[at]))
        else:
            piece, length = _ligature(part, at)
            pieces.append(piece)
        at += length
        if at < len(part):
            pieces.append(_between(part[at - 1], part[at], ascii_only))
    return re.compile("".join(pieces))


def _between(one: str, other: str, ascii_only: bool) -> str:
    """Return the expression for what may stand between two characters and is nothing when folded."""
    if " " in (one, other):
        return ""
    if max(one, other) >= _WIDE and not ascii_only:
        return _BLANK_OR_NOTHING
    if one.isalpha() and other.isalpha():
        return _ASCII_GAP if ascii_only else _GAP
    return _ASCII_NOTHING if ascii_only else _NOTHING


def _ascii(char: str) -> str:
    variants = {"'": "['`]", "-": "[-\x02]"}
    return variants.get(char) or re.escape(char)


def _ligature(part: str, at: int) -> tuple[str, int]:
    """Return the expression for the next characters, which may be one, and their number."""
    ligatures = tables().ligatures
    for length in (3, 2):
        letters = part[at : at + length]
        if len(letters) == length and (letters in ligatures or (length == 3 and letters[:2] in ligatures)):
            return f"(?:{_split(letters)})", length
    return _one(part[at]), 1


def _split(letters: str) -> str:
    """Return the choices of ligatures for some letters: `ffi` may be `ﬃ`, `ﬀ` and `i`, `f` and `ﬁ`."""
    ligatures = tables().ligatures
    gap = _between(letters[0], letters[1], False)
    choices = [class_of(ligatures[letters])] if letters in ligatures else []
    for length in range(1, len(letters)):
        head, tail = letters[:length], letters[length:]
        if length == 1:
            choices.append(_one(head) + gap + (f"(?:{_split(tail)})" if len(tail) > 1 else _one(tail)))
        elif head in ligatures:
            choices.append(class_of(ligatures[head]) + gap + _one(tail))
    return "|".join(choices)


@lru_cache(maxsize=4096)
def _one(char: str) -> str:
    """Return the expression for a character with its variants: of another width, or as a letter with its marks."""
    variants = tables().variants.get(char, "")
    piece = class_of(char + variants) if variants else re.escape(char)
    decomposed = unicodedata.normalize("NFD", char)
    if decomposed == char:
        return piece
    return f"(?:{piece}|{_NOTHING.join(map(re.escape, decomposed))})"
