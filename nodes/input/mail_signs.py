"""Recognizes mail by its content: mailboxes and Maildir messages mostly have names without a suffix."""

import re
from pathlib import PurePath

_SEPARATOR = re.compile(
    rb"From [^\r\n]{0,300}?\b\d{1,2}:\d\d(?::\d\d)?(?:[ \t]+[A-Za-z0-9+\-()]{1,10}){0,3}[ \t]+\d{4}\b[^\r\n]{0,60}\r?\n"
    rb"|From [^\r\n]{0,300}?\b\d{4}[ \t]+\d{1,2}:\d\d(?::\d\d)?\b[^\r\n]{0,60}\r?\n"
)
_HEADER = re.compile(rb"([!-9;-~]{1,100})[ \t]*:(?=[ \t\r\n])")
_MAIL = frozenset(
    [b"from", b"to", b"subject", b"date", b"message-id", b"received", b"return-path", b"delivered-to", b"mime-version"]
)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,5}")
_MAILDIR = re.compile(r"\d{6,}\.[^/]+")


def separator(data: bytes, at: int) -> int:
    """Return the end of the line that begins a message of a mailbox (`From`, an address, a date); else -1."""
    found = _SEPARATOR.match(data, at)
    return found.end() if found else -1


def begins_header(data: bytes, at: int) -> bool:
    """Return whether a header line begins at `at`."""
    return _HEADER.match(data, at) is not None


def is_mailbox(name: str, head: bytes) -> bool:
    """Return whether a file that begins with `head` is a mailbox (mbox)."""
    del name
    head = head.lstrip(b"\r\n")
    end = separator(head, 0)
    return end > 0 and len(_names(head, end) & _MAIL) >= 2


def is_message(name: str, head: bytes) -> bool:
    """Return whether a file is a message: named as in a Maildir or without a suffix, with headers."""
    base = PurePath(name).name
    is_filed = bool(_MAILDIR.fullmatch(base)) or PurePath(name).parent.name in ("cur", "new")
    if _SUFFIX.fullmatch(PurePath(base).suffix) and not is_filed:
        return False
    names = _names(head, 0)
    return len(names & _MAIL) >= (2 if is_filed else 3) and bool(
        names & {b"from", b"received", b"message-id", b"return-path"}
    )


def _names(head: bytes, at: int) -> set[bytes]:
    """Return the names of the headers that begin at `at`, in lower case."""
    names: set[bytes] = set()
    for line in head[at : at + (16 << 10)].split(b"\n"):
        if found := _HEADER.match(line):
            names.add(found[1].lower())
        elif not line.strip() or not line.startswith((b" ", b"\t")):
            break
    return names
