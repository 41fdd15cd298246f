"""DOCX as text. It is a zip archive, which is checked before it is unpacked.

One line per paragraph, a table's cells separated by tabs. The XML is traversed here, because python-docx's paragraphs
leave out content controls, tracked insertions and text boxes.
"""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast
from zipfile import ZipFile

from ..draft import Draft, GivenFile, Read, Unusable

LARGEST_UNPACKED = 256 << 20
"""Bytes of all parts together. `zipfile` never unpacks more than a part declares, so the declared sum is a limit."""
_MOST_PARTS = 20_000
_OLD_OR_PROTECTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def look_inside(file: BinaryIO) -> None:
    """Raise Unusable for a protected file or one too large when unpacked, BadZipFile when it is not an archive."""
    head = file.read(8)
    file.seek(0)
    if head == _OLD_OR_PROTECTED:
        raise Unusable("password-protected or in an old Office format", "Save a copy without a password, as DOCX.")
    with ZipFile(file) as archive:
        parts = archive.infolist()
        if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED:
            raise Unusable(
                f"too large when unpacked (over {LARGEST_UNPACKED >> 20} MiB)", "Save it as plain text or CSV first."
            )
        if any(part.flag_bits & 1 for part in parts):
            raise Unusable("password-protected", "Save a copy without the password.")
    file.seek(0)


def read_docx(given: GivenFile) -> Read:
    """Yield the document."""
    draft = Draft("DOCX")
    for piece in paragraphs(given.file, draft.meta):
        draft.write(piece)
    yield draft


_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def paragraphs(file: BinaryIO, meta: dict[str, Any]) -> Iterator[str]:
    """Yield the text of each paragraph and table. `meta` gains `title`, if there is one.

    Raises ImportError without python-docx, Unusable for a protected file or one that is too large.
    """
    from docx import Document

    look_inside(file)
    document = Document(file)
    if title := document.core_properties.title.strip():
        meta["title"] = title
    for block in cast("Iterable[Any]", document.element.body):
        yield _text(block)


def _text(element: Any) -> str:
    name = _name(element)
    if name == "t":
        return str(element.text or "")
    if name in _SIGNS:
        # A `tab` outside a run is only the definition of a tab stop.
        return _SIGNS[name] if _name(element.getparent()) == "r" else ""
    if name == "Fallback":
        return ""  # repeats the text of its sibling `Choice`
    parts = [_text(child) for child in element]
    if name == "tc":
        return " ".join("".join(parts).split())
    if name == "tr":
        cells = [part for part, child in zip(parts, element, strict=True) if _name(child) in ("tc", "sdt")]
        return "\t".join(cells) + "\n"
    return "".join(parts) + ("\n" if name == "p" else "")


def _name(element: Any) -> str:
    """Return the element's name without its namespace; an empty text for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
