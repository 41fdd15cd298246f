"""The names of encodings: as files and users write them, as Python knows them, and as people know them."""

import codecs
import re
from difflib import get_close_matches
from encodings.aliases import aliases

_MEANT = {
    # Text that declares one of these is written in the larger one, as browsers read it.
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "johab": "cp949",
    "big5": "big5hkscs",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
    "utf-8-sig": "utf-8",
}
_ALIASES = {
    "utf8mb4": "utf-8",
    "unicode": "utf-16",
    "ucs-2": "utf-16",
    "ansi": "cp1252",
    "x-sjis": "cp932",
    "x-x-big5": "big5hkscs",
    "iso-8859-8-i": "iso8859-8",
    "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",
    "ks_c_5601-1987": "cp949",
    "dos-874": "cp874",
    "x-user-defined": "cp1252",
}
_SHOWN = {
    "utf-8": "UTF-8",
    "cp932": "Shift JIS",
    "cp949": "EUC-KR",
    "cp874": "TIS-620",
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "big5": "Big5",
    "euc_jp": "EUC-JP",
    "ascii": "ASCII",
    "hz": "HZ",
}
_CODE_PAGE = re.compile(r"(?:windows|ibm|cp|x-cp|dos)[-_]?(\d{3,4})")
_NO_TEXT = frozenset(["idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"])
SEVEN_BITS = ("iso2022", "hz", "utf-7")
"""Beginnings of encodings whose bytes are all ASCII, but whose text is not."""


def lookup(label: str) -> str:
    """Return Python's name of the encoding that a file calls `label`, or an empty text for an unknown one.

    For some it is an encoding that includes the named one, which is what such files really hold.
    """
    label = label.strip().strip("\"'").lower()
    if not label or len(label) > 60 or not label.isascii():
        return ""
    name = _ALIASES.get(label, label)
    page = _CODE_PAGE.fullmatch(name)
    for tried in (name, f"cp{page[1]}") if page else (name,):
        try:
            # Python's transformations of bytes, such as base64, are no encodings of text, and are refused here.
            b"a".decode(tried, "replace")
            found = codecs.lookup(tried).name
        except (LookupError, ValueError):
            continue
        if found.replace("-", "_") not in _NO_TEXT:
            return _MEANT.get(found, found)
    return ""


def shown(name: str) -> str:
    """Return the name of an encoding as people write it: `Windows-1252`, `KOI8-R`."""
    name = codecs.lookup(name).name
    if name in _SHOWN:
        return _SHOWN[name]
    if name.startswith("cp125"):
        return f"Windows-{name[2:]}"
    if name.startswith(("utf-16", "utf-32")):
        return name[:6].upper()
    if name.startswith("iso8859"):
        return f"ISO-8859-{name[8:]}"
    return name.upper().replace("_", "-") if not name.startswith("mac") else f"Mac {name[4:].title()}"


def known_encoding(label: str) -> str:
    """Return `label`, which may be empty. Raises ValueError, with similar names, when no encoding has it."""
    if label and not lookup(label):
        known = sorted({one.replace("_", "-") for one in aliases.values()} - {"mbcs", "hex-codec", "rot-13"})
        close = get_close_matches(label.lower().replace("_", "-"), known, n=3)
        hint = f"similar are {', '.join(close)}" if close else "some are utf-8, windows-1252, koi8-r and gb18030"
        raise ValueError(f"there is no encoding named {label[:60]}; {hint}")
    return label
