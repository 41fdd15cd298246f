"""A reader process's words about the documents of a file, checked: sizes, names, and places inside the text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast, get_args

from ...kernel import untrusted_json
from .draft import PlaceKind
from .source import showable

_LONGEST_NAME = 4_000
_LONGEST_WORDS = 500
_MOST_LOSSES = 1_000
_LARGEST_FACTS, _LARGEST_LINE = 512 << 20, 64 << 20
"""Bytes about all documents of a file, and about one."""
_LARGEST_META, _LARGEST_METAS = 1 << 20, 256 << 20
"""Characters of one document's metadata, and of all together."""
_DEEPEST = 20
_LARGEST_NUMBER = 1 << 53
_KINDS = frozenset(get_args(PlaceKind))
NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""The errors that values of other types than expected cause, beside those that are raised here."""


@dataclass(frozen=True)
class ExtractedDocument:
    """A document in the text that the reader process wrote."""

    name: str
    """Its path inside the file; empty for the file itself."""
    start: int
    end: int
    chars: int
    meta: dict[str, Any]
    places: str
    """JSON, as the index stores it."""
    losses: list[str]


@dataclass(frozen=True)
class SkippedInside:
    """A file inside the file that gave no document."""

    name: str
    reason: str
    hint: str
    bytes: int


def facts_of(facts: BinaryIO) -> Iterator[ExtractedDocument | SkippedInside]:
    """Yield what each line says, read once. Raises one of `NONSENSE` where that cannot be."""
    facts.seek(0)
    size = metas = 0
    while line := facts.readline(_LARGEST_LINE + 1):
        size += len(line)
        if len(line) > _LARGEST_LINE or size > _LARGEST_FACTS:
            raise ValueError("too much about its documents")
        one = _parsed(untrusted_json.read(line))
        if isinstance(one, ExtractedDocument):
            metas += _checked_meta(one.meta)
            if metas > _LARGEST_METAS:
                raise ValueError("too much metadata")
        yield one


def _parsed(fact: Any) -> ExtractedDocument | SkippedInside:
    if not isinstance(fact, dict) or untrusted_json.depth(fact, _DEEPEST) > _DEEPEST:
        raise ValueError("a fact that is no object, or too deep")
    fact = cast(dict[str, Any], fact)
    name = _text(fact["name"], _LONGEST_NAME)
    if name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise ValueError("a name that is no path")
    if "skipped" in fact:
        reason, hint = _text(fact["skipped"]), _text(fact["hint"])
        return SkippedInside(name, reason, hint, _number(fact["bytes"]))
    start, end, chars = (_number(fact[one]) for one in ("start", "end", "chars"))
    if not start <= start + chars <= end:
        raise ValueError("more characters than bytes")
    if not isinstance(fact["meta"], dict) or not isinstance(fact["losses"], list):
        raise ValueError("metadata that is no object, or losses that are no list")
    all_losses = cast(list[Any], fact["losses"])
    losses = [_text(one) for one in all_losses[:_MOST_LOSSES]]
    if len(all_losses) > _MOST_LOSSES:
        losses.append(f"and {len(all_losses) - _MOST_LOSSES:,} more losses")
    places = cast(dict[str, Any], fact["places"])
    for kind, place in places.items():
        if kind == "rows":
            _check_rows(place, chars)
        elif kind in _KINDS:
            _check_place(place, chars)
        else:
            raise ValueError("a place of an unknown kind")
    return ExtractedDocument(name, start, end, chars, cast(dict[str, Any], fact["meta"]), json.dumps(places), losses)


def _checked_meta(meta: dict[str, Any]) -> int:
    """Return the size of metadata. Raises ValueError when it is too large."""
    size = len(json.dumps(meta))
    if size > _LARGEST_META:
        raise ValueError("too much metadata")
    return size


def _check_place(place: dict[str, Any], chars: int) -> None:
    """Check columns of equal length, of which `at` are offsets in the text, in order. Raises ValueError."""
    at = _offsets(place["at"], chars)
    for name, column in place.items():
        if len(column) != len(at) or not isinstance(column, list):
            raise ValueError("columns of unequal length")
        if name != "at" and any(type(one) not in (str, int) for one in cast(list[Any], column)):
            raise ValueError("a column that has neither texts nor numbers")


def _check_rows(rows: dict[str, Any], chars: int) -> None:
    """Check runs of rows, each an offset, a number and a count, and the columns of rows. Raises ValueError."""
    if not rows.keys() <= {"runs", "columns"}:
        raise ValueError("rows with something else")
    runs = cast(list[list[Any]], rows["runs"])
    if any(len(run) != 3 for run in runs):
        raise ValueError("a run of rows without three numbers")
    _offsets([run[0] for run in runs], chars)
    for run in runs:
        _number(run[1])
        _number(run[2])
    for columns in cast(dict[str, list[Any]], rows.get("columns", {})).values():
        for one in columns:
            _number(one)


def _offsets(found: list[Any], chars: int) -> list[int]:
    numbers = [_number(one) for one in found]
    if numbers != sorted(numbers) or (numbers and numbers[-1] > chars):
        raise ValueError("a place outside of the text")
    return numbers


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
        raise ValueError("a value that is not a number")
    return value


def _text(value: Any, most: int = _LONGEST_WORDS) -> str:
    """Return a text on one line, its end cut off for words, refused for names. Raises ValueError."""
    if not isinstance(value, str) or (most == _LONGEST_NAME and len(value) > most):
        raise ValueError("a value that is not a text")
    return showable(value[:most])
