"""Mailboxes (mbox): one document a message, `archive.mbox/0001`, and what is attached to it.

A message begins at a line `From ADDRESS DATE` after an empty line, when a header follows; anything else is text, even
`From our side …` at the beginning of a paragraph. The standard library's reader cuts there, and drops that line. A
mailbox is scanned twice, for the number of messages and then for the messages, of which one at a time is in memory.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .....state.wording import megabytes
from ...draft import Draft, GivenFile, Read, Skipped, Unusable
from ...mail_signs import begins_header, separator
from .mail import documents
from .mime import Headers, plain_text, split_head

_BLOCK = 4 << 20
_LOOKAHEAD = 4_096
"""Bytes behind a possible separator that decide whether it is one."""
_LARGEST = 96 << 20
"""Bytes of one message; decoding takes a few times as much memory."""
_LONGEST_HEAD = 1 << 20
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_NAMED_HEADERS = frozenset(["from", "date", "subject", "message-id", "received", "to"])
_OLD = b"*mbx*"


@dataclass(frozen=True)
class _Extent:
    """The place of a message in the file, with its separator."""

    start: int
    body: int
    """The beginning of its headers."""
    end: int


def read(given: GivenFile) -> Read:
    """Yield the messages, each followed by what is attached to it. Raises Unusable for a file without any."""
    file = given.file
    if file.read(len(_OLD)) == _OLD:
        raise Unusable("a mailbox in the format MBX of UW IMAP", "Convert it to mbox first.")
    begins = _strict
    number, before = _counted(file, begins)
    if not number:
        begins = _loose
        number, before = _counted(file, begins)
    if not number:
        raise Unusable("a damaged mailbox", "No message begins in it.") if given.size else Unusable("empty")
    digits = max(4, len(str(number)))
    said = [f"{megabytes(before)} before the first message not shown"] if before else []
    for count, extent in enumerate(_extents(file, begins), 1):
        yield from _message(given, extent, f"{count:0{digits}}", said)
        said = []


def _message(given: GivenFile, extent: _Extent, name: str, losses: list[str]) -> Read:
    size = extent.end - extent.body
    if size > _LARGEST:
        yield Skipped(name, f"too large (over {_LARGEST >> 20} MiB)", size)
        return
    given.file.seek(extent.start)
    data = given.file.read(extent.end - extent.start)
    envelope = data[: extent.body - extent.start].strip()
    data = data[extent.body - extent.start :]
    headers, body = split_head(data, 0, len(data))
    # The empty line at the end belongs to the mailbox.
    data = data[:body] + _QUOTED.sub(rb"\1", data[body:])
    facts: dict[str, object] = {"offset": extent.start, "length": extent.end - extent.start}
    if sender := plain_text(envelope.removeprefix(b"From ")):
        facts["envelope"] = sender[:500]
    if _is_deleted(headers):
        facts["deleted"] = True
    try:
        yield from documents(given, data, name, facts=facts, losses=losses)
    except Unusable:
        # No known header; the text is still a person's.
        draft = Draft("e-mail", name)
        draft.meta |= facts
        draft.lose("the message has no headers")
        draft.write(plain_text(data).replace("\r\n", "\n"))
        yield draft


def _is_deleted(headers: Headers) -> bool:
    """Return whether the mail program has marked the message as deleted and keeps it until it cleans up."""
    mozilla = headers.text("x-mozilla-status")[:8]
    try:
        return bool(int(mozilla, 16) & 8) if mozilla else "D" in headers.text("x-status")
    except ValueError:
        return False


_Begins = Callable[[bytes, int], int]
"""Returns where the headers begin of the message whose separator begins at an offset; -1 if there is no separator."""


def _strict(data: bytes, at: int) -> int:
    end = separator(data, at)
    if end < 0:
        return -1
    # Some archives quote or repeat the line.
    while data.startswith((b">From ", b"From "), end) and (stop := data.find(b"\n", end)) >= 0:
        end = stop + 1
    return end if begins_header(data, end) else -1


def _loose(data: bytes, at: int) -> int:
    """Accept a separator without a date, when headers that only mail has follow it."""
    stop = data.find(b"\n", at, at + 1_000)
    if stop < 0:
        return -1
    headers, _ = split_head(data, stop + 1, min(len(data), stop + _LOOKAHEAD))
    known = {name for name, _ in headers.pairs} & _NAMED_HEADERS
    return stop + 1 if begins_header(data, stop + 1) and len(known) >= 2 else -1


def _counted(file: BinaryIO, begins: _Begins) -> tuple[int, int]:
    """Return how many messages there are, and the bytes of text before the first one."""
    first = -1
    number = 0
    for number, extent in enumerate(_extents(file, begins), 1):  # noqa: B007
        first = extent.start if first < 0 else first
    if first <= 0:
        return number, 0
    file.seek(0)
    return number, first if file.read(min(first, _BLOCK)).strip() else 0


def _extents(file: BinaryIO, begins: _Begins) -> Iterator[_Extent]:
    """Yield where each message lies."""
    start = body = -1
    skip_to = 0
    for found, headers in _separators(file, begins):
        if found < skip_to:
            continue
        if start >= 0:
            yield _Extent(start, body, found)
        start, body = found, headers
        skip_to = _stated_end(file, body)
    if start >= 0:
        yield _Extent(start, body, file.seek(0, 2))


def _separators(file: BinaryIO, begins: _Begins) -> Iterator[tuple[int, int]]:
    """Yield where each separator begins, and where the headers behind it do. The file may be moved meanwhile."""
    base = 0
    data = b""
    is_last = False
    while not is_last:
        file.seek(base + len(data))
        more = file.read(_BLOCK)
        is_last = not more
        data += more
        at = 0
        while True:
            found = 0 if not base and not at and data.startswith(b"From ") else data.find(b"\nFrom ", at) + 1
            if not found and not (not base and not at and data.startswith(b"From ")):
                at = len(data)
                break
            if not is_last and found + _LOOKAHEAD > len(data):
                at = found - 1
                break  # decided with the next block
            if _after_empty_line(data, found, base) and (headers := begins(data, found)) >= 0:
                yield base + found, base + headers
            at = max(found, 1)
        # Line ends and a beginning of the sign may be cut by the block.
        keep = max(0, min(at, len(data)) - 8)
        base, data = base + keep, data[keep:]


def _after_empty_line(data: bytes, at: int, base: int) -> bool:
    before = data[max(0, at - 4) : at]
    return at + base == 0 or before.endswith((b"\n\n", b"\n\r\n")) or (at == len(before) and not before.strip())


def _stated_end(file: BinaryIO, body: int) -> int:
    """Return where a message ends by its Content-Length, if a message or the end of the file follows there; else 0."""
    file.seek(body)
    head = file.read(16 << 10)
    if b"ontent-" not in head and b"ONTENT-" not in head:
        return 0
    headers, start = split_head(head, 0, len(head))
    stated = headers.first("content-length").strip()
    if not (stated.isascii() and stated.isdigit() and len(stated) < 13) or start >= len(head):
        return 0
    end = body + start + int(stated)
    file.seek(end)
    following = file.read(_LOOKAHEAD)
    if not following:
        return end if file.seek(0, 2) == end else 0
    separated = len(following) - len(following.lstrip(b"\r\n"))
    return end if following[separated:] == b"" or separator(following, separated) >= 0 else 0
