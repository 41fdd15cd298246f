"""The properties of Outlook items (MS-OXMSG): streams of a compound file, named by number and type."""

import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ...draft import Unusable
from ..charsets import Remark, codec_of_page, declared_text

_STREAM = re.compile(r"__substg1\.0_([0-9A-F]{4})([0-9A-F]{4})(?:-([0-9A-F]{8}))?", re.IGNORECASE)
_PROPERTIES = "__properties_version1.0"
_NAMES = "__nameid_version1.0"
_TEXTS = (0x001F, 0x001E)
_MANY_TEXTS = (0x101F, 0x101E)
_BYTES = 0x0102
_MOST_NAMES = 20_000
_SECTORS = ((9, 6), (12, 6))
"""Sizes of sectors and of small ones, as powers of 2."""
_FIRST_DAY = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CompoundFile:
    """An open file, with its streams listed once."""

    ole: Any
    """Of olefile, which has no types."""
    children: dict[tuple[str, ...], list[str]]
    """The names in each storage."""
    size: int
    """Bytes of the file."""
    _damaged: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])

    @classmethod
    def of(cls, file: Any) -> "CompoundFile":
        """Open a file. Raises Unusable for one that is not a compound file."""
        import olefile

        if not olefile.isOleFile(file):
            raise Unusable("a damaged Outlook message", "It is not a compound file.")
        size = file.seek(0, 2)
        file.seek(30)
        if struct.unpack("<HH", file.read(4).ljust(4, b"\0")) not in _SECTORS:
            # A forged size of sectors makes olefile read them in gigabytes.
            raise Unusable("a damaged Outlook message", "Its sectors have no possible size.")
        file.seek(0)
        ole = olefile.OleFileIO(file)
        children: dict[tuple[str, ...], list[str]] = {}
        for path in ole.listdir(streams=True, storages=True):
            children.setdefault(tuple(path[:-1]), []).append(path[-1])
        return cls(ole, children, size)

    def stream(self, path: tuple[str, ...]) -> bytes:
        """Return a stream's bytes; nothing if it is not there, or damaged, which is remembered."""
        if path[-1] not in self.children.get(path[:-1], []):
            return b""
        try:
            if self.ole.get_size(list(path)) <= self.size:
                return bytes(self.ole.openstream(list(path)).read())
        except OSError:
            pass
        self._damaged.add(path)
        return b""

    def take_damaged(self) -> int:
        """Return how many damaged streams were met since the last time."""
        number = len(self._damaged)
        self._damaged.clear()
        return number

    @cached_property
    def names(self) -> dict[int, str]:
        """The names of properties from 0x8000 on: texts, or numbers in hexadecimal (`0x8208`)."""
        entries = self.stream((_NAMES, "__substg1.0_00030102"))
        texts = self.stream((_NAMES, "__substg1.0_00040102"))
        found: dict[int, str] = {}
        for at in range(0, min(len(entries) // 8, _MOST_NAMES) * 8, 8):
            name, kind, index = struct.unpack_from("<IHH", entries, at)
            if not kind & 1:
                found[0x8000 + index] = f"0x{name:04X}"
            elif name + 4 <= len(texts):
                (size,) = struct.unpack_from("<I", texts, name)
                found[0x8000 + index] = texts[name + 4 : name + 4 + min(size, 1_000)].decode("utf-16-le", "replace")
        return found


@dataclass
class Storage:
    """An item, a recipient or an attachment."""

    file: CompoundFile
    path: tuple[str, ...]
    remark: Remark
    page: int = 0
    """The code page of texts without Unicode, of the item to which it belongs."""
    _streams: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])

    def __post_init__(self) -> None:
        for name in self.file.children.get(self.path, []):
            if (found := _STREAM.fullmatch(name)) and not found[3]:
                self._streams.setdefault(int(found[1], 16), {})[int(found[2], 16)] = name
        self.page = self.number(0x3FFD) or self.page or self.number(0x3FDE)

    @cached_property
    def _fixed(self) -> dict[int, tuple[int, bytes]]:
        data = self.file.stream((*self.path, _PROPERTIES))
        # Behind a head of 8, 24 or 32 bytes, by what it is of.
        is_part = bool(self.path) and self.path[-1].startswith(("__recip", "__attach"))
        head = 8 if is_part else 24 if self.path else 32
        found: dict[int, tuple[int, bytes]] = {}
        for at in range(head, len(data) - 15, 16):
            kind, number = struct.unpack_from("<HH", data, at)
            found[number] = (kind, data[at + 8 : at + 16])
        return found

    @property
    def numbers(self) -> list[int]:
        """The numbers of all properties, in order."""
        return sorted({*self._streams, *self._fixed})

    def inner(self, prefix: str) -> list["Storage"]:
        """Return the storages inside whose names begin with `prefix`: recipients, attachments."""
        names = sorted(name for name in self.file.children.get(self.path, []) if name.startswith(prefix))
        return [Storage(self.file, (*self.path, name), self.remark, self.page) for name in names]

    def child(self, name: str) -> "Storage | None":
        """Return a storage inside, if it is there and has properties."""
        path = (*self.path, name)
        found = Storage(self.file, path, self.remark, self.page)
        return found if _PROPERTIES in self.file.children.get(path, []) else None

    def text(self, number: int) -> str:
        """Return a text, without the NULs at its end; several of one property separated by commas."""
        streams = self._streams.get(number, {})
        for kind in _TEXTS:
            if kind in streams:
                return self._decoded(self.file.stream((*self.path, streams[kind])), kind)
        for kind in _MANY_TEXTS:
            if kind in streams:
                prefix = f"{streams[kind]}-"
                names = sorted(name for name in self.file.children.get(self.path, []) if name.startswith(prefix))
                texts = (self._decoded(self.file.stream((*self.path, name)), kind & 0xFF) for name in names)
                return ", ".join(filter(None, texts))
        return ""

    def line(self, number: int) -> str:
        """Return a text on one line."""
        return " ".join(self.text(number).split())

    def data(self, number: int) -> bytes:
        """Return the bytes of a property."""
        name = self._streams.get(number, {}).get(_BYTES)
        return self.file.stream((*self.path, name)) if name else b""

    def has_data(self, number: int) -> bool:
        """Return whether a property has bytes."""
        return _BYTES in self._streams.get(number, {})

    def number(self, number: int) -> int:
        """Return a number; 0 without it."""
        kind, value = self._fixed.get(number, (0, bytes(8)))
        if kind == 0x0002:
            return struct.unpack("<h", value[:2])[0]
        return struct.unpack("<i", value[:4])[0] if kind == 0x0003 else value[0] if kind == 0x000B else 0

    def time(self, number: int) -> str:
        """Return a time in ISO 8601; an empty text without it."""
        kind, value = self._fixed.get(number, (0, bytes(8)))
        (ticks,) = struct.unpack("<Q", value)
        if kind != 0x0040 or not ticks:
            return ""
        try:
            return (_FIRST_DAY + timedelta(microseconds=ticks // 10)).isoformat(timespec="seconds")
        except OverflowError:
            return ""

    def _decoded(self, data: bytes, kind: int) -> str:
        if kind == 0x1F:
            return data.decode("utf-16-le", "replace").rstrip("\0")
        codec = codec_of_page(self.page)
        try:
            return declared_text(data.rstrip(b"\0"), codec, self.remark, "a text")
        except Unusable:
            return data.decode("latin-1")
