"""The order of Arabic and Hebrew letters, which a page shows from right to left and engines return in either order.

Words say themselves in which order they stand: some letters occur only at the end of a word, the Arabic article only
at its beginning, and a vowel sign never.
"""

import re
import unicodedata

_WORD = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+")
_RUN = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+(?:[ ]+[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+)*")
_LEFT_TO_RIGHT = re.compile("[A-Za-z0-9À-ʯ]+(?:[ .,:/%+@_-]+[A-Za-z0-9À-ʯ]+)*")
_ENDS = frozenset("ךםןףץةى")
_ARTICLE = "ال"


def in_reading_order(texts: list[str]) -> str:
    """Return the text whose words are in reading order, of several versions of a page; the first one when all are."""
    versions = [*texts, *map(_turned, texts)]
    # Of two in the same order, the one that does not glue words together.
    return max(versions, key=lambda version: (_score(version), len(version.split())))


def _score(text: str) -> int:
    """Return how many words speak for the order of the text, minus those that speak against it."""
    score = 0
    for word in _WORD.findall(text):
        if len(word) > 1:
            score += (word[-1] in _ENDS) - (word[0] in _ENDS)
            score += word.startswith(_ARTICLE) - word.endswith(_ARTICLE[::-1])
        score -= unicodedata.combining(word[0]) > 0
    return score


def _turned(text: str) -> str:
    return "\n".join(map(_turned_line, text.split("\n")))


def _turned_line(line: str) -> str:
    letters = sum(map(len, _WORD.findall(line)))
    if letters < sum(map(len, _LEFT_TO_RIGHT.findall(line))):
        return _RUN.sub(lambda run: run[0][::-1], line)
    return _LEFT_TO_RIGHT.sub(lambda run: run[0][::-1], line[::-1])
