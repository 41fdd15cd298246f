"""Bytes in an encoding that a file declares as text: names of encodings are often unknown, and often wrong."""

import codecs
import re
from collections.abc import Callable

from ....state.input.encoding_names import lookup
from .. import encoding
from ..text import utf8_chunks

Remark = Callable[[str], None]

_ASCII = frozenset(["ascii", "us-ascii", "ansi_x3.4-1968", "unicode-1-1-utf-8"])
"""Names of ASCII, which programs declare for UTF-8 too."""
_WESTERN = frozenset(["iso8859-1", "cp1252", "iso8859-15", "latin-1"])
_NUMBERED = re.compile(r"(?:x-)?(?:windows|cp|ibm|ms|codepage)[-_ ]?(\d{3,5})")
_MOST_WRONG = 0.05
"""The share of characters that may be wrong in a declared encoding before it is not believed."""


def codec_named(declared: str) -> str:
    """Return the name of Python's codec for a declared encoding; an empty text if there is none for text."""
    name = declared.strip().strip("\"'").lower()
    name = re.split(r"[\s;,\"'*]", name, maxsplit=1)[0][:60]
    if numbered := _NUMBERED.fullmatch(name):
        name = codec_of_page(int(numbered[1])) or name
    return "utf-8" if name in _ASCII else lookup(name)


_PAGES = {
    0: "",
    42: "",
    437: "cp437",
    708: "iso-8859-6",
    932: "cp932",
    936: "gb18030",
    949: "cp949",
    950: "cp950",
    1200: "utf-16-le",
    1201: "utf-16-be",
    1361: "johab",
    10000: "mac_roman",
    10001: "cp932",
    10002: "cp950",
    10003: "cp949",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10008: "gb18030",
    10029: "mac_latin2",
    10081: "mac_turkish",
    20127: "utf-8",
    20866: "koi8_r",
    20932: "euc_jp",
    20936: "gb18030",
    21866: "koi8_u",
    28591: "cp1252",
    28598: "iso-8859-8",
    38598: "iso-8859-8",
    50220: "iso2022_jp",
    50221: "iso2022_jp",
    50222: "iso2022_jp",
    50225: "iso2022_kr",
    50227: "gb18030",
    51932: "euc_jp",
    51936: "gb18030",
    51949: "cp949",
    52936: "hz",
    54936: "gb18030",
    65000: "utf-7",
    65001: "utf-8",
}


def codec_of_page(page: int) -> str:
    """Return Python's codec for a Windows code page; an empty text if there is none."""
    if page in _PAGES:
        return _PAGES[page]
    name = f"iso-8859-{page - 28590}" if 28591 <= page <= 28605 else f"cp{page}"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def declared_text(data: bytes, declared: str, remark: Remark, what: str = "text") -> str:
    """Return bytes as text by the encoding that is declared for them, which may be empty.

    `remark` gets a phrase when another one was used, or when bytes did not fit. Raises Unusable for bytes that are
    no text.
    """
    mark, length = encoding.mark(data[:4])
    if mark:
        return data[length:].decode(mark, "replace")
    if data.isascii() and 0x1B not in data and b"~{" not in data and not declared:
        return data.decode("ascii")
    codec = codec_named(declared)
    if not codec:
        return _undeclared(data, declared, remark, what)
    if codec in _WESTERN and not data.isascii() and _is_utf8(data):
        remark(f"{what} read as UTF-8, though {declared[:40]} is declared")
        return data.decode("utf-8")
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        pass
    if codec == "utf-8":
        return guessed_text(data, _worded(remark, what, "though UTF-8 is declared" if declared else ""))
    if codec == "cp1252":
        # The five bytes that Windows-1252 lacks.
        return "".join(_western(byte) for byte in data) if len(data) < 1 << 20 else data.decode("latin-1")
    if _is_utf8(data):
        remark(f"{what} read as UTF-8, though {declared[:40]} is declared")
        return data.decode("utf-8")
    text = data.decode(codec, "replace")
    wrong = text.count("\ufffd")
    if wrong <= max(2, _MOST_WRONG * len(text)):
        remark(f"some bytes of the {what} are not {declared[:40]} and are shown as U+FFFD")
        return text
    return guessed_text(data, _worded(remark, what, f"though {declared[:40]} is declared"))


def guessed_text(data: bytes, remark: Remark) -> str:
    """Return bytes as text by a guess of their encoding. Raises Unusable for bytes that are no text."""
    return b"".join(chunk for chunk, _ in utf8_chunks(iter([data]), remark)).decode()


def _undeclared(data: bytes, declared: str, remark: Remark, what: str) -> str:
    why = f"as {declared[:40]} is unknown" if declared else "as none is declared"
    for stateful in ("iso2022_jp", "iso2022_kr", "iso2022_jp_2"):
        if b"\x1b$" in data and data.isascii():
            try:
                text = data.decode(stateful)
            except UnicodeError:
                continue
            remark(f"{what} read as {stateful.upper()} ({why})")
            return text
    said: list[str] = []
    text = guessed_text(data, said.append)
    for phrase in said:
        remark(f"{what}: {phrase} ({why})" if phrase.startswith("encoding guessed") else phrase)
    if declared and not said and not data.isascii():
        remark(f"{what} read as UTF-8 ({why})")
    return text


def _worded(remark: Remark, what: str, why: str) -> Remark:
    def say(phrase: str) -> None:
        remark(f"{what}: {phrase}" + (f" ({why})" if why else ""))

    return say


def _western(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
