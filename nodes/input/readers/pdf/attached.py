"""The files inside a PDF: attached to the document, or to a place on a page."""

import ctypes
from dataclasses import dataclass, field
from typing import Any

from ...draft import Draft

_LARGEST = 64 << 20
_LARGEST_TOGETHER = 128 << 20
_MOST = 5_000


@dataclass
class Attached:
    """Collects the files until the document itself is written."""

    draft: Draft
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Their bytes by their paths inside the PDF, each path once."""
    size: int = 0

    def add(self, name: str, data: bytes | None) -> None:
        """Keep one file; note one that cannot be taken out (None)."""
        path = _path(name)
        if data is None or self.size + len(data) > _LARGEST_TOGETHER or len(self.files) >= _MOST:
            reason = "damaged" if data is None else "too large"
            self.draft.lose(f"attachment {path[:100]} not read ({reason})")
            return
        if self.files.get(path) == data:
            return
        self.size += len(data)
        unique, number = path, 2
        while unique in self.files:
            unique, number = f"{number}-{path}", number + 1
        self.files[unique] = data


def collect(document: Any, attached: Attached) -> None:
    """Add the files that are attached to the whole document."""
    from pypdfium2 import raw

    number = document.count_attachments()
    if number > _MOST:
        attached.draft.not_shown("attachment", number - _MOST)
    for one in range(min(number, _MOST)):
        attached.add(*file_of(raw, raw.FPDFDoc_GetAttachment(document, one)))


def file_of(raw: Any, attachment: Any) -> tuple[str, bytes | None]:
    """Return an attachment's name and bytes; None for bytes that cannot be taken out."""
    if not attachment:
        return "attachment", None
    units = raw.FPDFAttachment_GetName(attachment, None, 0) // 2
    name = "attachment"
    if 1 < units < 10_000:
        letters = (raw.FPDF_WCHAR * units)()
        raw.FPDFAttachment_GetName(attachment, letters, units * 2)
        name = bytes(letters).decode("utf-16-le", "replace").rstrip("\0")
    size = ctypes.c_ulong()
    if not raw.FPDFAttachment_GetFile(attachment, None, 0, size) or size.value > _LARGEST:
        return name, None
    if not size.value:
        return name, b""
    buffer = ctypes.create_string_buffer(size.value)
    written = ctypes.c_ulong()
    if not raw.FPDFAttachment_GetFile(attachment, buffer, size.value, written):
        return name, None
    return name, buffer.raw


def _path(name: str) -> str:
    """Return a name as a relative path without anything that leads out of it."""
    name = "".join(letter if letter.isprintable() else " " for letter in name.replace("\\", "/"))
    parts = [part.strip() for part in name.split("/")]
    return "/".join(part for part in parts if part.strip(".")) or "attachment"
