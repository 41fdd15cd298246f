"""The documents that a reader makes of a file: text, metadata, places, and what of the file is not in the text."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, TypeAlias

from ...state.wording import counted

PlaceKind = Literal["pages", "slides", "sheets", "sections", "messages", "cells"]
"""Parts of a document that follow each other; each begins where it is marked and ends where the next one begins."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class Unusable(Exception):
    """A file that gives no text: an error when it was named, a note when it was found in a folder.

    `reason` completes the sentence "NAME is …".
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Draft:
    """One document under construction: write its text in order, and mark a place before writing what stands there.

    Offsets count characters of the document's text from 0.
    """

    def __init__(self, kind: str, name: str = "") -> None:
        """Begin a document. `kind`: its format, for people (`DOCX`).

        `name`: its path inside the file (`prices.csv`, `0001/prices.csv`); empty for the file itself.
        """
        self.name = name
        self.meta: dict[str, Any] = {"kind": kind}
        """Facts about the document, as plain JSON."""
        self.places: dict[str, Any] = {}
        """The marked places, as the index stores them (`state/input/index.py`)."""
        self.losses: list[str] = []
        """The parts of the document that are not in its text, one short phrase each."""
        self.chars = 0
        self.pieces: list[str] = []
        self._unshown: dict[str, int] = {}

    def write(self, text: str) -> None:
        """Append text. A lone surrogate, which is not a character, becomes U+FFFD."""
        if not text.isascii():
            text = _SURROGATES.sub("\ufffd", text)
        if text:
            self.pieces.append(text)
            self.chars += len(text)

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def mark(self, kind: PlaceKind, label: str = "", **facts: str | int) -> None:
        """Mark that a place of `kind` begins here: the next page, the next sheet named `label`.

        `facts` are further columns: a section has `level` (1 for the topmost), a sheet `state`. Every mark of a kind
        has the same ones.
        """
        place = self.places.setdefault(kind, {"at": []})
        place["at"].append(self.chars)
        for name, value in {"label": label, **facts}.items():
            if name in place:
                place[name].append(value)
            elif name != "label" or value:
                # A label that comes late: those before it were empty.
                place[name] = [*[""] * (len(place["at"]) - 1), value]

    def mark_row(self, number: int, columns: "list[int] | None" = None) -> None:
        """Mark that row `number` of the present sheet begins here, which is one line of cells separated by tabs.

        `columns`: the column of each cell (A is 1) where they are not simply 1, 2, 3 …
        """
        rows = self.places.setdefault("rows", {"runs": []})
        runs = rows["runs"]
        # Rows in sequence are one run: the offset of the first, its number, how many there are.
        if runs and runs[-1][1] + runs[-1][2] == number and self._row_sheet == self._sheets():
            runs[-1][2] += 1
        else:
            runs.append([self.chars, number, 1])
        self._row_sheet = self._sheets()
        if columns is not None:
            rows.setdefault("columns", {})[f"{self._sheets()}:{number}"] = columns

    _row_sheet = -1

    def _sheets(self) -> int:
        return len(self.places.get("sheets", {"at": []})["at"])

    def lose(self, phrase: str) -> None:
        """Note that something is not in the text: `page 7 cannot be read`."""
        if phrase not in self.losses:
            self.losses.append(phrase)

    def not_shown(self, noun: str, number: int = 1) -> None:
        """Count things that the text does not show; they become one phrase, such as `3 charts not shown`."""
        if number:
            self._unshown[noun] = self._unshown.get(noun, 0) + number

    def all_losses(self) -> list[str]:
        """Return every phrase, counted things last."""
        return [*self.losses, *(f"{counted(number, noun)} not shown" for noun, number in self._unshown.items())]


@dataclass(frozen=True)
class Skipped:
    """A file inside a file that gives no document, such as an image in an archive."""

    name: str
    """Its path inside the outer file."""
    reason: str
    size: int
    hint: str = ""


Read: TypeAlias = Iterator[Draft | Skipped]
"""The documents of a file, and the files inside that give none."""


@dataclass(frozen=True)
class ReadOptions:
    """The user's options for reading."""

    encoding: str = ""
    """The encoding of every text file; empty: as detected."""
    passwords: tuple[str, ...] = field(default=(), repr=False)
    """The passwords to try on protected files."""


@dataclass(frozen=True)
class GivenFile:
    """A file as a reader gets it."""

    file: BinaryIO
    """Seekable, at its beginning."""
    name: str
    """Its name without folders."""
    size: int
    options: ReadOptions
    nested: "Callable[[str, bytes, str], Read]"
    """Reads a file that lies inside this one by its own reader, from its path inside, its bytes, and its content type
    or an empty text. Each draft's name then begins with that path. Never raises Unusable: it yields a Skipped."""
    soffice: str = ""
    """The path of LibreOffice; empty where it is not installed."""


Reader: TypeAlias = Callable[[GivenFile], Read]
"""Reads one file. It raises Unusable for one that gives nothing; any other exception means that the file is damaged."""
