"""The formats of files: how each is recognized, and which reader reads it.

A format without a reader is text, and is read in this process; one with `unread` is named and skipped. All others
are read in the worker (`worker.py`), because their files are hostile by assumption. Packages add formats by the entry
point group `durable_rlm.readers`, each a `Format`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import PurePath
from typing import cast

from .draft import Reader
from .mail_signs import is_mailbox, is_message
from .signatures import COMPOUND, OLE, PACKAGES, ZIP, is_agent_history, is_html, is_text, suffix_of_ole, suffix_of_zip
from .unread_formats import UNREAD, Magic

GROUP = "durable_rlm.readers"
_OURS = "durable_rlm.nodes.input.readers"


@dataclass(frozen=True)
class Format:
    """One format."""

    kind: str
    """Its name, for people: `PDF`."""
    suffixes: tuple[str, ...] = ()
    """In lower case, with the dot; the longest that matches decides (`.tar.gz` before `.gz`)."""
    magic: tuple[Magic, ...] = ()
    """Beginnings of its files, or bytes at an offset. They decide over a suffix, unless the file may be a text that
    begins with these letters."""
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
    sniff: Callable[[str, bytes], bool] | None = None
    """Tells by name and first bytes if a file is of this format, where no suffix and no `magic` decides."""

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

_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".tbz", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz")
_ARCHIVE_MAGIC = (*ZIP, b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", (257, b"ustar"))
_ARCHIVE_TYPES = ("application/zip", "application/x-zip-compressed", "application/gzip", "application/x-tar")

_BUILT_IN: tuple[Format, ...] = (
    CSV,
    JSON_LINES,
    _ours(
        "PDF",
        "pdf",
        ".pdf",
        magic=(b"%PDF-",),
        needs=("pypdfium2", "pypdf", "fontTools"),
        packages=("pypdfium2", "pypdf", "fonttools"),
        version=2,
        content_types=("application/pdf",),
    ),
    _ours(
        "DOCX",
        "word",
        *(".docx", ".docm", ".dotx", ".dotm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
            "application/vnd.ms-word.document.macroenabled.12",
        ),
    ),
    _ours(
        "ODT",
        "open_document",
        *(".odt", ".ott", ".fodt", ".odm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.text-template",
            "application/vnd.oasis.opendocument.text-flat-xml",
        ),
    ),
    _ours(
        "DOC",
        "legacy_office:read_text",
        *(".doc", ".dot", ".wps", ".wpd", ".wri", ".sxw", ".hwp", ".abw", ".lwp", ".602", ".wpt"),
        needs=("lxml", "olefile", "msoffcrypto"),
        packages=("lxml",),
        content_types=("application/msword", "application/vnd.ms-works", "application/vnd.wordperfect"),
        seconds=300.0,
    ),
    _ours(
        "PPT",
        "legacy_office:read_slides",
        *(".ppt", ".pps", ".pot", ".sxi"),
        needs=("lxml", "olefile", "msoffcrypto"),
        packages=("lxml",),
        content_types=("application/vnd.ms-powerpoint",),
        seconds=300.0,
    ),
    _ours(
        "XLSX",
        "excel",
        *(".xlsx", ".xlsm", ".xltx", ".xltm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.ms-excel.sheet.macroenabled.12",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
        ),
    ),
    _ours(
        "XLSB",
        "excel_binary:read_xlsb",
        ".xlsb",
        needs=("python_calamine",),
        packages=("python-calamine",),
        content_types=("application/vnd.ms-excel.sheet.binary.macroenabled.12",),
    ),
    _ours(
        "XLS",
        "excel_binary:read_xls",
        *(".xls", ".xlt", ".xlw", ".xla"),
        needs=("xlrd", "python_calamine"),
        packages=("xlrd", "python-calamine"),
        content_types=("application/vnd.ms-excel",),
    ),
    _ours(
        "ODS",
        "open_document_sheets",
        *(".ods", ".ots", ".fods"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=("application/vnd.oasis.opendocument.spreadsheet",),
    ),
    _ours(
        "ODP",
        "open_document_slides",
        *(".odp", ".otp", ".fodp"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=("application/vnd.oasis.opendocument.presentation",),
    ),
    _ours(
        "PPTX",
        "powerpoint",
        *(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
    ),
    _ours(
        "HTML",
        "html",
        *(".html", ".htm", ".xhtml", ".shtml", ".mht", ".mhtml"),
        sniff=is_html,
        content_types=("text/html", "application/xhtml+xml"),
    ),
    _ours("EPUB", "epub", ".epub", content_types=("application/epub+zip",)),
    _ours("notebook", "notebook", ".ipynb", content_types=("application/x-ipynb+json",)),
    _ours("agent history", "agent_history", sniff=is_agent_history),
    _ours("archive", "archive", *_ARCHIVES, magic=_ARCHIVE_MAGIC, seconds=300.0, content_types=_ARCHIVE_TYPES),
    _ours("e-mail", "mail", ".eml", ".emlx", sniff=is_message, content_types=("message/rfc822", "message/news")),
    _ours("mailbox", "mailbox", ".mbox", ".mbx", sniff=is_mailbox, seconds=300.0, content_types=("application/mbox",)),
    _ours(
        "Outlook message",
        "outlook",
        ".msg",
        ".oft",
        needs=("olefile",),
        packages=("olefile",),
        content_types=("application/vnd.ms-outlook",),
    ),
    _ours("RTF", "rtf", ".rtf", magic=(b"{\\rtf",), content_types=("text/rtf", "application/rtf")),
    _ours(
        "Outlook container",
        "tnef",
        ".tnef",
        magic=(b"\x78\x9f\x3e\x22",),
        content_types=("application/ms-tnef", "application/vnd.ms-tnef"),
    ),
)
_UNREAD = tuple(Format(what, tuple(suffixes.split()), magic, unread=what) for what, suffixes, magic in UNREAD)
_OLD_OFFICE = Format("OLE", unread="an old Office file of a kind that its name does not tell")


@cache
def formats() -> tuple[Format, ...]:
    """Return every format: the built-in ones that are read, those of installed packages, then the unread ones."""
    return (*_BUILT_IN, *_added(), *_UNREAD)


@cache
def _added() -> tuple[Format, ...]:
    added = [one.load() for one in metadata.entry_points(group=GROUP)]
    return tuple(one for one in added if isinstance(one, Format))


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
    if named and (named.unread or suffix in COMPOUND or suffix in _ARCHIVES) and is_text(head):
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
    return _by_suffix().get(suffix_of_ole(head), _OLD_OFFICE)


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
