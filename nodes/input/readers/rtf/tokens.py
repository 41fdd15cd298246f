"""The tokens of RTF 1.9, and the encodings of its fonts. Linear, without recursion, tolerant of anything."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..charsets import codec_of_page

_TOKEN = re.compile(
    rb"\\([a-zA-Z]++)(-?\d{1,10})? ?"  # a control word
    rb"|\\'([0-9a-fA-F]{2})"
    rb"|\\([^a-zA-Z])"  # a control symbol
    rb"|([{}])"
    rb"|[\r\n\0]++"
    rb"|([^\\{}\r\n\0]++)",
    re.DOTALL,
)


class Token(NamedTuple):
    """One token."""

    kind: str
    """`word`, `byte`, `symbol`, `open`, `close`, `text`, `data`."""
    name: str = ""
    """Of a control word or symbol."""
    number: int | None = None
    """The parameter of a control word."""
    data: bytes = b""
    """The bytes of text, of one character in hexadecimal, or of binary data."""
    start: int = 0
    end: int = 0


def tokens(data: bytes) -> Iterator[Token]:
    """Yield the tokens of a file. Line ends are no text; a lonely backslash at the end is dropped."""
    at = 0
    while found := _TOKEN.search(data, at):
        at = found.end()
        kind = found.lastindex
        if kind in (1, 2):
            number = int(found[2]) if found[2] else None
            name = found[1].decode()
            if name == "bin":
                stop = min(len(data), at + max(0, number or 0))
                yield Token("data", data=data[at:stop], start=found.start(), end=stop)
                at = stop
            else:
                yield Token("word", name, number, start=found.start(), end=at)
        elif kind == 3:
            yield Token("byte", data=bytes([int(found[3], 16)]), start=found.start(), end=at)
        elif kind == 4:
            yield Token("symbol", found[4].decode("latin-1"), data=found[4], start=found.start(), end=at)
        elif kind == 5:
            yield Token("open" if found[5] == b"{" else "close", start=found.start(), end=at)
        elif kind == 6:
            yield Token("text", data=found[6], start=found.start(), end=at)


_PAGE_OF_CHARSET = {
    77: 10000,
    78: 10001,
    79: 10003,
    80: 10008,
    81: 10002,
    83: 10005,
    84: 10004,
    85: 10006,
    86: 10081,
    87: 10021,
    88: 10029,
    89: 10007,
    128: 932,
    129: 949,
    130: 1361,
    134: 936,
    136: 950,
    161: 1253,
    162: 1254,
    163: 1258,
    177: 1255,
    178: 1256,
    186: 1257,
    204: 1251,
    222: 874,
    238: 1250,
    254: 437,
    255: 850,
    0: 1252,
}

SYMBOLS = "symbol"
"""Stands for the encoding of fonts that have signs instead of letters."""


def codec_of_charset(charset: int) -> str:
    """Return the codec of a font's `\\fcharset`: an empty text for the file's own, SYMBOLS for fonts of signs."""
    if charset == 2:
        return SYMBOLS
    return codec_of_page(_PAGE_OF_CHARSET[charset]) if charset in _PAGE_OF_CHARSET else ""


SIGNS = {
    "tab": "\t",
    "emdash": "—",
    "endash": "–",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "qmspace": "\u2005",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "zwj": "\u200d",
    "zwnj": "\u200c",
    "ltrmark": "\u200e",
    "rtlmark": "\u200f",
    "~": "\u00a0",
    "_": "-",
    "\\": "\\",
    "{": "{",
    "}": "}",
}
"""Control words and symbols that stand for characters."""

_SYMBOL_FONT = dict(
    zip(
        range(0x41, 0x7B),
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_ ̅αβχδεφγηιϕκλμνοπθρστυϖωξψζ".replace(" ̅", "̅"),
        strict=False,
    )
) | dict(
    zip(
        range(0xA1, 0xFF),
        "ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\uf8ff〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        strict=False,
    )
)


def symbol_text(data: bytes) -> str:
    """Return characters of the Symbol font; those of other fonts of signs are close to none of them, but bullets."""
    return "".join(_SYMBOL_FONT.get(byte, chr(byte)) for byte in data)
