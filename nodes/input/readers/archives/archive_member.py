"""A file in an archive, as the readers of ZIP and tar give it; and the names under which such files are shown."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_DRIVE = re.compile(r"^[A-Za-z]:")
_LONGEST_NAME = 1_000
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

LARGEST_UNPACKED = 1 << 30
"""Bytes of all files in an archive together."""
LARGEST_MEMBER = 256 << 20
"""Bytes of one file in an archive."""
MOST_MEMBERS = 100_000
DAMAGED = "damaged in the archive; what could be unpacked is shown"


@dataclass
class Member:
    """A file in an archive."""

    name: str
    """As the archive has it."""
    size: int
    """Bytes when unpacked, as declared."""
    reason: str = ""
    """Why it is not to be unpacked, such as `a symbolic link`; empty for a file."""
    unpack: Callable[[], bytes] = bytes
    """Returns its bytes. Raises Unusable, or any other exception for a damaged one."""
    is_whole: bool = True
    """False once `unpack` returned the first part of a damaged file."""


def shown_name(name: str) -> str:
    """Return a name as a relative path without `.`, `..` and characters that cannot be shown; may be empty."""
    if "/" not in name:
        name = name.replace("\\", "/")
    parts = [part for part in _DRIVE.sub("", name).split("/") if part not in ("", ".", "..")]
    return _UNSHOWABLE.sub("\ufffd", "/".join(parts))[-_LONGEST_NAME:].lstrip("/")


def hidden_part(name: str) -> str:
    """Return the path down to the first hidden folder or file; empty for a name without one."""
    parts = name.split("/")
    for number, part in enumerate(parts):
        if part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini"):
            return "/".join(parts[: number + 1])
    return ""
