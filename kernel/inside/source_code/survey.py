"""`symbols`, `definition`, `references` and `imports` over the documents of an input."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from ..variables import quoted
from . import grammars, python
from .found import Import, Reference, Symbol

_PYTHON = (".py", ".pyi", ".pyw")
_NAMED = 3
_KEPT = 20_000
_LINE = 400

Row = TypeVar("Row")
Documents = Iterable[Any]
"""Documents, or one text with a name."""


def symbols(documents: Documents, files: "str | Iterable[str] | None" = None) -> list[Symbol]:
    """Return the definitions in the source files, in order: `.name`, `.kind`, `.file`, `.line`, `.last_line`, `.text`.

    `files`: a pattern such as `src/*.py`, or a list of them.
    """

    def of(document: Any) -> list[Symbol]:
        return list(_symbols(document.name, document.text))

    return _of_all(documents, files, of)


def definition(documents: Documents, name: str, files: "str | Iterable[str] | None" = None) -> list[Symbol]:
    """Return the definitions of a name: `feed` has every `….feed`, `Parser.feed` that one.

    Prints names that are near where there is no definition.
    """
    ends = f".{name}"
    last = name.rpartition(".")[2]

    def of(document: Any) -> list[Symbol]:
        text = document.text
        found = _symbols(document.name, text) if last in text else ()
        return [one for one in found if one.name == name or one.name.endswith(ends)]

    found = _of_all(documents, files, of)
    if not found:
        _suggest(name, documents, files)
    return found


def references(documents: Documents, name: str, files: "str | Iterable[str] | None" = None) -> list[Reference]:
    """Return the uses of a name in the code of the source files: `.file`, `.line`, `.text`; its definitions excluded.

    Of a dotted name its last part is searched for. Comments and texts in the code do not count: `grep` has them.
    """
    last = name.rpartition(".")[2]

    def of(document: Any) -> list[Reference]:
        text = document.text
        if last not in text:
            return []
        language = _language(document.name)
        lines = python.uses(text, last) if language is None else grammars.uses(text, last, language)
        rows = _Lines(text)
        return [Reference(document.name, line, rows.text(line)) for line in sorted(set(lines))]

    return _of_all(documents, files, of)


def imports(documents: Documents, files: "str | Iterable[str] | None" = None) -> list[Import]:
    """Return the imports of the source files: `.file`, `.line`, `.module`, `.name`."""

    def of(document: Any) -> list[Import]:
        language = _language(document.name)
        found = python.imports(document.text) if language is None else grammars.imports(document.text, language)
        return [Import(document.name, *one) for one in sorted(found, key=lambda one: one[0])]

    return _of_all(documents, files, of)


def _of_all(documents: Documents, files: "str | Iterable[str] | None", of: "Callable[[Any], list[Row]]") -> "list[Row]":
    """Return what `of` finds in the source files, and print a note on those that it could not read."""
    found: list[Row] = []
    broken: list[str] = []
    missing: dict[str, int] = {}
    for document in _chosen(documents, files):
        try:
            found += of(document)
        except SyntaxError:
            broken.append(document.name)
        except ImportError:
            end = _end(document.name)
            missing[end] = missing.get(end, 0) + 1
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        print(f"[not parsed, because its syntax is not Python's: {', '.join(broken[:_NAMED])}{more}]")
    if missing:
        counts = ", ".join(f"{count} {end}" for end, count in sorted(missing.items()))
        print(f"[left out: {counts}; other languages than Python need the extra durable-rlm[code]. Use grep for them]")
    return found


def _chosen(documents: Documents, files: "str | Iterable[str] | None") -> "Iterator[Any]":
    patterns = None if files is None else [files] if isinstance(files, str) else list(files)
    for document in [documents] if isinstance(documents, str) else documents:
        name = getattr(document, "name", "")
        if _end(name) not in _PYTHON and _end(name) not in grammars.LANGUAGES:
            continue
        if patterns is None or any(fnmatchcase(name, one) or name.endswith(f"/{one}") for one in patterns):
            yield document


_known: dict[tuple[str, int, int], tuple[Symbol, ...]] = {}
"""The symbols of files that were parsed before, by name, length and hash: the texts themselves are not kept."""


def _symbols(name: str, text: str) -> tuple[Symbol, ...]:
    key = name, len(text), hash(text)
    if key not in _known:
        language = _language(name)
        rows = _Lines(text)
        found = python.definitions(text) if language is None else grammars.definitions(text, language)
        if len(_known) >= _KEPT:
            _known.clear()
        _known[key] = tuple(Symbol(one, kind, name, line, last, rows.text(line)) for one, kind, line, last in found)
    return _known[key]


class _Lines:
    """The lines of a text."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def text(self, number: int) -> str:
        """Return a line without indentation, cut when it is long."""
        return self._lines[number - 1].strip()[:_LINE] if number <= len(self._lines) else ""


def _language(name: str) -> "grammars.Language | None":
    """Return the language of a file by the end of its name; None for Python."""
    return grammars.LANGUAGES.get(_end(name))


def _end(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot > name.rfind("/") else ""


def _suggest(name: str, documents: Documents, files: "str | Iterable[str] | None") -> None:
    from difflib import get_close_matches

    known = {one.name.rpartition(".")[2] for one in symbols(documents, files)}
    near = " or ".join(get_close_matches(name.rpartition(".")[2], sorted(known), n=_NAMED))
    print(f"[no definition of {quoted(name)}{f'; there is {near}' if near else ''}]")
