"""Writes compound files (OLE2, MS-CFB) and Outlook messages in them: no library that writes them is at hand."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias, Union

Tree: TypeAlias = Mapping[str, Union[bytes, "Tree"]]
"""Streams and storages by their names."""

_SECTOR = 512
_MINI = 64
_CUTOFF = 4096
_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    left: int = _NONE
    right: int = _NONE
    child: int = _NONE
    start: int = _END
    size: int = 0


def compound_file(tree: Tree) -> bytes:
    """Return a compound file with the streams of `tree`."""
    entries = [_Entry("Root Entry", 5)]
    entries[0].child = _add(entries, tree)
    mini, mini_table = bytearray(), list[int]()
    sectors: list[bytes] = []
    table: list[int] = []
    for entry in entries[1:]:
        if entry.kind != 2:
            continue
        entry.size = len(entry.data)
        if entry.size >= _CUTOFF:
            entry.start = _place(sectors, table, entry.data)
        elif entry.data:
            entry.start = len(mini_table)
            count = -(-entry.size // _MINI)
            mini_table += [*range(entry.start + 1, entry.start + count), _END]
            mini += entry.data.ljust(count * _MINI, b"\0")
    entries[0].start, entries[0].size = _place(sectors, table, bytes(mini)), len(mini)
    mini_start = _place(sectors, table, struct.pack(f"<{len(mini_table)}I", *mini_table), _FREE)
    directory = _place(sectors, table, b"".join(map(_packed, entries)))
    fat_count = 1
    while fat_count * (_SECTOR // 4) < len(table) + fat_count:
        fat_count += 1
    fat = [*range(len(table), len(table) + fat_count)]
    table += [_FAT] * fat_count
    table += [_FREE] * (fat_count * (_SECTOR // 4) - len(table))
    packed = struct.pack(f"<{len(table)}I", *table)
    assert fat_count <= 109, "too large for a header without further tables"
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        bytes(16),
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        0,
        fat_count,
        directory,
        0,
        _CUTOFF,
        mini_start if mini_table else _END,
        -(-len(mini_table) * 4 // _SECTOR),
        _END,
        0,
    )
    header += struct.pack("<109I", *fat, *[_FREE] * (109 - fat_count))
    return header + b"".join(sectors) + packed


def _add(entries: list[_Entry], tree: Tree) -> int:
    """Add the children of a storage, and return the root of their balanced tree."""
    names = sorted(tree, key=lambda name: (len(name), name.upper()))

    def balanced(low: int, high: int) -> int:
        if low >= high:
            return _NONE
        middle = (low + high) // 2
        content = tree[names[middle]]
        index = len(entries)
        entry = _Entry(names[middle], 2, content) if isinstance(content, bytes) else _Entry(names[middle], 1)
        entries.append(entry)
        if not isinstance(content, bytes):
            entry.child = _add(entries, content)
        entry.left, entry.right = balanced(low, middle), balanced(middle + 1, high)
        return index

    return balanced(0, len(names))


def _place(sectors: list[bytes], table: list[int], data: bytes, filler: int = 0) -> int:
    if not data:
        return _END
    start = len(sectors)
    count = -(-len(data) // _SECTOR)
    padded = data.ljust(count * _SECTOR, b"\xff" if filler else b"\0")
    sectors += [padded[at : at + _SECTOR] for at in range(0, len(padded), _SECTOR)]
    table += [*range(start + 1, start + count), _END]
    return start


def _packed(entry: _Entry) -> bytes:
    name = entry.name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIII",
        name,
        len(name) + 2,
        entry.kind,
        1,
        entry.left,
        entry.right,
        entry.child,
        bytes(16),
        0,
        0,
        0,
        entry.start,
        entry.size,
        0,
    )


Value: TypeAlias = str | bytes | int | bool | datetime | list[str]


@dataclass
class Outlook:
    """An Outlook message, appointment or contact."""

    values: dict[int, Value] = field(default_factory=dict[int, Value])
    """Properties by their ids."""
    recipients: list[dict[int, Value]] = field(default_factory=list[dict[int, Value]])
    attachments: list["dict[int, Value] | Outlook"] = field(default_factory=list["dict[int, Value] | Outlook"])
    names: dict[int, int | str] = field(default_factory=dict[int, int | str])
    """The names of properties from 0x8000 on: numbers or texts."""
    codec: str = ""
    """The encoding of its texts; empty: Unicode."""

    def file(self) -> bytes:
        """Return the .msg file."""
        return compound_file({**self._tree(bytes(32)), "__nameid_version1.0": _names(self.names)})

    def _tree(self, head: bytes) -> dict[str, "bytes | Tree"]:
        tree: dict[str, bytes | Tree] = dict(_properties(self.values, self.codec, head))
        for number, one in enumerate(self.recipients):
            tree[f"__recip_version1.0_#{number:08X}"] = _properties(one, self.codec, bytes(8))
        for number, attached in enumerate(self.attachments):
            if isinstance(attached, Outlook):
                name = attached.values.get(0x0037, "")
                inner: dict[str, bytes | Tree] = dict(_properties({0x3705: 5, 0x3001: name}, self.codec, bytes(8)))
                inner["__substg1.0_3701000D"] = attached._tree(bytes(24))
            else:
                inner = dict(_properties({0x3705: 1, **attached}, self.codec, bytes(8)))
            tree[f"__attach_version1.0_#{number:08X}"] = inner
        return tree


def _properties(values: dict[int, Value], codec: str, head: bytes) -> dict[str, bytes]:
    streams: dict[str, bytes] = {}
    packed = [head]
    for number, value in values.items():
        inline = bytes(8)
        if isinstance(value, bool):
            kind, inline = 0x000B, struct.pack("<q", value)
        elif isinstance(value, int):
            kind, inline = 0x0003, struct.pack("<q", value)
        elif isinstance(value, datetime):
            kind = 0x0040
            ticks = (value - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds() * 10_000_000
            inline = struct.pack("<Q", int(ticks))
        elif isinstance(value, bytes):
            kind = 0x0102
            streams[f"__substg1.0_{number:04X}0102"] = value
        elif isinstance(value, str):
            kind = 0x001E if codec else 0x001F
            streams[f"__substg1.0_{number:04X}{kind:04X}"] = value.encode(codec or "utf-16-le")
        else:
            kind = 0x101F
            streams[f"__substg1.0_{number:04X}101F"] = struct.pack(f"<{len(value)}I", *map(len, value))
            for place, text in enumerate(value):
                streams[f"__substg1.0_{number:04X}101F-{place:08X}"] = text.encode("utf-16-le") + b"\0\0"
        packed.append(struct.pack("<HHI", kind, number, 6) + inline)
    return {**streams, "__properties_version1.0": b"".join(packed)}


def _names(names: dict[int, int | str]) -> dict[str, bytes]:
    entries, texts = b"", b""
    for number, name in names.items():
        if isinstance(name, int):
            entries += struct.pack("<IHH", name, 6, number - 0x8000)
        else:
            entries += struct.pack("<IHH", len(texts), 7, number - 0x8000)
            raw = name.encode("utf-16-le")
            texts += struct.pack("<I", len(raw)) + raw.ljust(-(-len(raw) // 4) * 4, b"\0")
    return {"__substg1.0_00020102": b"", "__substg1.0_00030102": entries, "__substg1.0_00040102": texts}
