"""The format of a file: found by its first bytes, its name, and what its container says of it.

A format without a reader is text, and is read in the program; one with `unread` is named and skipped. All others are
read in reader processes (`reader_process.py`), because their files are hostile by assumption. Packages add formats by
the entry point group `durable_rlm.readers`, each a `Format`.
"""

import warnings
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import PurePath

from .format import Format
from .format_table import ARCHIVES, CSV, JSON_LINES, NAMED, OLD_OFFICE, READ, TEXT
from .signatures import COMPOUND, OLE, PACKAGES, ZIP, is_agent_history, is_text, suffix_of_ole, suffix_of_zip

__all__ = ["CSV", "GROUP", "JSON_LINES", "TEXT", "Format", "format_of", "formats"]

GROUP = "durable_rlm.readers"
"""The group of entry points by which packages add formats."""


@cache
def formats() -> tuple[Format, ...]:
    """Return every format: the built-in ones that are read, those of installed packages, then the unread ones."""
    return (*READ, *_added(), *NAMED)


@cache
def _added() -> tuple[Format, ...]:
    found: list[Format] = []
    for one in metadata.entry_points(group=GROUP):
        try:
            form = one.load()
        except Exception as error:  # a package of others, which must not keep the rest from being read
            warnings.warn(f"the reader {one.name} of {one.value} cannot be loaded: {error}", stacklevel=2)
            continue
        if isinstance(form, Format):
            found.append(form)
    return tuple(found)


def format_of(name: str, head: bytes, content_type: str = "") -> Format:
    """Return the format of a file by its name, its first bytes, and the media type that its container names.

    What nothing recognizes is TEXT, which is refused when it is decoded, if it is no text. Bytes that no text begins
    with decide over the name. A name that promises a format that is not read is not believed of a text.
    """
    suffix, named = _named(name)
    if named in _added():
        return named
    if head.startswith(ZIP):
        return _zipped(suffix, named, head)
    if head.startswith(OLE):
        return _compound(suffix, named, head)
    if shown := _signed(head, named):
        return shown
    if named and (named.unread or suffix in COMPOUND or suffix in ARCHIVES) and is_text(head):
        named = None
    if named and not (named is JSON_LINES and is_agent_history(name, head)):
        return named
    return _unnamed(name, head, content_type)


def _named(name: str) -> tuple[str, Format | None]:
    """Return the suffix that decides, and its format."""
    for suffix in _suffixes(name):
        if found := _by_suffix().get(suffix):
            return suffix, found
    return PurePath(name).suffix.lower(), None


def _zipped(suffix: str, named: Format | None, head: bytes) -> Format:
    """Return the format of a ZIP: an Office file may be called anything."""
    inner = _by_suffix().get(suffix_of_zip(head))
    if named and (named.unread or suffix in PACKAGES) and (inner is None or inner.unread or suffix == ".xlsb"):
        return named
    return inner or _by_suffix()[".zip"]


def _compound(suffix: str, named: Format | None, head: bytes) -> Format:
    """Return the format of an OLE file: an old Office file, a message, or a protected package."""
    if named and (suffix in COMPOUND or suffix in PACKAGES):
        return named
    return _by_suffix().get(suffix_of_ole(head), OLD_OFFICE)


def _signed(head: bytes, named: Format | None) -> Format | None:
    """Return the format whose files begin with bytes that no text begins with; `named` if it is one of several."""
    found = [(one, size) for one in formats() if (size := _matched(one, head))]
    if not found or named in [one for one, _ in found]:
        return named if found else None
    if named and named.unread and found[0][0].unread:
        # Kinds in one container, such as a camera's images in TIFF.
        return named
    return max(found, key=lambda one: (not one[0].unread, one[1]))[0]


_LETTERS_FIRST = (b"%PDF-", b"{\\rtf", b"%!PS-Adobe")
"""Beginnings that are letters and decide nevertheless; after others a text may follow, unless it has a NUL."""


def _matched(form: Format, head: bytes) -> int:
    """Return the length of the magic that a file has; 0 without one."""
    for one in form.magic:
        at, sign = (0, one) if isinstance(one, bytes) else one
        if head.startswith(sign, at) and (not _is_printable(sign) or sign in _LETTERS_FIRST or 0 in head[:4096]):
            return len(sign)
    return 0


def _is_printable(sign: bytes) -> bool:
    return all(32 <= byte < 127 for byte in sign)


def _unnamed(name: str, head: bytes, content_type: str) -> Format:
    """Return the format of a file that neither its name nor its first bytes tell."""
    for one in formats():
        if content_type in one.content_types:
            return one
    if content_type.startswith(("image/", "audio/", "video/", "font/")) and head and not is_text(head):
        return Format(content_type, unread=f"of the kind {content_type[:60]}")
    return next((one for one in formats() if one.sniff and one.sniff(name, head)), TEXT)


def _suffixes(name: str) -> Iterator[str]:
    """Yield the suffixes of a name, the longest first: `.tar.gz`, `.gz`."""
    parts = [part.lower() for part in PurePath(name).suffixes]
    for first in range(max(0, len(parts) - 2), len(parts)):
        yield "".join(parts[first:])


@cache
def _by_suffix() -> dict[str, Format]:
    return {suffix: one for one in reversed(formats()) for suffix in one.suffixes}
