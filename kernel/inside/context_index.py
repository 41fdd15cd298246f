"""Reads the index of an input, in the format of the host's `state/input/index.py`."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

from .context_file import Pack

_NAMED_IN_A_NOTE = 5
_MOST_NOTES = 20


def document_lines(index: bytes) -> "list[bytes]":
    """Return the lines of the documents, each with its places behind a tab."""
    end = index.find(b"\n\n")
    return index[: end if end >= 0 else None].splitlines()


def entry_of(line: bytes) -> "dict[str, Any]":
    """Return a document's `{"name", "start", "end", "chars", "meta"}` without parsing its places."""
    return json.loads(line.partition(b"\t")[0])


@lru_cache(maxsize=4)
def places_in(line: bytes) -> "dict[str, Any]":
    """Return the places of a document's line; empty when there are none, or when they are damaged."""
    try:
        places = json.loads(line.partition(b"\t")[2] or b"{}")
    except (ValueError, RecursionError):
        return {}
    return places if isinstance(places, dict) else {}


_indexes: "WeakValueDictionary[str, Pack]" = WeakValueDictionary()
"""The index of each pack, by the pack's path. Saved documents have no reference to it: they find it here."""
_found: "tuple[str, dict[tuple[int, int], tuple[int, int]]]" = ("", {})
"""The path of the index that was searched last, and its lines with places by the ranges of their documents."""


def note_index(pack: Pack, index: Pack) -> None:
    """Note that `index` describes the documents of `pack` in this kernel."""
    _indexes[pack.path] = index


def line_with_places(pack: Pack, start: int, end: int) -> bytes:
    """Return the line of the document that is this range of the pack; empty if the index has no places for it."""
    global _found
    index = _indexes.get(pack.path)
    if index is None:
        return b""
    path, lines = _found
    if path != index.path:
        lines = _lines_with_places(index)
        _found = index.path, lines
    place = lines.get((start, end))
    return index.read(*place) if place else b""


def _lines_with_places(index: Pack) -> "dict[tuple[int, int], tuple[int, int]]":
    found: dict[tuple[int, int], tuple[int, int]] = {}
    at = 0
    for line in document_lines(index.read(0, index.size)):
        if b"\t" in line and not line.endswith(b"\t{}"):
            entry = entry_of(line)
            found[entry["start"], entry["end"]] = at, at + len(line)
        at += len(line) + 1
    return found


def skipped_in(index: Pack) -> "list[dict[str, str]]":
    """Return `{"path", "reason"}` of each file that gave no document, in the order in which they were given."""
    return [{"path": one["path"], "reason": one["skipped"]} for one in _reports(index) if one["skipped"]]


def notes_in(index: Pack) -> "list[str]":
    """Return the reasons why files were skipped and what texts do not show, each with the first files concerned."""
    named: dict[str, tuple[list[str], int]] = {}
    for one in _reports(index):
        for what in (*([f"skipped ({one['skipped']})"] if one["skipped"] else ()), *one["losses"]):
            names, count = named.get(what, ([], 0))
            if len(names) < _NAMED_IN_A_NOTE:
                names.append(one["path"])
            named[what] = names, count + 1
    lines = [_note(what, *about) for what, about in named.items()]
    if len(lines) > _MOST_NOTES:
        lines[_MOST_NOTES - 1 :] = [f"and {len(lines) - _MOST_NOTES + 1:,} more notes"]
    return lines


def _note(what: str, names: "list[str]", count: int) -> str:
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return f"{what}: {', '.join(names)}{more}"


def _reports(index: Pack) -> "Iterator[dict[str, Any]]":
    data = index.read(0, index.size)
    end = data.find(b"\n\n")
    if end >= 0:
        yield from map(json.loads, data[end + 2 :].splitlines())
