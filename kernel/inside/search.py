"""Search in the input: the host has the index and answers; hits are read from the pack.

A search is posted as calls are, and is no sub-call: it costs nothing and works without models.
"""

from collections.abc import Callable, Iterable, Sequence
from json import dumps
from operator import index
from typing import Any, SupportsIndex, overload

from .cuts import note
from .protocol import CALL_WEIGHT, MAX_HITS, MAX_SEARCHED, MAX_WORD, MAX_WORDS
from .registry import Request, running
from .variables import quoted

_SHOWN = 50
_BEFORE, _AROUND = 50, 160
"""Characters of a snippet before the first word that is found, and in all."""


class SearchUnavailable(RuntimeError):
    """The input cannot be searched; the message says why."""


class Hit:
    """A passage that a search has found; `str(hit)` is its name, place and snippet.

    `.document`, `.name`; `.start` and `.end`, characters of the document; `.text`, the passage; `.line` and `.place` of
    the word that is found first; `.score`, higher is better; `.snippet`, the words around.
    """

    __slots__ = ("_at", "_bytes", "document", "end", "line", "score", "snippet", "start")

    def __init__(self, document: Any, found: Sequence[Any], words: Sequence[str]) -> None:
        """`found` is a hit as the host sends it (`search.SearchHit`)."""
        _, first, last, start, line, score = found
        self.document = document
        self._bytes = first, last
        text = self.text
        at = _place_of(text, words)
        self.start, self.end = start, start + len(text)
        self._at = start + at
        self.line = line + text.count("\n" if "\n" in text else "\r", 0, at)
        self.score = score
        self.snippet = _snippet(text, at)
        note(document, self.start, self.end, text)

    @property
    def name(self) -> str:
        """The document's name."""
        return self.document.name

    @property
    def text(self) -> str:
        """The passage."""
        return self.document.stored()[0].read(*self._bytes).decode()

    @property
    def place(self) -> str:
        """The place in words: `page 7`, `Sheet1 row 12`, `line 120`."""
        return self.document.place_of(self._at) if self.document._places() else f"line {self.line}"

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        name = self.name if len(self.name) <= _AROUND else f"…{self.name[-_AROUND:]}"
        return f"{name} {self.place}: {self.snippet}".lstrip()

    def __repr__(self) -> str:
        return f"<Hit {self.score:.1f} {self}>"

    def _identity(self) -> tuple[Any, ...]:
        return *self.document.stored(), self._bytes

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Hit) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._bytes)


class Hits(list[Hit]):
    """A list of hits, best first, which is printed one a line."""

    __slots__ = ()

    @overload
    def __getitem__(self, at: SupportsIndex) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> "Hits": ...
    def __getitem__(self, at: SupportsIndex | slice) -> "Hit | Hits":
        return Hits(super().__getitem__(at)) if isinstance(at, slice) else super().__getitem__(at)

    def __repr__(self) -> str:
        if not self:
            return "[]"
        lines = [repr(hit) for hit in self[:_SHOWN]] if len(self) > _SHOWN else [*map(repr, self)]
        if len(self) > _SHOWN:
            lines.append(f"… and {len(self) - _SHOWN:,} more")
        return "\n".join(lines)

    __str__ = __repr__


def search(
    words: "str | Iterable[str]", k: int, ranges: "list[tuple[int, int]] | None", document: Callable[[int], Any]
) -> Hits:
    """Return the best `k` passages that have some of the words.

    `ranges`: bytes of the pack in which they begin; None: the whole input. `document` returns the document with a
    number. Raises SearchUnavailable, TypeError, ValueError.
    """
    text = " ".join(_checked(words))
    limit = _limit(k)
    if ranges is not None and len(ranges) > MAX_SEARCHED:
        raise ValueError(
            f"a search is restricted to {MAX_SEARCHED:,} parts of the input at most, not {len(ranges):,}: "
            "search all of `context`, and keep the hits whose .name you want"
        )
    if not text or (ranges is not None and not ranges):
        return Hits()
    arguments = {"k": limit} if ranges is None else {"k": limit, "ranges": ranges}
    weight = len(text) + len(dumps(arguments)) + CALL_WEIGHT
    [future] = running().post([Request({"kind": "search", "prompt": text, "arguments": arguments}, weight)])
    outcome = future.result()
    if error := outcome.get("error"):
        raise SearchUnavailable(error["message"])
    sought = _sought(text)
    return Hits(Hit(document(found[0]), found, sought) for found in outcome["value"])


def _checked(words: "str | Iterable[str]") -> list[str]:
    if not isinstance(words, str):
        words = " ".join(words)
    parts = words.split()
    if len(parts) > MAX_WORDS:
        raise ValueError(f"a search has at most {MAX_WORDS} words, not {len(parts):,}")
    longest = max(parts, key=len, default="")
    if len(longest) > MAX_WORD:
        raise ValueError(f"a word of a search has at most {MAX_WORD} characters: {quoted(longest)}")
    return parts


def _limit(k: Any) -> int:
    if isinstance(k, bool) or not 1 <= index(k) <= MAX_HITS:
        raise ValueError(f"k is from 1 to {MAX_HITS:,}")
    return index(k)


def _sought(text: str) -> list[str]:
    """Return the words in the form in which they are looked for in a passage, the longest first: it may be rare."""
    from durable_rlm.matching.search_words import folded, prepared

    words = {part for word in text.split() for part in [folded(word), *folded(prepared(word)).split()]}
    return sorted(words, key=len, reverse=True)


def _place_of(text: str, words: Sequence[str]) -> int:
    """Return where in a passage one of the words is, or 0."""
    from durable_rlm.matching.search_words import folded

    plain = folded(text)
    return max(0, next((at for word in words if (at := plain.find(word)) >= 0), 0))


def _snippet(text: str, at: int) -> str:
    start = max(0, at - _BEFORE)
    end = min(len(text), start + _AROUND)
    shown = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"
