"""The REPL's `context`: one text as a str, several texts as documents that are read from disk on access.

Documents are references (a file and a range of it), so that copying, pickling and passing them on costs nothing,
whatever the length of their text.
"""

import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from .context_file import Pack, open_descriptor, read_ascii
from .context_index import document_lines, entry_of, line_with_places, note_index, notes_in, skipped_in
from .cuts import note
from .placed import Placed
from .source_code import SourceCode
from .variables import quoted
from .wrong_uses import near, no_attribute, refuse_characters

if TYPE_CHECKING:
    from .grep import Line
    from .search import Hits

_SHOWN_NAMES = 5
_ONLY_ASKING = {"count", "endswith", "find", "index", "rfind", "rindex", "startswith"}
"""Methods of str whose results have nothing of the text in them."""
_LONG = 16 << 20
"""Bytes from which a text should not be in memory twice while it is read."""


def load_text(pack_path: str, start: int = 0, end: int | None = None) -> str:
    """Read the bytes from `start` to `end` of the pack (None: its end) as one str. Nothing else of it is read.

    Raises OSError, UnicodeDecodeError, and ValueError for a range outside of the pack.
    """
    with os.fdopen(open_descriptor(pack_path), "rb") as file:
        last = file.seek(0, 2) if end is None else end
        if start == last:
            return ""  # an empty range cannot be mapped
        if last - start > _LONG and (text := read_ascii(file.fileno(), start, last)) is not None:
            return text
        first = start - start % mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(file.fileno(), last - first, offset=first, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped)[start - first :] as wanted,
        ):
            return str(wanted, "utf-8")


class Document(Placed):
    """One document. It reads like the str of its text, and has `.text`, `.name`, `.meta` and places (`placed.py`).

    `len()` counts characters; slices are str; every method of str (`splitlines`, `find`, `lower` …) works
    on the text. The text is read from disk at each use: keep `.text` in a variable to work on it at length.
    """

    __slots__ = ("_chars", "_end", "_line", "_pack", "_start", "meta", "name")

    def __init__(
        self,
        pack: Pack,
        name: str,
        start: int,
        end: int,
        chars: int,
        meta: dict[str, Any],
        line: bytes | None = None,
    ) -> None:
        """`start` and `end` in bytes of the pack. Raises ValueError when they are not within it.

        `line`: the document's line of the index. None: it is searched for when places are asked for, because what is
        saved of a document is without it.
        """
        if not 0 <= start <= end <= pack.size:
            raise ValueError(f"document {quoted(name)} lies outside its pack")
        self._pack = pack
        self._start = start
        self._end = end
        self._chars = chars
        self._line = line
        self.name = name
        self.meta = meta

    @property
    def text(self) -> str:
        """The whole text."""
        text = self.whole()
        note(self, 0, self._chars, text)
        return text

    def whole(self) -> str:
        """Return the text for work whose results have nothing of it: it is not noted as read."""
        return self._pack.text(self._start, self._end)

    def part(self, start: int, end: int) -> str:
        """Return the characters from `start` to `end` for work whose results have nothing of them."""
        if self._end - self._start == self._chars:
            # ASCII: a character is a byte, so only the part is read.
            return self._pack.text(self._start + start, self._start + max(start, end))
        return self.whole()[start:end]

    def stored(self) -> tuple[Pack, int, int]:
        """Return the pack and the range of it, in bytes, that is the text."""
        return self._pack, self._start, self._end

    def cut_from(self) -> tuple[str, tuple[int, int], str, int, int]:
        """Return what `cuts.note` needs of it."""
        return self._pack.path, (self._start, self._end), self.name, 0, self._chars

    def index_line(self) -> bytes:
        """Return the document's line of the index; empty without one."""
        if self._line is None:
            self._line = line_with_places(self._pack, self._start, self._end)
        return self._line

    def __len__(self) -> int:
        return self._chars

    def __bool__(self) -> bool:
        return self._chars > 0

    def __getitem__(self, at: SupportsIndex | slice) -> str:
        if isinstance(at, slice):
            first, last, step = at.indices(self._chars)
            if step == 1:
                part = self.part(first, last)
                note(self, first, max(first, last), part)
                return part
        return self.whole()[at]

    def __iter__(self) -> Iterator[str]:
        return iter(self.text)

    def __contains__(self, part: str) -> bool:
        return part in self.whole()

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)

    def __add__(self, other: object) -> str:
        return self.text + str(other) if isinstance(other, str | Document) else NotImplemented

    def __radd__(self, other: object) -> str:
        return other + self.text if isinstance(other, str) else NotImplemented

    def __getattr__(self, name: str) -> Any:
        # Models write `doc.splitlines()`. Dunder names are excluded, because copy and pickle would find str's.
        if name.startswith("_") or not hasattr(str, name):
            raise AttributeError(f"a Document has .text, .name, .meta, places and the methods of str, but no .{name}")
        return getattr(self.whole() if name in _ONLY_ASKING else self.text, name)

    def __dir__(self) -> Iterable[str]:
        return sorted({*object.__dir__(self), *(name for name in dir(str) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<Document {self.name!r}, {self._chars:,} chars>"

    def _identity(self) -> tuple[str, int, int, str]:
        return self._pack.path, self._start, self._end, self.name

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Document) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return _document, (self._pack.path, self.name, self._start, self._end, self._chars, self.meta)


class Documents(Sequence[Document], SourceCode):
    """The documents of an input, in order: by number, by slice, by name (`docs["src/a.py"]`).

    `.names`, `.total_chars`; `docs.search(words)`, `docs.grep(pattern)`; `str(docs)` joins all texts.
    `"text" in docs` and `docs.count("text")` look into all texts. `.skipped` and `.notes` tell what was not read.
    """

    def __init__(self, pack_path: str, index_path: str) -> None:
        """Opens the pack and its index (`context_index.py`). Raises OSError."""
        self._pack = Pack.open(str(pack_path))
        self._index = Pack.open(str(index_path))
        # Lines of JSON, parsed one by one on access: parsing ten thousand would take tens of milliseconds.
        self._lines = document_lines(self._index.read(0, self._index.size))
        self._at: Sequence[int] = range(len(self._lines))
        self._facts: tuple[dict[str, int], int] | None = None
        note_index(self._pack, self._index)

    def __len__(self) -> int:
        return len(self._at)

    @overload
    def __getitem__(self, at: int | str) -> Document: ...
    @overload
    def __getitem__(self, at: slice) -> "Documents": ...
    def __getitem__(self, at: int | str | slice) -> "Document | Documents":
        if isinstance(at, slice):
            refuse_characters(at, len(self))
            return self._chosen(self._at[at])
        if isinstance(at, str):
            try:
                return self._document(self._at[self._known()[0][at]])
            except KeyError:
                raise KeyError(f"no document is named {quoted(at)}{near(at, self.names, '; see .names')}") from None
        return self._document(self._at[at])

    def __iter__(self) -> Iterator[Document]:
        return map(self._document, self._at)

    def __contains__(self, value: object) -> bool:
        if isinstance(value, str):
            return self.has_name(value) or any(value in document.whole() for document in self)
        return any(value == document for document in self) if isinstance(value, Document) else False

    def has_name(self, name: str) -> bool:
        """Return whether one of the documents has this name."""
        return name in self._known()[0]

    def count(self, value: object) -> int:
        """Return how often a text is in the texts, or how often a document is among these."""
        if isinstance(value, str):
            return sum(document.whole().count(value) for document in self)
        return sum(value == document for document in self)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name if name.startswith("_") else no_attribute(name, len(self)))

    @property
    def names(self) -> list[str]:
        """The documents' names, in order."""
        return list(self._known()[0])

    @property
    def total_chars(self) -> int:
        """Characters of all documents together."""
        return self._known()[1]

    @property
    def skipped(self) -> list[dict[str, str]]:
        """The files of the whole input that gave no document, as `{"path", "reason"}`."""
        return skipped_in(self._index)

    @property
    def notes(self) -> list[str]:
        """Notes on the whole input: why files were skipped, and what the texts do not show."""
        return notes_in(self._index)

    def search(self, words: str | Iterable[str], k: int = 20) -> "Hits":
        """Return the best `k` passages that have some of the words, best first.

        A hit has `.name`, `.place`, `.line`, `.snippet`, `.text`, `.document`, `.start`, `.end`, `.score`. Raises
        SearchUnavailable.
        """
        from .search import Hits, search

        whole = self._at == range(len(self._lines))
        hits = search(words, k, None if whole else self.ranges(), self._document)
        return hits if whole else Hits(hit for hit in hits if hit.document in self)

    def grep(
        self,
        pattern: str | re.Pattern[str],
        files: str | Iterable[str | Document] | int | None = None,
        context: int = 0,
        flags: int = 0,
        limit: int | None = None,
    ) -> "Iterator[Line]":
        """Yield every line in which the regular expression is found, as `(name, number from 1, line)`.

        It also has `.document`, `.start`, `.end`, `.before` and `.after`. `files`: a pattern such as `*.py`, names or
        documents. `context`: how many lines before and after each it also has. `limit`: the most lines. Raises KeyError
        for a name that no document has.
        """
        from .grep import chosen, grep

        if isinstance(files, int):  # `grep(pattern, re.I)`, as `re` has it
            files, flags = None, files
        return grep(self if files is None else chosen(self, files), pattern, flags, context, limit)

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges of the pack, in bytes, that these documents fill: sorted, and those that touch are one."""
        merged: list[tuple[int, int]] = []
        entries = [entry_of(self._lines[at]) for at in self._at]
        for start, end in sorted((entry["start"], entry["end"]) for entry in entries):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        return merged

    def __str__(self) -> str:
        return "\n\n".join(document.text for document in self)

    def __repr__(self) -> str:
        names, chars = self._known()
        shown = ", ".join(map(repr, islice(names, _SHOWN_NAMES))) + (", …" if len(names) > _SHOWN_NAMES else "")
        return f"<Documents: {len(self):,} document{'s' * (len(self) != 1)}, {chars:,} chars: {shown}>"

    def _identity(self) -> tuple[str, str, tuple[int, ...] | range]:
        at = self._at if isinstance(self._at, range) else tuple(self._at)
        return self._pack.path, self._index.path, at

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Documents) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return _documents, self._identity()

    def _chosen(self, at: Sequence[int]) -> "Documents":
        chosen = object.__new__(type(self))
        chosen._pack, chosen._index, chosen._lines = self._pack, self._index, self._lines
        chosen._at, chosen._facts = at, None
        return chosen

    def _document(self, at: int) -> Document:
        line = self._lines[at]
        entry = entry_of(line)
        return Document(self._pack, entry["name"], entry["start"], entry["end"], entry["chars"], entry["meta"], line)

    def _known(self) -> tuple[dict[str, int], int]:
        """Return the position of each name, and the characters of all documents. The first call parses the index."""
        if self._facts is None:
            entries = [entry_of(self._lines[at]) for at in self._at]
            places = {entry["name"]: place for place, entry in enumerate(entries)}
            self._facts = places, sum(entry["chars"] for entry in entries)
        return self._facts


def _document(pack_path: str, *facts: Any) -> Document:
    return Document(Pack.open(pack_path), *facts)


def _documents(pack_path: str, index_path: str, at: Sequence[int]) -> Documents:
    return Documents(pack_path, index_path)._chosen(at)
