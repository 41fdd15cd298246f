"""Contexts that `rlm_query(…, context=…)` sends to a sub-RLM: ranges of the caller's own input if possible, else texts.

A text that was cut from the input is found there again and need not be sent. Bytes are compared: UTF-8 never matches
from within a character, so a match begins and ends between characters.
"""

from collections.abc import Callable, Iterator
from json import dumps
from typing import Any

from .context import Document, Documents
from .context_file import Pack
from .context_text import TextDocument
from .variables import quoted

Range = tuple[int, int]
_PROBE = 16 << 10
"""Characters from the beginning of a text that are searched for; the rest is compared at each match."""
_FIRST_BLOCK, _LARGEST_BLOCK = 64 << 10, 8 << 20
"""Bytes searched at once, at first and at most: few near the previous match, where the next one usually is."""
_PIECE = 1 << 20
_MOST_CANDIDATES = 64
_MOST_FRUITLESS = 2 << 30
"""Bytes searched for texts that were not there, after which a kernel stops searching and sends the texts."""


class Places:
    """A finder of texts in some ranges of a pack. Any thread may use it."""

    def __init__(self, pack: Pack, ranges: Callable[[], list[Range]]) -> None:
        """Initialize the finder. `ranges` returns sorted, disjoint ranges and is called at the first search."""
        self._pack = pack
        self._ask = ranges
        self._ranges: list[Range] | None = None
        self._last = 0
        self._fruitless = 0

    def find(self, text: str) -> "Range | None":
        """Return a range whose bytes are those of `text`. Return None when there is none or the search is given up."""
        if place := self._pack.place(text):
            return place
        if self._fruitless > _MOST_FRUITLESS:
            return None
        if self._ranges is None:
            self._ranges = self._ask()
        try:
            for number, (start, end) in enumerate(self._candidates(text[:_PROBE].encode(), self._ranges)):
                if place := self._compared(text, start, end):
                    self._last = start
                    return place
                if number == _MOST_CANDIDATES:
                    break
        except UnicodeEncodeError:  # a lone surrogate: no text of an input has one
            return None
        self._fruitless += sum(end - start for start, end in self._ranges)
        return None

    def of(self, document: Document | TextDocument) -> "Range | None":
        """Return the range of a document. Return None when it belongs to another pack."""
        try:
            pack, start, end = document.stored()
        except LookupError:
            return None
        return (start, end) if pack.path == self._pack.path else None

    def _candidates(self, probe: bytes, ranges: list[Range]) -> Iterator[Range]:
        """Yield each position of `probe` and the end of its range: first from the last match on, then before it."""
        last = self._last
        for start, end in ranges:
            if last < end:
                yield from ((at, end) for at in self._occurrences(probe, max(start, last), end))
        for start, end in ranges:
            if start < last:
                found = self._occurrences(probe, start, min(end, last + len(probe) - 1))
                yield from ((at, end) for at in found)

    def _occurrences(self, probe: bytes, first: int, last: int) -> Iterator[int]:
        size = _FIRST_BLOCK
        while first + len(probe) <= last:
            block = self._pack.read(first, min(first + size + len(probe) - 1, last))
            found = block.find(probe)
            while found >= 0:
                yield first + found
                found = block.find(probe, found + 1)
            first += size
            size = min(2 * size, _LARGEST_BLOCK)

    def _compared(self, text: str, start: int, limit: int) -> "Range | None":
        at = start
        for begin in range(0, len(text), _PIECE):
            piece = text[begin : begin + _PIECE].encode()
            if at + len(piece) > limit or self._pack.read(at, at + len(piece)) != piece:
                return None
            at += len(piece)
        return start, at


_LONG = 1 << 10
"""Characters from which a text is searched for in the input."""
_TAKEN = "context is a str, a document, `context` or a slice of it, or a list of documents and str"


class Handed:
    """A context as it is posted (`state/input/child_context.py`), and the number of characters sent with it."""

    def __init__(self, kind: str, parts: list[dict[str, Any]]) -> None:
        self.posted = {"kind": kind, "parts": parts}
        self.chars = sum(_chars(part) for part in parts)


class Handing:
    """A describer of contexts in a kernel whose own input is `own`, a str or Documents.

    `own` is the initial value of `context`: rebinding that name changes nothing here.
    """

    def __init__(self, own: Any, places: "Places | None") -> None:
        self._own = own
        self._places = places

    def over(self, context: Any) -> Handed:
        """Describe `context`. Raises TypeError for an unsupported type."""
        if context is self._own or (isinstance(context, Documents) and context == self._own):
            return Handed("own", [])
        if isinstance(self._own, TextDocument) and isinstance(context, str) and context == self._own:
            return Handed("own", [])  # `context[:]`, which is a copy
        if isinstance(context, str | Document):
            return Handed("text", [self._part(context, "")])
        return Handed("documents", [self._part(one, str(number)) for number, one in enumerate(_listed(context), 1)])

    def _part(self, one: "str | Document", name: str) -> dict[str, Any]:
        if isinstance(one, Document | TextDocument):
            # A part of a document is called by its place in it.
            about = {"name": str(getattr(one, "handed_name", one.name)) or name, "meta": _meta(one)}
            place = self._places.of(one) if self._places else None
            text = one[:] if place is None else None
        else:
            about = {"name": name}
            place = self._places.find(one) if self._places and len(one) >= _LONG else None
            text = str(one) if place is None else None
        return {**about, "text": text} if place is None else {**about, "start": place[0], "end": place[1]}


def text_of(context: Any) -> str:
    """Return `context` as one text, to be appended to a prompt. Raises TypeError for an unsupported type."""
    if isinstance(context, str | Document | Documents):
        return str(context)
    return "\n\n".join(map(str, _listed(context)))


def _listed(context: Any) -> "Documents | list[str | Document] | tuple[str | Document, ...]":
    if isinstance(context, Documents):
        return context
    if not isinstance(context, list | tuple):
        raise TypeError(f"{_TAKEN}, not a {type(context).__name__}; make it a text, by json.dumps or str for one")
    for one in context:
        if not isinstance(one, str | Document):
            raise TypeError(f"{_TAKEN}; in this list there is a {type(one).__name__}")
    return context


def _meta(document: Document | TextDocument) -> dict[str, Any]:
    meta: Any = document.meta
    if not meta:
        return {}
    try:
        dumps(meta, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the .meta of {quoted(document.name)} is no plain JSON: {error}") from None
    if not isinstance(meta, dict):
        raise TypeError(f"the .meta of {quoted(document.name)} is no dict")
    return meta


def _chars(part: dict[str, Any]) -> int:
    meta = part.get("meta")
    return len(part["name"]) + len(part.get("text") or "") + (len(dumps(meta)) if meta else 0)
