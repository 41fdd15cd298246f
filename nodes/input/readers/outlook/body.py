"""The body of an Outlook item: plain text, HTML, or RTF, which is compressed and may only wrap HTML."""

import re
import struct
from typing import Protocol

from ...draft import Draft, Unusable
from ..charsets import Remark, codec_of_page, declared_text
from ..mail.mail_text import better, html_text
from ..rtf.document import write_rtf
from ..rtf.html import is_wrapped_html, wrapped_html

_META_CHARSET = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?([\w.:-]{1,60})", re.IGNORECASE)


class Properties(Protocol):
    """The properties of an item by their numbers, whatever it is stored in."""

    def text(self, number: int) -> str:
        """Return a text; empty without it."""
        ...

    def data(self, number: int) -> bytes:
        """Return bytes; empty without them."""
        ...

    def number(self, number: int) -> int:
        """Return a number; 0 without it."""
        ...


def body(item: Properties, draft: Draft) -> str:
    """Return the body with the content, as text. Losses go into the draft."""
    plain = item.text(0x1000).replace("\r\n", "\n").strip("\n")
    plain = f"{plain.rstrip()}\n" if plain.strip() else ""
    other = _html(item, draft)
    if not other and (packed := item.data(0x1009)):
        other = _rich(unpacked_rtf(packed, draft.lose), draft, is_only=not plain)
    if not plain or not other:
        return plain or other
    text, missing = better(plain, other)
    if missing:
        draft.lose(f"another version of the body not shown; words of it that differ: {missing:,}")
    return text


def _html(item: Properties, draft: Draft) -> str:
    if data := item.data(0x1013):
        declared = codec_of_page(item.number(0x3FDE))
        if not declared and (found := _META_CHARSET.search(data[:8_000])):
            declared = found[1].decode()
        try:
            return html_text(declared_text(data, declared, draft.lose, "the body"), draft.not_shown)
        except Unusable:
            draft.lose("the HTML body is damaged")
            return ""
    text = item.text(0x1013)
    return html_text(text, draft.not_shown) if text else ""


def _rich(rtf: bytes, draft: Draft, *, is_only: bool) -> str:
    """Return the text of an RTF body. Its facts and losses count only where it is the only version."""
    if not rtf:
        return ""
    if is_wrapped_html(rtf):
        return html_text(wrapped_html(rtf), draft.not_shown)
    scratch = Draft("RTF")
    try:
        write_rtf(rtf, scratch)
    except Unusable:
        draft.lose("the RTF body is damaged")
        return ""
    if is_only or scratch.losses:
        for loss in scratch.all_losses():
            draft.lose(loss)
    return scratch.text


def unpacked_rtf(data: bytes, remark: Remark) -> bytes:
    """Return the RTF of a compressed body (MS-OXRTFCP), of a damaged one what can be decoded."""
    if len(data) < 16:
        return b""
    packed_size, size, kind = struct.unpack_from("<II4s", data)
    packed = data[16 : max(16, packed_size + 4)]
    if kind == b"MELA":
        return packed
    if kind != b"LZFu":
        remark("the body is damaged (compressed RTF)")
        return b""
    unpacked = _lzfu(packed)
    if len(unpacked) < size:
        remark("the body is cut off (compressed RTF)")
    return unpacked


def _lzfu(packed: bytes) -> bytes:
    """Return what the compression stands for: bytes, and references into a window of the last 4,096."""
    window = bytearray(_BEGINNING.ljust(_WINDOW, b" "))
    at, write = 0, len(_BEGINNING)
    unpacked = bytearray()
    while at < len(packed):
        control = packed[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                piece = packed[at : at + 1]
                at += 1
                window[write : write + 1] = piece or b" "
                write = (write + len(piece)) % _WINDOW
                unpacked += piece
                continue
            reference = int.from_bytes(packed[at : at + 2].ljust(2, b"\0"))
            at += 2
            start = reference >> 4
            if start == write or at > len(packed):
                return bytes(unpacked)  # the mark of the end
            for offset in range((reference & 15) + 2):
                # Byte by byte: a reference may reach into what it writes.
                window[write] = window[(start + offset) % _WINDOW]
                unpacked.append(window[write])
                write = (write + 1) % _WINDOW
    return bytes(unpacked)


_WINDOW = 4096
_BEGINNING = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
"""The content of the window at first."""
