"""Detects the encoding of bytes, and whether they are text at all. Nothing here reads files."""

import codecs
import re

from charset_normalizer import from_bytes

LOOKED_AT = 64 << 10
"""Bytes at the beginning that decide whether a file is text."""

# UTF-32's mark begins with UTF-16's, so it is tested first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Control characters that text does not contain; tab, line ends, form feed, backspace and escape (terminal logs) may be.
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\b\x1b") + b"\x7f"
_ODD_CHARACTERS = re.compile("[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ue000-\uf8ff\ufffd]")

# Windows-1252 letters and signs of Western European text. Not included are the bytes that Polish, Czech, Turkish or
# Icelandic text would use: those are distinguished by charset-normalizer.
_WESTERN = frozenset(
    "…‘’“”•–—€™\xa0¡£§©«®°±²´µ¶·»¿ªº×÷ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüœŒ".encode("cp1252")
)
_RUN = re.compile(rb"[\x80-\xff]+")
_ONE_BYTE = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"]
_TWO_BYTES = ["cp932", "euc_jp", "gb18030", "big5", "cp949"]


def mark(head: bytes) -> tuple[str, int]:
    """Return the encoding given by a byte order mark at the beginning, and the mark's length; `("", 0)` without one."""
    return next(((name, len(sign)) for sign, name in _MARKS if head.startswith(sign)), ("", 0))


def wide(head: bytes) -> str:
    """Return UTF-16 or UTF-32 without a mark, detected by the positions of NUL bytes; else `""`."""
    head = head[: min(LOOKED_AT, len(head) // 4 * 4)]
    if len(head) < 4:
        return ""
    shares = [head[at::4].count(0) / (len(head) // 4) for at in range(4)]
    for name, full, empty in (
        ("utf-32-le", (2, 3), (0,)),
        ("utf-32-be", (0, 1), (3,)),
        ("utf-16-le", (1, 3), (0, 2)),
        ("utf-16-be", (0, 2), (1, 3)),
    ):
        if all(shares[at] > 0.5 for at in full) and all(shares[at] < 0.05 for at in empty):
            try:
                text = codecs.getincrementaldecoder(name)().decode(head)
            except UnicodeDecodeError:
                return ""
            return "" if binary_text(text) else name
    return ""


def binary(head: bytes) -> bool:
    """Return whether bytes in a single-byte encoding (or UTF-8) cannot be text: NULs, or many control characters.

    Valid UTF-8 may hold more control characters: some logs and data files use them between their fields.
    """
    head = head[:LOOKED_AT]
    if not head:
        return False
    if 0 in head:
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > len(head) * (0.3 if _is_utf8(head) else 0.05)


def binary_text(text: str) -> bool:
    """Return whether decoded text is not text: many control, private or replacement characters."""
    return len(_ODD_CHARACTERS.findall(text)) > 0.1 * len(text)


def damaged_utf8(block: bytes) -> bool:
    """Return whether `block` is UTF-8 with a few wrong bytes, rather than another encoding."""
    text, used = codecs.utf_8_decode(block, "replace", False)
    wrong = text.count("\ufffd")
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    return used > 0 and right > 4 * wrong


def guess(block: bytes, at: int) -> str:
    """Return the most likely encoding of `block`, whose byte `at` is the first that is not ASCII: never UTF-8."""
    start = max(0, at - 4096)
    end = min(len(block), at + (32 << 10))
    # A sample must not end within a two-byte character.
    while end < len(block) and end > at + 1 and block[end - 1] >= 0x80:
        end -= 1
    sample = block[start:end]
    if _western(sample):
        return "cp1252"
    best = from_bytes(sample, cp_isolation=_ONE_BYTE + _TWO_BYTES).best()
    return best.encoding if best and best.encoding not in ("ascii", "utf_8") else "cp1252"


def _western(sample: bytes) -> bool:
    """Return whether a sample is Western text: accents one at a time between many plain letters."""
    runs = _RUN.findall(sample)
    high = sum(map(len, runs))
    return (
        high <= 0.25 * len(sample)
        and all(len(run) <= 2 for run in runs)
        and all(byte in _WESTERN for run in runs for byte in run)
    )


def _is_utf8(block: bytes) -> bool:
    try:
        codecs.utf_8_decode(block, "strict", False)
    except UnicodeDecodeError:
        return False
    return True
