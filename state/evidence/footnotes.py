"""Citations as a reader sees them: footnotes below a text, and words in place of markers for another model."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from ...matching.markers import MARKER
from .citations import Citation

_LONGEST = 600
"""Characters of the words in a footnote; `rlm show --citations` has them whole."""
_LONGEST_IN_TEXT = 2_000
_MOST_INSERTED = 4 << 20
"""Characters that are put into one answer in place of markers, which code may repeat a million times."""


def footnotes(citations: Sequence[Citation], form: Callable[[str], str] = str) -> list[str]:
    """Return a line for each citation: `[^3]: "words" — contract.docx § 4.2`.

    `form` is applied to words and places: they are the documents', and may be anything.
    """
    return [f"[^{one['id']}]: {form(described(one))}" for one in citations]


def described(citation: Citation) -> str:
    """Return a citation's words and its place on one line."""
    place = citation["place"] if citation["verified"] else _not_found(citation)
    return " ".join((f'"{_words(citation, _LONGEST)}"' + (f" — {place}" if place else "")).split())


def with_footnotes(text: str, citations: Sequence[Citation], form: Callable[[str], str] = str) -> str:
    """Return a text with the citations below it; a text without citations stays as it is. `form`: see `footnotes`."""
    return "\n".join([text.rstrip("\n"), "", *footnotes(citations, form), ""]) if citations else text


def with_words(value: Any, citations: Sequence[Citation]) -> Any:
    """Return an answer with `["words" (document, place)]` in place of each marker, for a caller who has other numbers.

    Markers without a citation stay as they are, and so do those for which there is no room.
    """
    return _Inserted(citations).into(value) if citations else value


class _Inserted:
    """Replaces the markers in an answer."""

    def __init__(self, citations: Sequence[Citation]) -> None:
        self._by_number: Mapping[str, str] = {str(one["id"]): _in_text(one) for one in reversed(citations)}
        self._room = _MOST_INSERTED

    def into(self, value: Any) -> Any:
        """Return the value with words in all of its texts. JSON from a kernel is not nested deep."""
        match value:
            case str() as text:
                return MARKER.sub(self._replaced, text)
            case dict() as found:
                return {key: self.into(one) for key, one in cast("dict[str, Any]", found).items()}
            case list() as found:
                return [self.into(one) for one in cast("list[Any]", found)]
            case _:
                return value

    def _replaced(self, found: re.Match[str]) -> str:
        words = self._by_number.get(found[1])
        if words is None or len(words) > self._room:
            return found[0]
        self._room -= len(words)
        return words


def _in_text(citation: Citation) -> str:
    where = ", ".join(_places(citation)) if citation["verified"] else _not_found(citation)
    return f'["{_words(citation, _LONGEST_IN_TEXT)}"' + (f" ({where})]" if where else "]")


def _places(citation: Citation) -> Iterator[str]:
    """Yield the document's name, and the place in it."""
    name = citation["document"]
    if name:
        yield name
    if place := citation["place"].removeprefix(name).strip():
        yield place


def _not_found(citation: Citation) -> str:
    name = citation["document"]
    return f"NOT FOUND in {name[:200]}" if name else "NOT FOUND"


def _words(citation: Citation, most: int) -> str:
    """Return the words on one line; a long passage with its beginning and its end."""
    words = citation["quote"]
    if len(words) > most:
        words = f"{words[: most * 2 // 3]} … {words[-most // 3 :]}"
    return " ".join(words.split())
