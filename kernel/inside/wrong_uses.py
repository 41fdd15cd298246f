"""Errors in words for what code takes the input for, and near names for those that do not exist.

Models write for one text what they have for several documents: `context[:1000]`, `context.splitlines()`,
`re.findall(pattern, document)`.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Any

_LEAST_CHARACTERS = 500
"""The least length of a slice that may be meant for characters."""
_SEARCHED_NAMES = 5_000
_LONGEST_NAME = 200
_NEAR = 3
_OF_DOCUMENTS = frozenset(
    (
        *("search", "grep", "text", "name", "meta", "place", "lines", "line_of", "pages", "page", "page_of"),
        *("rows", "records", "sections", "symbols", "notes", "skipped", "names"),
    )
)
_GOT_DOCUMENTS = re.compile(r"(?:got|not) '?(Document|Documents|Chunk|Section)'?$|'(Document|Documents)' object")


def refuse_characters(wanted: slice, count: int) -> None:
    """Raise IndexError for a slice of documents that must be one of characters: far longer than there are documents."""
    start, stop = wanted.start or 0, wanted.stop
    if not isinstance(stop, int) or not isinstance(start, int) or wanted.step not in (None, 1):
        return
    if stop > 2 * count and stop - start >= _LEAST_CHARACTERS:
        raise IndexError(
            f"a slice of `context` is one of documents, and there are {count:,}: for characters write "
            f"context[0][{start}:{stop}] or str(context)[{start}:{stop}]"
        )


def no_attribute(name: str, count: int) -> str:
    """Return the message for an attribute that documents do not have."""
    if hasattr(str, name):
        return (
            f"{count:,} documents have no .{name}: use it on the text of one, context[0].{name}(…), "
            f"or on all texts joined, str(context).{name}(…)"
        )
    return f"documents have .names, .total_chars, .grep(), .search(), .notes and .skipped, but no .{name}"


def near(name: str, names: "Iterable[str]", otherwise: str = "") -> str:
    """Return `; did you mean …?` with near names, or else `otherwise`."""
    if len(name) > _LONGEST_NAME:
        return otherwise
    known = [one for one in islice(names, _SEARCHED_NAMES) if len(one) <= _LONGEST_NAME]
    last = name.rpartition("/")[2].lower()
    found = [one for one in known if one.rpartition("/")[2].lower() == last][:_NEAR]
    found = found or get_close_matches(name, known, n=_NEAR)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else otherwise


def explanation(error: "BaseException | None", names: "Iterable[str]") -> str:
    """Return a sentence on an error that says what to write; empty when there is none to give.

    `names` are those of the namespace.
    """
    try:
        return _explained(error, names)
    except Exception:
        # Code may define an error whose attributes raise.
        return ""


def _explained(error: Any, names: "Iterable[str]") -> str:
    if isinstance(error, NameError) and isinstance(error.name, str):
        return near(error.name, names).removeprefix("; ").capitalize()
    if isinstance(error, TypeError) and (found := _GOT_DOCUMENTS.search(str(error)[:1_000])):
        if "Documents" in found[0]:
            return "`re`, `json` and others take a str: write document.text in a loop over them, or str(context)."
        return "`re`, `json` and others take a str: write document.text."
    if isinstance(error, AttributeError) and type(error.obj) is str and error.name in _OF_DOCUMENTS:
        return (
            f"Documents have .{error.name}, a plain text has not: use `re`, .splitlines(), chunks(text) and "
            "cite(text, quote)."
        )
    return ""
