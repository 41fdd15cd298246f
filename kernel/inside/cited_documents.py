"""The document that code means when it cites: a document, a part of one, a name, or a text that was cut from one."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .context import Document, Documents
from .context_text import TextDocument
from .place_parts import Page, Row, Section
from .placed import Placed
from .variables import quoted

_LONGEST_NAME = 300
"""Characters of a text up to which it may be meant as a name."""
_MOST = 1_000_000
"""Parts that one call may name."""
_NAMES = 3


class Part(NamedTuple):
    """A document of the input, and the range of it, in characters, in which a quotation is searched for."""

    document: Any
    name: str
    start: int
    end: int
    first: int = 0
    """The offset in the document of the first character of what code has: 0 unless it has a text that was cut out."""

    @property
    def text(self) -> str:
        """The text of the whole document, which the pack keeps in memory for a while."""
        return self.document if isinstance(self.document, str) else self.document.text

    def pages(self) -> "list[int]":
        """Return the offsets at which the pages begin."""
        return list(self.document.pages.starts) if isinstance(self.document, Placed) else []

    def place(self, offset: int) -> str:
        """Return the place of a character in words."""
        if isinstance(self.document, Placed):
            return self.document.place_of(offset)
        return f"line {self.document.count(chr(10), 0, offset) + 1}"

    def named(self, offset: int) -> str:
        """Return the place of a character in words, with the document's name."""
        return f"{self.name}, {self.place(offset)}" if self.name else self.place(offset)


def parts_of(given: Any, context: Any, quote: str, *, named: bool = False) -> "list[Part]":
    """Return the parts of `context` that code means by `given`. `named`: it is a name, and nothing else.

    `quote` is what is searched for there. Raises TypeError for what is no part of the input, LookupError for a name
    that no document has.
    """
    known = _of_input(given, context)
    if known is not None:
        return known
    inner = getattr(given, "document", None)
    start, end = getattr(given, "start", None), getattr(given, "end", None)
    if inner is not None and type(start) is int and type(end) is int:
        parts = _by_name(inner, context) if type(inner) is str else parts_of(inner, context, quote)
        return [part._replace(start=max(part.start, start), end=min(part.end, end)) for part in parts]
    if isinstance(given, str) and not isinstance(given, Page):
        one = _by_name(given, context)
        if one or named:
            return one
        return _cut_from(given, context, quote)
    if isinstance(given, Page):
        return _page(given, context)
    if isinstance(given, Row):
        return _row(given, context)
    if isinstance(given, tuple) and given and isinstance(given[0], str) and (parts := _by_name(given[0], context)):
        return parts  # a line that grep found
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | dict):
        parts = []
        for one in given:
            parts += parts_of(one, context, quote)
            if len(parts) > _MOST:
                raise TypeError(f"more than {_MOST:,} documents at once")
        return parts
    raise TypeError(
        f"cite(document, quote): a {type(given).__name__} is no part of the input; give a document of `context`, its "
        "name, a part of it, or `context` itself"
    )


def _of_input(given: Any, context: Any) -> "list[Part] | None":
    """Return the parts for documents as they are; None for anything else. Raises TypeError for one of another input."""
    if given is context and not isinstance(given, Documents):
        return [_whole(given)]
    if isinstance(given, Documents):
        return [_whole(one) for one in given]
    if isinstance(given, Section):
        parts = _of_input(given.document, context) or []
        return [part._replace(start=given.start, end=given.end) for part in parts]
    if isinstance(given, Document):
        if not isinstance(context, Documents) or not context.has_name(given.name) or context[given.name] != given:
            raise TypeError(f"{given!r} is no document of `context`")
        return [_whole(given)]
    if isinstance(given, TextDocument) and isinstance(context, TextDocument) and _stored(given) == _stored(context):
        return [_whole(context)]
    return None


def _stored(text: TextDocument) -> Any:
    try:
        return text.stored()
    except LookupError:
        return text


def _whole(document: Any) -> Part:
    return Part(document, getattr(document, "name", ""), 0, len(document))


def _all(context: Any) -> "Iterator[Part]":
    if isinstance(context, Documents):
        yield from map(_whole, context)
    else:
        yield _whole(context)


def _by_name(name: str, context: Any) -> "list[Part]":
    if isinstance(context, Documents):
        return [_whole(context[name])] if context.has_name(name) else []
    return [_whole(context)] if name == getattr(context, "name", "") else []


def _cut_from(text: str, context: Any, quote: str) -> "list[Part]":
    """Return the places at which a text that was cut from the input stands there."""
    from durable_rlm.matching.quotations import find

    if find(text, quote) is None and len(text) <= _LONGEST_NAME and "\n" not in text:
        raise LookupError(_no_name(text, context))
    found: list[Part] = []
    for part in _all(context):
        if len(text) <= part.end and (at := part.text.find(text)) >= 0:
            found.append(part._replace(start=at, end=at + len(text), first=at))
    if text and found:
        return found
    raise TypeError(
        f"cite(document, quote): no document of `context` has this text: {quoted(text)}. Give the document itself, or "
        "its name: a text that was changed has no place in the input"
    )


def _no_name(name: str, context: Any) -> str:
    from difflib import get_close_matches

    names = context.names if isinstance(context, Documents) else [getattr(context, "name", "")]
    last = name.rpartition("/")[2].lower()
    near = [one for one in names if one and one.rpartition("/")[2].lower() == last][:_NAMES]
    near = near or get_close_matches(name, names[:10_000], _NAMES, 0.6)
    meant = f": did you mean {' or '.join(map(quoted, near))}?" if near else "; `context.names` lists them"
    return f"no document is named {quoted(name)}{meant}"


def _page(page: Page, context: Any) -> "list[Part]":
    found: list[Part] = []
    for part in _all(context):
        starts = [*part.pages(), part.end]
        if 0 < page.number < len(starts):
            start, end = starts[page.number - 1], starts[page.number]
            if end - start == len(page) and part.text[start:end] == page:
                found.append(part._replace(start=start, end=end, first=start))
    if not found:
        raise TypeError(f"page {page.number} is of no document of `context`: give the document and near=")
    return found


def _row(row: Row, context: Any) -> "list[Part]":
    found: list[Part] = []
    for part in _all(context):
        if 0 <= row.start < row.end <= part.end:
            text = part.text[row.start : row.end]
            if all(cell.strip().partition('"')[0] in text for cell in row):
                found.append(part._replace(start=row.start, end=row.end))
    if not found:
        raise TypeError(f"row {row.number} is of no document of `context`: give the document and near=")
    return found
