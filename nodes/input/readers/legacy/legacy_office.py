"""Old office documents (Word before 2007, PowerPoint before 2007, Works, WordPerfect) through LibreOffice.

They are converted to the present format and read by its reader, never to plain text, which would glue struck words to
inserted ones and drop comments.
"""

import io
from dataclasses import replace
from pathlib import PurePath

from ...draft import Draft, GivenFile, Read, Unusable
from ...formats import Format, format_of
from ..office.zip_package import unprotected
from ..slides import powerpoint
from ..word import document
from .converter import convert

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_MODERN = {"docx": document.read, "pptx": powerpoint.read}
"""The readers of the formats that old ones are converted to."""
_NEWER = {"docx": "Word", "pptx": "PowerPoint"}
_ENCRYPTED = 0x0100
"""The bit of a Word document's flags that says that it is encrypted."""


def read_text(given: GivenFile) -> Read:
    """Yield an old text document. Raises Unusable without LibreOffice, and for a protected file."""
    return _read(given, "docx", "an old Word document" if _is_word(given.name) else "an old text document")


def read_slides(given: GivenFile) -> Read:
    """Yield an old presentation. Raises Unusable without LibreOffice, and for a protected file."""
    return _read(given, "pptx", "an old PowerPoint presentation")


def _is_word(name: str) -> bool:
    return PurePath(name).suffix.lower() in (".doc", ".dot")


def _read(given: GivenFile, to: str, noun: str) -> Read:
    data = given.file.read()
    given.file.seek(0)
    read = _MODERN[to]
    if data.startswith(_OLE) and _checked(data, noun):
        data = unprotected(given, PurePath(given.name).suffix[1:].upper()).read()
    if data.startswith(_ZIP) and b"[Content_Types].xml" in data:
        # A present-day file under an old name.
        yield from read(replace(given, file=io.BytesIO(data)))
        return
    if other := _other_format(data):
        yield from other.load()(replace(given, file=io.BytesIO(data)))
        return
    if not given.soffice:
        raise Unusable(
            f"{noun}, which needs LibreOffice",
            f"Install LibreOffice, or save the file in the present format of {_NEWER[to]}.",
        )
    suffix = PurePath(given.name).suffix.lower() or ".doc"
    made = convert(given.soffice, data, suffix, to)
    for one in read(replace(given, file=io.BytesIO(made), size=len(made))):
        if isinstance(one, Draft) and not one.name:
            one.meta["kind"] = suffix[1:].upper()
            one.meta["converted"] = f"by LibreOffice to {to.upper()}"
        yield one


def _other_format(data: bytes) -> Format | None:
    """Return the format of a file that is RTF or HTML under the name of an old document, as some programs save them."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    suffix = ".rtf" if head.startswith(b"{\\rtf") else ".html" if head.startswith((b"<html", b"<!doctype html")) else ""
    form = format_of(f"file{suffix}", data[:1024]) if suffix else None
    return form if form and form.reader else None


def _checked(data: bytes, noun: str) -> bool:
    """Return whether a compound file says that it is encrypted. Raises Unusable for one that is damaged.

    LibreOffice would take a damaged one for a text, and give its bytes as words.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            if ole.exists("EncryptedPackage"):
                return True
            if ole.exists("WordDocument"):
                flags = ole.openstream("WordDocument").read(12)[10:12]
                return bool(int.from_bytes(flags, "little") & _ENCRYPTED)
            # PowerPoint's stream `Current User` begins with a token that tells whether the file is encrypted.
            if ole.exists("Current User"):
                return ole.openstream("Current User").read(16)[12:16] == b"\xdf\xc4\xd1\xf3"
    except Exception as error:  # damaged directories raise anything
        raise Unusable(f"{noun} that is damaged", f"({type(error).__name__}: {str(error)[:200]})") from error
    return False
