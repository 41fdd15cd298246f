"""The streams of a PDF, checked before an engine reads them, because engines pass over damage without a word.

Every stream that may hold text is unpacked once, with a limit. Found are: streams that do not unpack, streams that
unpack to too much (which are made unreadable for the engines, whose memory they would fill), and page contents with
unfinished strings or operators without operands, behind which engines drop text. One pass, linear in the file.
"""

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

LARGEST_STREAM = 128 << 20
"""Bytes of one stream when unpacked."""
_MOST_SLOW_TEXT = 8 << 20
"""Bytes of ASCII85 that are decoded for the check; Python is slow at it."""

DAMAGED = "damaged stream"
TOO_LARGE = f"over {LARGEST_STREAM >> 20} MiB when unpacked"
WRONG = "checksum"
SYNTAX = "syntax"

_STREAM = re.compile(rb"(?<!end)stream(?:\r\n|\n|\r)")
_NUMBER = re.compile(rb"(\d{1,10})\s{1,4}\d{1,5}\s{0,4}$")
_LENGTH = re.compile(rb"/Length\s{0,4}(\d{1,10})(?!\d|\s{1,4}\d{1,5}\s{1,4}R)")
_FILTER = re.compile(rb"/Filter\s{0,8}(\[[^\]]*\]|/[^\s/<>\[\]()]+|\d+\s+\d+\s+R)")
_NAME = re.compile(rb"/([^\s/\[\]]+)")
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_WITHOUT_TEXT = re.compile(
    rb"/Subtype\s{0,4}/(?:Image|XML|Type1C|CIDFontType0C|OpenType)|/Type\s{0,4}/(?:Metadata|XRef)|/Length1\b|/Alternate"
)
_FONT = re.compile(rb"/Length1\b|/Subtype\s{0,4}/(?:Type1C|CIDFontType0C|OpenType)")
_PAGE = re.compile(rb"/Type\s{0,4}/Page(?![A-Za-z])")
_IMAGE = re.compile(rb"/Subtype\s{0,4}/Image\b")
_MASK = re.compile(rb"/SMask\s{1,4}\d")
_DESCRIBED = re.compile(rb"/Type\s{0,4}/FontDescriptor\b")
_HELD = re.compile(rb"/FontFile[23]?\b")
_FEATURES = (b"/Collection", b"/OCProperties", b"/Alt")
_SHORT_NAMES = {b"Fl": b"FlateDecode", b"A85": b"ASCII85Decode", b"AHx": b"ASCIIHexDecode", b"LZW": b"LZWDecode"}
_EXPANDING = {b"FlateDecode", b"LZWDecode", b"RunLengthDecode", b"BrotliDecode"}

_STRING = re.compile(rb"\((?:[^()\\]++|\\.)*+\)", re.DOTALL)
_HEX = re.compile(rb"<[0-9A-Fa-f\s]*+>")
_COMMENT = re.compile(rb"%[^\r\n]*")
_ARRAY = re.compile(rb"\[[^\[\]]*+\]")
_WITHOUT_NUMBER = re.compile(rb"(?:^|[A-Za-z*'\"])\s+T[mdD](?=\s|$)")
_SHOWS_TEXT = re.compile(rb"\bBT\b")
_DRAWING = re.compile(rb"/Subtype\s{0,4}/Form\b|/PatternType\b")
_TYPED = re.compile(rb"/(?:Type|Subtype|FunctionType|ShadingType|N)\b")
"""Entries that a page's content does not have."""
_TOKEN = re.compile(rb"[-+]*(?:\d+\.?\d*|\.\d+)(?:-\d*)?|[-+.]|/.*", re.DOTALL)
_OPERATORS = frozenset(
    b"b B b* B* BDC BI BMC BT BX c cm CS cs d d0 d1 Do DP EI EMC ET EX f F f* G g gs h i ID j J K k l m M MP n q Q re "
    b"RG rg ri s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W W* y ' \" true false null".split()
)


class Unpacked(NamedTuple):
    """The bytes that a stream unpacks to."""

    data: bytes
    """As far as it unpacks."""
    flaw: str = ""
    """DAMAGED, TOO_LARGE or WRONG; empty for a whole one."""
    known: bool = True
    """False if one of its filters is not known here."""


@dataclass
class Streams:
    """The result of the check."""

    data: bytes
    """The file, streams that are too large made unreadable."""
    flaws: dict[int, str] = field(default_factory=dict[int, str])
    """DAMAGED, TOO_LARGE, WRONG or SYNTAX by object number."""
    unknown: bool = False
    """True if some streams could not be checked."""
    page_objects: int = 0
    """Objects that say they are pages; older versions of pages count too."""
    drawings: set[int] = field(default_factory=set[int])
    """Objects with text that several pages may show."""
    images: int = 0
    """Images in the file, without the masks that belong to others."""
    fonts: int = 0
    """Fonts that the file describes and does not hold."""
    features: set[bytes] = field(default_factory=set[bytes])
    """Names that occur in the file: `/Collection`, `/OCProperties`, `/Alt`."""

    def look_at(self, objects: bytes) -> None:
        """Count what objects say that they are, in the file itself or in a stream of objects."""
        self.page_objects += len(_PAGE.findall(objects))
        self.fonts += len(_DESCRIBED.findall(objects)) - len(_HELD.findall(objects))
        self.features |= {name for name in _FEATURES if name in objects}


class _Stream(NamedTuple):
    number: int
    entries: bytes
    entries_at: int
    start: int
    end: int


def check(data: bytes) -> Streams:
    """Check every stream of a file that is not encrypted."""
    found = Streams(data)
    found.images = max(0, len(_IMAGE.findall(data)) - len(_MASK.findall(data)))
    found.look_at(data)
    patches: list[_Stream] = []
    slow = _MOST_SLOW_TEXT
    for stream in _streams(data):
        filters = filters_of(stream.entries)
        if _WITHOUT_TEXT.search(stream.entries) and not _FONT.search(stream.entries):
            continue
        if b"ASCII85Decode" in filters:
            slow -= stream.end - stream.start
            if slow < 0:
                found.unknown = True
                continue
        flaw = _flaw(found, stream, filters)
        # A later version of an object replaces the earlier one.
        found.flaws.pop(stream.number, None)
        if flaw:
            found.flaws[stream.number] = flaw
        if flaw == TOO_LARGE:
            patches.append(stream)
    if patches:
        found.data = _without(data, patches)
    return found


def _flaw(found: Streams, stream: _Stream, filters: list[bytes]) -> str:
    unpacked = unpack(found.data[stream.start : stream.end], filters)
    found.unknown = found.unknown or not unpacked.known
    if unpacked.flaw or not unpacked.known:
        return unpacked.flaw
    if b"/ObjStm" in stream.entries:
        found.look_at(unpacked.data)
        return ""
    is_drawing = _DRAWING.search(stream.entries) is not None
    if (not is_drawing and _TYPED.search(stream.entries)) or not _SHOWS_TEXT.search(unpacked.data):
        return ""
    if is_drawing:
        found.drawings.add(stream.number)
    return "" if is_sound(unpacked.data) else SYNTAX


def _streams(data: bytes) -> Iterator[_Stream]:
    at = 0
    while found := _STREAM.search(data, at):
        begin = data.rfind(b"obj", max(at, found.start() - (64 << 10)), found.start())
        start = found.end()
        head = data[max(at, begin - 24) : begin] if begin >= 0 else b""
        number = _NUMBER.search(head)
        if begin < 0 or not number:
            at = start
            continue
        entries = data[begin + 3 : found.start()]
        end = _end(data, start, entries)
        if end < 0:
            return
        yield _Stream(int(number[1]), entries, begin + 3, start, end)
        at = end


def _end(data: bytes, start: int, entries: bytes) -> int:
    """Return where a stream ends; -1 when neither its length nor the word `endstream` says it."""
    if length := _LENGTH.search(entries):
        end = start + int(length[1])
        if data[end : end + 16].lstrip().startswith(b"endstream"):
            return end
    return data.find(b"endstream", start)


def filters_of(entries: bytes) -> list[bytes]:
    """Return the full names of the filters in a stream's dictionary; one unknown name for an indirect one."""
    found = _FILTER.search(entries)
    if not found:
        return []
    if not found[1].startswith((b"[", b"/")):
        return [b"?"]
    named = _ESCAPED.sub(lambda code: bytes([int(code[1], 16)]), found[1])
    names: list[bytes] = _NAME.findall(named)
    return [_SHORT_NAMES.get(name, name) for name in names]


def unpack(data: bytes, filters: list[bytes]) -> Unpacked:
    """Unpack a stream as far as possible."""
    flaw = ""
    for number, name in enumerate(filters):
        if name == b"FlateDecode":
            data, damage = inflate(data)
            flaw = flaw or damage
        elif name == b"ASCII85Decode":
            try:
                data = base64.a85decode(data.partition(b"~")[0])
            except ValueError:
                return Unpacked(b"", DAMAGED)
        elif name == b"ASCIIHexDecode":
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", data.partition(b">")[0])
            data = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        else:
            # Two unknown ones that expand, behind each other, have no limit.
            rest = [one for one in filters[number:] if one in _EXPANDING]
            return Unpacked(b"", TOO_LARGE if len(rest) > 1 else "", known=False)
        if flaw == TOO_LARGE:
            return Unpacked(b"", flaw)
    return Unpacked(data, flaw)


def inflate(data: bytes) -> tuple[bytes, str]:
    """Return what Flate data unpacks to, as far as it does, and DAMAGED, TOO_LARGE, WRONG or an empty text.

    The checksum at the end may be missing, as for every PDF program. Another one than that of the data is WRONG.
    """
    data = data.lstrip(b"\r\n")
    if not data:
        return b"", ""
    sound = len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
    unpacker = zlib.decompressobj(-15)
    try:
        whole = unpacker.decompress(data[2:], LARGEST_STREAM + 1)
    except zlib.error:
        return _inflated_before_fault(data[2:]), DAMAGED
    if len(whole) > LARGEST_STREAM:
        return b"", TOO_LARGE
    # Acrobat ends streams where its compressor has written everything, without saying that this is the end.
    is_whole = unpacker.eof or data.rstrip(b"\r\n").endswith(b"\0\0\xff\xff")
    if not sound or not is_whole:
        return whole, DAMAGED
    checksum = unpacker.unused_data[:4]
    is_right = len(checksum) < 4 or checksum in (zlib.adler32(whole).to_bytes(4, "big"), b"\0\0\0\0")
    return whole, "" if is_right else WRONG


def _inflated_before_fault(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15)
    out: list[bytes] = []
    size = 0
    # Small steps, because a call that fails returns nothing of what it unpacked.
    for at in range(0, len(data), 16):
        try:
            out.append(unpacker.decompress(data[at : at + 16]))
        except zlib.error:
            break
        size += len(out[-1])
        if size > LARGEST_STREAM:
            break
    return b"".join(out)


def _without(data: bytes, streams: list[_Stream]) -> bytes:
    """Return the file with filters renamed to unknown ones, nothing moved."""
    patched = bytearray(data)
    for stream in streams:
        entries = re.sub(
            rb"/Filter\s{0,8}(?:\[[^\]]*\]|/[^\s/<>\[\]()]+)",
            lambda found: found[0].replace(b"Decode", b"Refuse").replace(b"/Fl", b"/Xx"),
            stream.entries,
        )
        patched[stream.entries_at : stream.entries_at + len(entries)] = entries
    return bytes(patched)


def is_sound(content: bytes) -> bool:
    """Return whether every string, array and operator of a page's content is what the format allows."""
    rest = _without_inline_images(content)
    if rest is None:
        return False
    for _ in range(8):
        rest, replaced = _STRING.subn(b" ", rest)
        if not replaced or (b"(" not in rest and b")" not in rest):
            break
    rest = _HEX.sub(b" ", _COMMENT.sub(b" ", rest))
    for _ in range(4):
        rest, replaced = _ARRAY.subn(b" 0 ", rest)
        if not replaced:
            break
    if any(mark in rest for mark in (b"(", b")", b"[", b"]", b"{", b"}")) or rest.count(b"<<") != rest.count(b">>"):
        return False
    rest = rest.replace(b"<<", b" ").replace(b">>", b" ").replace(b"/", b" /").replace(b"\0", b" ")
    if _WITHOUT_NUMBER.search(rest):
        return False
    return all(_TOKEN.fullmatch(token) for token in set(rest.split()) - _OPERATORS)


def _without_inline_images(content: bytes) -> bytes | None:
    """Return the content without the data of images in it; None if one of them has no end."""
    if b"BI" not in content:
        return content
    kept: list[bytes] = []
    at = 0
    for found in re.finditer(rb"(?<![^\s\]>)])BI\s", content):
        if found.start() < at:
            continue
        data = re.compile(rb"\sID\s").search(content, found.end())
        end = re.compile(rb"\sEI(?=\s|$)").search(content, data.end()) if data else None
        if not end:
            return None
        kept.append(content[at : found.start()])
        at = end.end()
    return b" ".join([*kept, content[at:]])
