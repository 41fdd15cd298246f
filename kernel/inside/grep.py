"""Lines in which a regular expression is found, with their places."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Self

from .cuts import note
from .variables import quoted

_PLAIN = re.compile(r"[\w ,;:'\"<>=/@%!-]+")
"""Patterns that mean themselves."""
_GLOB = re.compile(r"[*?\[]")


class Line(tuple[str, int, str]):
    """A line that was found: the tuple `(name, number from 1, line)`.

    It also has `.name`, `.number`, `.line`, `.document`; `.start` and `.end`, the characters of the document that are
    the line without its end; `.before` and `.after`, lists of the lines around it.
    """

    document: Any
    start: int
    end: int
    before: list[str]
    after: list[str]

    def __new__(cls, *parts: Any) -> Self:
        return super().__new__(cls, parts)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    @property
    def name(self) -> str:
        """The document's name."""
        return self[0]

    @property
    def number(self) -> int:
        """The number of the line, from 1."""
        return self[1]

    @property
    def line(self) -> str:
        """The line, without its end."""
        return self[2]

    def __str__(self) -> str:
        return f"{self[0]} line {self[1]}: {self[2]}".lstrip()


def grep(documents: Iterable[Any], pattern: Any, flags: int, context: int, limit: "int | None") -> Iterator[Line]:
    """Yield the lines of the documents in which the expression is found, at most `limit`. Raises re.error."""
    if context < 0:
        raise ValueError("context is a number of lines")
    expression = re.compile(pattern, flags)
    plain = isinstance(pattern, str) and not flags and _PLAIN.fullmatch(pattern) is not None
    lines = (line for one in documents for line in _in_document(one, expression, plain, context))
    return islice(lines, limit) if limit is not None else lines


def chosen(documents: Any, files: "str | Iterable[Any]") -> Iterator[Any]:
    """Return those of the documents that `files` names: a pattern such as `*.py`, a name, or several of these.

    Raises KeyError for a name that no document has.
    """
    wanted = _names(files)
    exact = {one for one in wanted if documents.has_name(one)}
    patterns = [one for one in wanted if one not in exact and _GLOB.search(one)]
    for one in wanted:
        if one not in exact and one not in patterns:
            raise KeyError(f"no document is named {quoted(one)}; see .names, or give a pattern such as '*.py'")
    return (documents[name] for name in documents.names if name in exact or _fits(name, patterns))


def is_chosen(name: str, files: "str | Iterable[Any]") -> bool:
    """Return whether a document of this name is one of `files`, as `chosen` takes them."""
    wanted = _names(files)
    return name in wanted or _fits(name, wanted)


def _names(files: "str | Iterable[Any]") -> "list[str]":
    return [files] if isinstance(files, str) else [one if isinstance(one, str) else one.name for one in files]


def _fits(name: str, patterns: "list[str]") -> bool:
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name, one) or fnmatchcase(last, one) or fnmatchcase(f"/{name}", one) for one in patterns)


def _in_document(document: Any, expression: "re.Pattern[str]", plain: bool, context: int) -> Iterator[Line]:
    text: str = document.whole()
    found = (_plain_lines if plain else _lines)(text, "\n" if "\n" in text else "\r", expression)
    for number, start, end in found:
        whole = text[start:end]
        line = Line(document.name, number, whole.removesuffix("\r"))
        line.document = document
        line.start, line.end = start, start + len(line.line)
        note(document, line.start, line.end, line.line)
        line.before, line.after = _around(text, start, end, context) if context else ([], [])
        yield line


def _lines(text: str, mark: str, expression: "re.Pattern[str]") -> Iterator[tuple[int, int, int]]:
    """Yield the number, the start and the end of each line in which the expression is found."""
    search, find = expression.search, text.find
    start = number = 0
    while start <= len(text):
        number += 1
        end = find(mark, start)
        if end < 0:
            end = len(text)
        if search(text[start:end].removesuffix("\r")):
            yield number, start, end
        start = end + 1


def _plain_lines(text: str, mark: str, expression: "re.Pattern[str]") -> Iterator[tuple[int, int, int]]:
    """Yield what `_lines` does for a pattern that means itself, without looking at every line."""
    start, number, find = 0, 1, text.find
    while (at := find(expression.pattern, start)) >= 0:
        begin = text.rfind(mark, start, at) + 1 or start
        number += text.count(mark, start, begin)
        end = find(mark, at)
        if end < 0:
            end = len(text)
        yield number, begin, end
        start, number = end + 1, number + 1


def _around(text: str, start: int, end: int, count: int) -> "tuple[list[str], list[str]]":
    """Return so many lines before and after a line."""
    mark = "\n" if "\n" in text else "\r"
    before: deque[str] = deque()
    while start > 0 and len(before) < count:
        begin = text.rfind(mark, 0, start - 1) + 1
        before.appendleft(text[begin : start - 1].removesuffix("\r"))
        start = begin
    after: list[str] = []
    while end < len(text) and len(after) < count:
        stop = text.find(mark, end + 1)
        stop = len(text) if stop < 0 else stop
        after.append(text[end + 1 : stop].removesuffix("\r"))
        end = stop
    return [*before], after
