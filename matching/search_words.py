"""The words of a text as a search sees them.

An index splits a text at what is no letter, digit or mark. Scripts that are written without blanks have no such places,
so runs of them are replaced by pairs of neighbouring characters, in texts and in what is searched for alike.
"""

import re
import unicodedata

MARKS = "L* N* Co Mn Mc"
"""Unicode's categories of the characters of which words are made. Marks are vowels in the scripts of India."""
_RUN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7af\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]+"
)
"""Thai, Lao, Burmese, Khmer, kana, Han, Hangul."""
_LEFT_OUT = re.compile("[\u00ad\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u065f\u0670\u200b-\u200f\u2060\ufeff]+")
"""Characters that a word may be written without: soft hyphens, Hebrew points, Arabic vowels, invisible marks."""


_WORDS = ("L", "N", "Co", "Mn", "Mc")
_PLAIN_ASCII = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
_PLAIN_BYTES = _PLAIN_ASCII[:128] + bytes(range(128, 256))
_FIRST_WITHOUT_BLANKS = "\u0e00"
_SHORT_RUN, _MOST_RUNS = 16, 20_000
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
_ACCENTS = frozenset(
    map(ord, "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u0309\u030a\u030b\u030c\u030f\u0311\u031b")
) | {*range(0x323, 0x329), 0x32D, 0x32E, 0x330, 0x331}
"""The marks that `unicode61` takes off."""


class _Plain(dict[int, str]):
    """Characters as they are in words, filled as they are asked for."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _plain_character(chr(code))
        return found


_PLAIN = _Plain()


def _plain_character(character: str) -> str:
    if not unicodedata.category(character).startswith(_WORDS):
        return " "
    if ord(character) in _ACCENTS:
        return ""
    base = unicodedata.normalize("NFD", character)[0]
    small = (base if base.isascii() else character).lower()
    return "\u03c3" if small == "\u03c2" else small if len(small) == 1 else character


def prepared(text: str) -> str:
    """Return a text as it is given to an index, in which words are separated."""
    if text.isascii():
        return text
    text = _LEFT_OUT.sub("", unicodedata.normalize("NFKC", text))
    return _RUN.sub(_pairs, text)


def wanted(words: str) -> "list[tuple[str, bool]]":
    """Return what is searched for as parts; True for one with which a word may begin.

    A single character of a script without blanks is the beginning of every pair that begins with it.
    """
    single = {one.group() for one in _RUN.finditer(unicodedata.normalize("NFKC", words)) if len(one.group()) == 1}
    parts: dict[str, bool] = {}
    for word in words.split():
        pairs = [pair for pair in prepared(word).split() if pair]
        # A run is searched for by its pairs; the single character behind them is for texts.
        for at, pair in enumerate(pairs):
            alone = len(pair) == 1 and _RUN.fullmatch(pair) is not None
            if not alone or at == 0 or pair in single:
                parts.setdefault(pair, alone)
    return list(parts.items())


def plain_words(text: str) -> str:
    """Return the words of a prepared text with blanks between them, in small letters, and Latin ones without accents.

    They are the words that SQLite's tokenizer `unicode61` makes of the text.
    """
    if text.isascii():
        return text.encode().translate(_PLAIN_ASCII).decode()
    return text.translate(_PLAIN)


def folded(text: str) -> str:
    """Return a text of the same length in small letters without accents, to find words in it."""
    if text.isascii():
        return text.lower()
    return text.translate(_FOLDED)


def folded_words(text: str) -> str:
    """Return the words of a text, folded, with blanks between them; pairs of characters where there are no blanks."""
    if text.isascii():
        return text.encode().translate(_PLAIN_ASCII).decode()
    text = _NOT_ASCII.sub(lambda run: _FOLDED_RUNS[run.group()], unicodedata.normalize("NFC", text))
    return text.encode().translate(_PLAIN_BYTES).decode()


def bare(text: str) -> str:
    """Return a text with letters and their accents as one character, without what a word may be written without."""
    return text if text.isascii() else _LEFT_OUT.sub("", unicodedata.normalize("NFC", text))


def is_without_blanks(word: str) -> bool:
    """Return whether a word is of a script that is written without blanks: of an index, a pair or one character."""
    return _RUN.fullmatch(word) is not None


def _pairs(run: "re.Match[str]") -> str:
    found = run.group()
    return f" {' '.join(found[at : at + 2] for at in range(len(found)))} "


class _Folded(dict[int, str]):
    """Characters as they are folded, filled as they are asked for."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _folded_character(chr(code))
        return found


def _folded_character(character: str) -> str:
    if character.isascii() or "\uac00" <= character <= "\ud7af":
        return character.lower()  # of a Korean syllable, only its first letter would be left
    small = unicodedata.normalize("NFKD", character)[0].lower()[0]
    return "\u03c3" if small == "\u03c2" else small


class _FoldedWords(dict[int, str]):
    """Characters as they are in folded words, filled as they are asked for."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = found = "" if _LEFT_OUT.fullmatch(character) else _plain_character(_FOLDED[code])
        return found


class _FoldedRuns(dict[str, str]):
    """Runs of characters beyond ASCII as they are in folded words: the short ones, which repeat, are kept."""

    def __missing__(self, run: str) -> str:
        text = run.translate(_FOLDED_WORDS)
        found = _RUN.sub(_pairs, text) if max(text, default="") >= _FIRST_WITHOUT_BLANKS else text
        if len(run) <= _SHORT_RUN and len(self) < _MOST_RUNS:
            self[run] = found
        return found


_FOLDED = _Folded()
_FOLDED_WORDS = _FoldedWords()
_FOLDED_RUNS = _FoldedRuns()
