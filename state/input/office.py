"""What DOCX and XLSX have in common: a zip archive that must be looked at before it is unpacked."""

from typing import BinaryIO
from zipfile import ZipFile

from .source import Unusable

LARGEST_UNPACKED = 256 << 20
"""Bytes of all parts together. `zipfile` never unpacks more than a part declares, so the declared sum holds."""
_MOST_PARTS = 20_000
_OLD_OR_PROTECTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def look_inside(file: BinaryIO) -> None:
    """Raises Unusable for a protected file or one that would unpack too far, BadZipFile for no archive at all."""
    head = file.read(8)
    file.seek(0)
    if head == _OLD_OR_PROTECTED:
        raise Unusable(
            "password-protected or in an old Office format", "Save a copy without a password, as DOCX or XLSX."
        )
    with ZipFile(file) as archive:
        parts = archive.infolist()
        if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED:
            raise Unusable(
                f"too large when unpacked (over {LARGEST_UNPACKED >> 20} MiB)", "Save it as plain text or CSV first."
            )
        if any(part.flag_bits & 1 for part in parts):
            raise Unusable("password-protected", "Save a copy without the password.")
    file.seek(0)
