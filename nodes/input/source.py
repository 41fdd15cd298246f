"""Sources of text, lists of them, and notes on those left out."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from ...state.errors import RlmError

Check = Callable[[], None]
"""Called regularly by long work; raises IngestStopped when the caller wants it to end."""

# Line breaks and marks that reorder text would let a file's name forge lines of a prompt or a terminal.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class IngestStopped(RlmError):
    """Reading the input was stopped before it was complete; nothing of it was kept."""

    exit_code = 130


def stopper(cancelled: Callable[[], bool]) -> Check:
    """Return a check that raises IngestStopped once `cancelled()` is true."""

    def check() -> None:
        if cancelled():
            raise IngestStopped("Reading the input was stopped.", hint="Start the run again.")

    return check


@dataclass(frozen=True)
class Limits:
    """The limits of one run's input; exceeding them is an InputError, never a silent truncation."""

    files: int = 100_000
    bytes: int = 4 << 30
    """Bytes of the files, and of the text made from them."""
    depth: int = 100
    """Levels of folders below the one that was named."""

    @property
    def entries(self) -> int:
        """Folder entries that are examined, those left out included."""
        return 20 * self.files


@dataclass(frozen=True, slots=True)
class FileSource:
    """A regular file. `name` is what the model sees, `path` is absolute and has no links in it."""

    name: str
    path: str
    explicit: bool = True
    """True when the user named this very file, so that leaving it out is an error."""
    size: int = 0
    """Bytes, when it was found."""


@dataclass(frozen=True, slots=True)
class TextSource:
    """Text given from Python."""

    name: str
    text: str
    explicit: bool = True


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Standard input, or another stream of bytes; it is read once."""

    name: str
    stream: BinaryIO
    explicit: bool = True


Source = FileSource | TextSource | StreamSource


class Notes:
    """Notes on sources that were left out or read in an unusual way, grouped by reason."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[list[str], int]] = {}
        self._counted: dict[str, int] = {}

    def add(self, what: str, name: str) -> None:
        """Note that `what` happened to `name`; the first few names of each kind are kept."""
        names, count = self._named.get(what, ([], 0))
        if len(names) < 5:
            names.append(name)
        self._named[what] = (names, count + 1)

    def count(self, what: str, number: int = 1) -> None:
        """Note only how often `what` happened."""
        self._counted[what] = self._counted.get(what, 0) + number

    def lines(self, most: int = 20) -> list[str]:
        """Return the notes as sentences, at most `most`; the last one says how many more there are."""
        lines = [_line(what, names, count) for what, (names, count) in self._named.items()]
        lines += self.counted()
        if len(lines) > most:
            lines[most - 1 :] = [f"and {len(lines) - most + 1:,} more notes"]
        return lines

    def counted(self) -> list[str]:
        """Return a sentence on what was only counted, if there was anything."""
        if not self._counted:
            return []
        return ["left out: " + ", ".join(f"{count:,} {what}" for what, count in self._counted.items())]


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file or folder that was not given to a reader."""

    path: str
    """Its name, as names of sources are."""
    reason: str
    """Completes "NAME is …", or names what it is."""
    size: int = 0


class Skipped:
    """The files that were left out on the way, each with its reason: the first of them, and the number of all."""

    def __init__(self, notes: Notes, most: int = 10_000) -> None:
        self.notes = notes
        self._most = most
        self.files: list[SkippedFile] = []
        self.total = 0

    def add(self, path: str, reason: str, size: int = 0) -> None:
        """Note that the file at `path`, which is showable, is left out."""
        self.total += 1
        if len(self.files) < self._most:
            self.files.append(SkippedFile(path, reason, size))
        self.notes.add(f"skipped ({reason})", path)


def _line(what: str, names: list[str], count: int) -> str:
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return f"{what}: {', '.join(names)}{more}"


@dataclass(frozen=True)
class Sources:
    """The whole input of a run, in order."""

    items: Sequence[Source]
    several: bool
    """True for a folder, a pattern or a list, even when it has only one document."""
    notes: Notes = field(default_factory=Notes)
    limits: Limits = field(default_factory=Limits)
    skipped: list[SkippedFile] = field(default_factory=list[SkippedFile])
    """Files left out before reading: links, pipes, unreadable folders. At most 10,000 of them."""


def from_text(text: str) -> Sources:
    """Return the source of one text given from Python."""
    return Sources([TextSource("text", text)], several=False)


def from_texts(texts: Iterable[tuple[str, str]]) -> Sources:
    """Return the sources of documents given from Python, as `(name, text)`."""
    return Sources([TextSource(showable(name), text) for name, text in texts], several=True)


def showable(name: str) -> str:
    """Return `name` as one line of valid Unicode, so that it can be used in a prompt and in JSON."""
    return _UNSHOWABLE.sub("\ufffd", name)
