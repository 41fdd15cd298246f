"""The files and messages that lie inside a message: their names there, and their documents."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ...draft import GivenFile, Read

_SUFFIXES = {
    "text/plain": ".txt",
    "text/html": ".html",
    "text/csv": ".csv",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/rtf": ".rtf",
    "text/xml": ".xml",
    "application/rtf": ".rtf",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "application/msword": ".doc",
    "application/ms-tnef": ".tnef",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
}
_ODD = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]')
_LONGEST_NAME = 150
_LETTER_SUFFIXES = frozenset([".eml", ".msg", ".mht"])


@dataclass
class Attached:
    """Files to be read once their message's own document is complete."""

    files: list[tuple[str, bytes, str]] = field(default_factory=list[tuple[str, bytes, str]])
    """Name, bytes, content type."""
    names: list[str] = field(default_factory=list[str])
    messages: int = 0
    """The number of messages among them."""
    _taken: set[str] = field(default_factory=set[str])

    def add(self, name: str, data: bytes, content_type: str) -> str:
        """Add a file, and return the name that it has in the message."""
        name = self.name(name, content_type)
        self.files.append((name, data, content_type))
        return name

    def add_message(self, name: str, data: bytes) -> str:
        """Add an attached message (RFC 5322), and return the name that it has in this one."""
        self.messages += 1
        if not name or name.lower().startswith("attachedmessage"):
            name = f"message-{self.messages}"
        elif PurePosixPath(name).suffix.lower() not in _LETTER_SUFFIXES:
            name += ".eml"
        name = self._free(_ODD.sub("_", name)[-_LONGEST_NAME:])
        self.files.append((name, data, "message/rfc822"))
        return name

    def name(self, name: str, content_type: str = "") -> str:
        """Return a name for a file that no other one in the message has."""
        name = _ODD.sub("_", name).strip().strip(".") or f"attachment-{len(self.names) + 1}"
        if "." not in name:
            name += _SUFFIXES.get(content_type, "")
        name = self._free(name)
        self.names.append(name)
        return name

    def documents(self, given: GivenFile, folder: str = "") -> Read:
        """Yield what their readers make of them, the first ones first."""
        for name, data, content_type in self.files:
            yield from given.nested(f"{folder}/{name}" if folder else name, data, content_type)

    def _free(self, name: str) -> str:
        stem, dot, suffix = name.rpartition(".")
        if not stem or len(suffix) > 10:
            stem, dot, suffix = name, "", ""
        stem = stem[:_LONGEST_NAME]
        found, number = f"{stem}{dot}{suffix}", 1
        while found.lower() in self._taken:
            # Doubled, so that a thousand equal names do not take a million attempts.
            number += 1 if number < 50 else len(self._taken)
            found = f"{stem} ({number}){dot}{suffix}"
        self._taken.add(found.lower())
        return found
