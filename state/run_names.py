"""Names of new runs: the first words of the question, and a few random digits (`which-contracts-end-3f2a`).

They are typed into shells, so they hold only letters, digits and hyphens, in ASCII where the question's letters can
be transliterated. Scripts written from right to left are left out: such names would be displayed in another order
than they are typed.
"""

import itertools
import secrets
import unicodedata
from collections.abc import Iterator

MOST_NAME = 500
"""Characters of the longest name of a run."""
MOST_QUESTION = 1_000_000
"""Characters of the longest question, which each root request carries whole."""
_WORDS = 3
_WORD = 20
_SLUG = 40
"""The most characters of all words; `_WORDS` is the most words, `_WORD` the most characters of one."""
_READ = 1_000
"""Characters of a question that are considered."""
_DIGITS = 4
_NAMELESS = "run"
_SMALL_WORDS = (
    "a an and are as at be been by can could did do does each for from give has have i if in into is it its list me my "
    "of on or our please shall should so tell than that the their them then there these they this those to us was we "
    "were will with would you your"
)
_SMALL = frozenset(_SMALL_WORDS.split())
"""Words that say little about a question's subject."""
_ASCII = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
"""Latin letters that do not decompose into a letter and a mark."""
_APOSTROPHES = str.maketrans("", "", "'’ʼ")
_KEPT = frozenset({"Ll", "Lu", "Lt", "Lo", "Lm", "Nd", "Mn", "Mc"})
"""Categories of letters, digits and combining marks."""
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks of no width."""


def names_for(question: str) -> Iterator[str]:
    """Yield names for a run that asks `question`, without end: the next one is for when a name is taken."""
    words = slug(question)
    for digits in itertools.count(_DIGITS):
        yield f"{words}-{random_digits(digits)}"


def random_digits(number: int) -> str:
    """Return `number` random hexadecimal digits."""
    return secrets.token_hex(number)[:number]


def slug(question: str) -> str:
    """Return up to three words that describe a question, joined by hyphens."""
    text = unicodedata.normalize("NFKC", question[:_READ]).casefold().translate(_APOSTROPHES)
    words = [word for one in _split(text) if (word := _written(one))]
    telling = [word for word in words if word not in _SMALL] or words
    chosen: list[str] = []
    for word in telling[:_WORDS]:
        if chosen and len("-".join([*chosen, word])) > _SLUG:
            break
        chosen.append(word)
    return "-".join(chosen) or _NAMELESS


def _split(text: str) -> list[str]:
    """Return the words of a text: letters and digits, and the marks on them."""
    kept = (character if _belongs(character) else " " for character in text)
    return [word for word in "".join(kept).split() if unicodedata.category(word[0])[0] in "LN"]


def _belongs(character: str) -> bool:
    return unicodedata.category(character) in _KEPT and character not in _UNSEEN


def _written(word: str) -> str:
    """Return a word in ASCII if it can be transliterated; an empty text for one that is read from right to left."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))
    bare = bare.translate(_ASCII)
    if bare.isascii():
        return bare[:_WORD]
    if any(unicodedata.bidirectional(one) in ("R", "AL", "AN") for one in word):
        return ""
    return unicodedata.normalize("NFC", word)[:_WORD]
