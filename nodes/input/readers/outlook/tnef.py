"""Outlook containers in mail (winmail.dat, MS-OXTNEF): the formatted body, and the attachments of the message."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...draft import Draft, GivenFile, Read, Unusable
from ..charsets import codec_of_page, declared_text
from ..mail.attached import Attached
from .body import body

_LARGEST = 256 << 20
_SIGN = 0x223E9F78
_OF_ATTACHMENT = 2
_SUBJECT, _BODY, _DATA, _TITLE, _RENDERED = 0x8004, 0x800C, 0x800F, 0x8010, 0x9002
_PROPERTIES, _ATTACHMENT, _CODE_PAGE = 0x9003, 0x9005, 0x9007
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
"""Bytes of values by their type; texts, bytes and objects say their own."""
_VARIABLE = frozenset([0x1E, 0x1F, 0x102, 0x0D])
_OBJECT = 0x0D
_SEVERAL = 0x1000
_FIRST_NAMED = 0x8000
_MOST_PROPERTIES = 50_000


def read(given: GivenFile) -> Read:
    """Yield the body, if it has one, then the attachments. Raises Unusable for a container without either."""
    if given.size > _LARGEST:
        raise Unusable(f"too large (over {_LARGEST >> 20} MiB)")
    data = given.file.read(_LARGEST + 1)
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGN:
        raise Unusable("a damaged Outlook container (winmail.dat)")
    draft = Draft("Outlook container")
    content = _Content(draft)
    content.read(data)
    attached = Attached()
    marks = [f"[attachment: {attached.add(one.name, one.content, '')}]\n" for one in content.attachments if one.content]
    for one in content.attachments:
        if not one.content:
            draft.lose(f"the attachment {one.name[:200]} is empty".replace("  ", " "))
    text = body(content.item, draft)
    subject = content.item.text(0x0037) or content.item.text(0x0E1D)
    if text or subject or draft.losses:
        if subject:
            draft.meta["subject"] = subject
            draft.write(f"Subject: {subject}\n\n")
        draft.write(text + "".join(marks))
        if attached.names:
            draft.meta["attachments"] = attached.names
        yield draft
    elif not attached.files:
        raise Unusable("an Outlook container without any text")
    yield from attached.documents(given)


@dataclass
class _Item:
    """The properties of a message or an attachment."""

    draft: Draft
    page: int = 0
    values: dict[int, tuple[int, bytes]] = field(default_factory=dict[int, tuple[int, bytes]])

    def text(self, number: int) -> str:
        kind, value = self.values.get(number, (0, b""))
        if kind == 0x1F:
            return value.decode("utf-16-le", "replace").rstrip("\0")
        if kind != 0x1E:
            return ""
        try:
            return declared_text(value.rstrip(b"\0"), codec_of_page(self.page), self.draft.lose, "a text")
        except Unusable:
            return value.decode("latin-1")

    def data(self, number: int) -> bytes:
        kind, value = self.values.get(number, (0, b""))
        return value if kind in (0x102, _OBJECT) else b""

    def number(self, number: int) -> int:
        kind, value = self.values.get(number, (0, b""))
        return struct.unpack("<i", value[:4])[0] if kind == 3 and len(value) >= 4 else 0


@dataclass
class _Attachment:
    item: _Item
    title: str = ""
    data: bytes = b""

    @property
    def name(self) -> str:
        """Its name; that of a message or container inside ends so that its reader is found."""
        name = self.item.text(0x3707) or self.title or self.item.text(0x3001)
        return f"{name}.tnef" if self.item.data(0x3701)[16:20] == struct.pack("<I", _SIGN) else name

    @property
    def content(self) -> bytes:
        """Its bytes. A message inside stands behind the identifier of its interface."""
        inner = self.item.data(0x3701)
        return (inner[16:] if inner[16:20] == struct.pack("<I", _SIGN) else inner) or self.data


class _Content:
    """A container, taken apart."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.item = _Item(draft)
        self.attachments: list[_Attachment] = []

    def read(self, data: bytes) -> None:
        """Read all attributes; a damaged one ends the container."""
        at = 6
        while at + 9 <= len(data):
            level, attribute, size = struct.unpack_from("<BII", data, at)
            value = data[at + 9 : at + 9 + size]
            if len(value) < size or level not in (1, _OF_ATTACHMENT):
                self._draft.lose("the Outlook container is cut off or damaged")
            if level == _OF_ATTACHMENT:
                self._attachment(attribute & 0xFFFF, value)
            else:
                self._message(attribute & 0xFFFF, value)
            at += 9 + size + 2

    def _message(self, attribute: int, value: bytes) -> None:
        if attribute == _CODE_PAGE and len(value) >= 4:
            self.item.page = struct.unpack_from("<I", value)[0]
        elif attribute == _SUBJECT:
            self.item.values.setdefault(0x0037, (0x1E, value))
        elif attribute == _BODY:
            self.item.values.setdefault(0x1000, (0x1E, value))
        elif attribute == _PROPERTIES:
            self.item.values.update(self._properties(value))

    def _attachment(self, attribute: int, value: bytes) -> None:
        if attribute == _RENDERED or not self.attachments:
            self.attachments.append(_Attachment(_Item(self._draft, self.item.page)))
        last = self.attachments[-1]
        if attribute == _TITLE:
            last.title = _Item(self._draft, self.item.page, {0: (0x1E, value)}).text(0)
        elif attribute == _DATA:
            last.data = value
        elif attribute == _ATTACHMENT:
            last.item.values.update(self._properties(value))

    def _properties(self, data: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
        """Yield the numbers, types and values of properties; of several values of one the first."""
        try:
            yield from _parsed(data)
        except struct.error:
            self._draft.lose("properties of the Outlook container are damaged")


def _parsed(data: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    (count,) = struct.unpack_from("<I", data)
    at = 4
    for _ in range(min(count, _MOST_PROPERTIES)):
        kind, number = struct.unpack_from("<HH", data, at)
        at += 4
        if number >= _FIRST_NAMED:
            is_text, size = struct.unpack_from("<II", data, at + 16)
            at += 24 + (_padded(size) if is_text else 0)
        base = kind & ~_SEVERAL
        values = 1
        if kind & _SEVERAL or base in _VARIABLE:
            (values,) = struct.unpack_from("<I", data, at)
            at += 4
        for place in range(min(values, _MOST_PROPERTIES)):
            size = _SIZES.get(base, 4)
            if base in _VARIABLE:
                (size,) = struct.unpack_from("<I", data, at)
                at += 4
            if not place:
                yield number, (base, data[at : at + size])
            at += _padded(size)


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4
