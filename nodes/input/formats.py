"""The formats of files: how each is recognized, and which reader reads it.

A format without a reader is text, and is read in this process; one with `unread` is named and skipped. All others
are read in the worker (`worker.py`), because their files are hostile by assumption. Packages add formats by the entry
point group `durable_rlm.readers`, each a `Format`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import PurePath
from typing import cast

from .draft import Reader

GROUP = "durable_rlm.readers"
_OURS = "durable_rlm.nodes.input.readers"


@dataclass(frozen=True)
class Format:
    """One format."""

    kind: str
    """Its name, for people: `PDF`."""
    suffixes: tuple[str, ...] = ()
    """In lower case, with the dot; the longest that matches decides (`.tar.gz` before `.gz`)."""
    magic: tuple[bytes, ...] = ()
    """Beginnings of its files, which decide where no suffix does."""
    reader: str = ""
    """The function that reads it, as `package.module:function`; empty for text."""
    needs: tuple[str, ...] = ()
    """The modules that the reader imports and the base install does not have."""
    packages: tuple[str, ...] = ()
    """The distributions whose versions change what is read, for the key of cached texts."""
    version: int = 1
    """Raised whenever the reader's output changes, for the same key."""
    unread: str = ""
    """Why no reader reads it, completing "NAME is …" (`a PNG image`)."""
    content_types: tuple[str, ...] = ()
    """The media types by which mail and archives name it."""
    seconds: float = 60.0
    """Seconds of CPU time that the reader may use for one file."""

    def load(self) -> Reader:
        """Import the reader. Raises ImportError."""
        module, _, function = self.reader.partition(":")
        return cast("Reader", getattr(import_module(module), function))

    def missing(self) -> list[str]:
        """Return the modules that the reader needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


def _ours(kind: str, module: str, *suffixes: str, needs: tuple[str, ...] = (), **more: object) -> Format:
    function = module if ":" in module else f"{module}:read"
    return Format(kind, suffixes, reader=f"{_OURS}.{function}", needs=needs, **more)  # pyright: ignore[reportArgumentType]


TEXT = Format("text")
CSV = Format("CSV", (".csv", ".tsv"), content_types=("text/csv", "text/tab-separated-values"))
JSON_LINES = Format("JSON Lines", (".jsonl", ".ndjson"))

_BUILT_IN: tuple[Format, ...] = (
    CSV,
    JSON_LINES,
    _ours(
        "PDF",
        "pdf",
        ".pdf",
        magic=(b"%PDF-",),
        needs=("pypdf",),
        packages=("pypdf",),
        content_types=("application/pdf",),
    ),
    _ours("DOCX", "office:read_docx", ".docx", ".docm", needs=("docx",), packages=("python-docx", "lxml")),
    _ours("XLSX", "office:read_xlsx", ".xlsx", ".xlsm", needs=("openpyxl",), packages=("openpyxl",)),
    _ours("e-mail", "mail", ".eml", content_types=("message/rfc822",)),
)


@cache
def formats() -> tuple[Format, ...]:
    """Return every format: the built-in ones, then those of installed packages."""
    added = [one.load() for one in metadata.entry_points(group=GROUP)]
    return (*_BUILT_IN, *(one for one in added if isinstance(one, Format)))


def format_of(name: str, head: bytes, content_type: str = "") -> Format:
    """Return the format of a file by its name, its first bytes, and the media type that its container names.

    What nothing recognizes is TEXT, which is refused when it is decoded, if it is no text.
    """
    for suffix in _suffixes(name):
        if found := _by_suffix().get(suffix):
            return found
    for one in formats():
        if head.startswith(one.magic or (b"\0\0never\0\0",)) or content_type in one.content_types:
            return one
    return TEXT


def _suffixes(name: str) -> Iterator[str]:
    """Yield the suffixes of a name, the longest first: `.tar.gz`, `.gz`."""
    parts = [part.lower() for part in PurePath(name).suffixes]
    for first in range(max(0, len(parts) - 2), len(parts)):
        yield "".join(parts[first:])


@cache
def _by_suffix() -> dict[str, Format]:
    return {suffix: one for one in reversed(formats()) for suffix in one.suffixes}
