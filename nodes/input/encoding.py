"""Detects the encoding of bytes, and whether they are text at all. Nothing here reads files."""

import codecs
import re
from dataclasses import dataclass

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
_NUL_RUN = re.compile(rb"\x00{4,}")
"""A part of a log that was never written, because the power failed."""
_COMMON_WIDE = re.compile(
    "[\t\n\r\x20-\u06ff\u0e00-\u0e5f\u2000-\u20cf\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)

# Windows-1252 letters and signs of Western European text, each alone between plain letters.
_WESTERN = frozenset(
    "…‘’“”•–—€™\xa0¡£§©«®°±²´µ¶·»¿ªº×÷ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜßàáâãäåæçèéêëìíîïñòóôõöøùúûüœŒ".encode("cp1252")
)
RUN = re.compile(rb"[\x80-\xff]+")
"""Bytes beyond ASCII that follow each other."""

_XML = re.compile(rb"\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*[\"']([A-Za-z0-9._:-]{2,40})")
_META = re.compile(rb"<meta\s[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{2,40})", re.I)
_CODING = re.compile(rb"[ \t\f]*(?:#|//|/\*|;|%|\"|<!--|--).{0,200}?coding[:=][ \t]*([A-Za-z0-9._-]{2,40})")
_CSS = re.compile(rb'@charset "([A-Za-z0-9._:-]{2,40})"')
_COMMENT = re.compile(rb"<!--.*?-->", re.S)


def mark(head: bytes) -> tuple[str, int]:
    """Return the encoding given by a byte order mark at the beginning, and the mark's length; `("", 0)` without one."""
    return next(((name, len(sign)) for sign, name in _MARKS if head.startswith(sign)), ("", 0))


def wide(head: bytes) -> str:
    """Return UTF-16 or UTF-32 without a mark, detected by the positions of NUL bytes; else `""`.

    NULs are half of the bytes of English text, but only the line ends, blanks and digits of Chinese text.
    """
    head = head[: min(LOOKED_AT, len(head) // 2 * 2)]
    if len(head) < 4:
        return ""
    nuls = [head[at::4].count(0) for at in range(4)]
    if not any(nuls):
        return ""
    quarter = len(head) / 4
    names: list[str] = []
    if min(nuls[2], nuls[3]) > 0.9 * int(quarter) > 0 and nuls[0] < 0.05 * quarter:
        names = ["utf-32-le"]
    elif min(nuls[0], nuls[1]) > 0.9 * int(quarter) > 0 and nuls[3] < 0.05 * quarter:
        names = ["utf-32-be"]
    elif nuls[0] + nuls[2] < 0.02 * (nuls[1] + nuls[3]):
        names = ["utf-16-le"]
    elif nuls[1] + nuls[3] < 0.02 * (nuls[0] + nuls[2]):
        names = ["utf-16-be"]
    # Where few bytes are NUL, the others must be unlike text: a line of ASCII with one NUL is Chinese in UTF-16.
    # That of Cyrillic letters is ASCII too, but every other byte is a control character.
    if sum(nuls) < 0.8 * quarter and _is_utf8(head) and 5 * len(head.translate(None, _CONTROLS)) > 4 * len(head):
        return ""
    return next((name for name in names if _is_wide(head, name)), "")


def _is_wide(head: bytes, name: str) -> bool:
    """Return whether bytes are characters of few scripts in a wide encoding, with line ends, blanks or digits."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return False
    if len(head) > 400 and head.count(0) < len(head) / 400:
        return False
    return len(_COMMON_WIDE.findall(text)) > 0.95 * len(text) and not _ODD_CHARACTERS.search(text[:200])


def binary(head: bytes) -> bool:
    """Return whether bytes in a single-byte encoding (or UTF-8) cannot be text: many NULs or control characters.

    Long runs of NULs do not count, if there is text between them: logs have them after a power cut. Valid UTF-8 may
    hold more control characters: some logs and data files use them between their fields.
    """
    nuls = 0
    if 0 in head[:LOOKED_AT]:
        head, runs = _NUL_RUN.subn(b"", head)
        nuls = head.count(0, 0, LOOKED_AT)
        if not head or runs * 16 > len(head):
            return True
    head = head[:LOOKED_AT]
    if not head:
        return False
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > len(head) * (0.3 if not nuls and _is_utf8(head) else 0.05)


def binary_text(text: str) -> bool:
    """Return whether decoded text is not text: many control, private or replacement characters."""
    return len(_ODD_CHARACTERS.findall(text)) > 0.1 * len(text)


def declared(head: bytes) -> str:
    """Return the name of the encoding that a text declares in its first lines, as it is written there.

    Read are XML's declaration, HTML's `<meta>`, CSS's `@charset`, and a coding line of source code (PEP 263).
    """
    head = head[:4096]
    if found := _XML.match(head) or _CSS.match(head):
        return found[1].decode()
    for line in head.split(b"\n", 2)[:2]:
        if found := _CODING.match(line):
            return found[1].decode()
    if b"<" in head[:200] and (found := _META.search(_COMMENT.sub(b"", head))):
        return found[1].decode()
    return ""


def seven_bit(head: bytes) -> str:
    """Return ISO-2022-JP where ASCII bytes contain its shifts between character sets; else an empty text."""
    if b"\x1b$B" in head or b"\x1b$@" in head:
        return "iso2022_jp" if decodes(head, "iso2022_jp") else ""
    return ""


def decodes(data: bytes, name: str) -> bool:
    """Return whether data is valid in an encoding, except that it may end within a character."""
    try:
        codecs.getincrementaldecoder(name)(_STRICT.get(name, "strict")).decode(data)
    except UnicodeError:
        return False
    return True


_STRICT = {"cp1252": "replace"}
"""Windows-1252 lacks five bytes, which are read as Latin-1."""


@dataclass
class Evidence:
    """Counts for and against UTF-8."""

    right: int = 0
    """Continuation bytes of valid sequences: 1 for é, 2 for 日."""
    wrong: int = 0
    """Bytes that are not part of one, those of a broken sequence together."""
    good_runs: int = 0
    """Runs of bytes beyond ASCII that are valid."""
    bad_runs: int = 0
    western: bool = True
    """The invalid runs are short, and letters or signs of Western text."""
    sample: bytes = b""
    """Lines that are not valid UTF-8."""
    words: bytes = b""
    """Of those, the lines that hold no valid sequence but runs as long as words."""

    @property
    def is_utf8(self) -> bool:
        """UTF-8 in which single bytes are wrong. Text in two-byte encodings has up to half of its bytes right."""
        return self.right > 1.5 * self.wrong

    @property
    def has_utf8(self) -> bool:
        """Some of it is certainly UTF-8, though other text may not be."""
        return self.is_utf8 or self.good_runs * 4 >= self.bad_runs


_LARGEST_SAMPLE = 8 << 10
_LONGEST_LINE = 4 << 10


def evidence(block: bytes) -> Evidence:
    """Return the evidence of a block that has invalid bytes."""
    text = block.decode("utf-8", "replace")
    wrong = text.count("\ufffd") - block.count(b"\xef\xbf\xbd")
    found = Evidence(len(text.encode()) - len(text) - 2 * wrong, wrong)
    sample: list[bytes] = []
    words: list[bytes] = []
    size = 0
    at = 0
    while size < _LARGEST_SAMPLE and (run := RUN.search(block, at)):
        start = max(block.rfind(b"\n", at, run.start()) + 1, at, run.start() - _LONGEST_LINE)
        end = block.find(b"\n", run.end())
        end = len(block) if end < 0 else end + 1
        line = block[start : min(end, run.start() + _LONGEST_LINE)]
        at = start + len(line)
        if not _count_runs(line, found):
            line = _whole(line)
            sample.append(line)
            size += len(line)
            if _is_foreign(line):
                words.append(line)
    found.sample, found.words = b"".join(sample), b"".join(words)
    return found


def _count_runs(line: bytes, found: Evidence) -> bool:
    """Count a line's runs. Return whether all of it is valid UTF-8."""
    bad = 0
    for run in RUN.findall(line):
        if _is_utf8(run, whole=True):
            found.good_runs += 1
        else:
            bad += 1
            found.western = found.western and len(run) <= 2 and all(byte in _WESTERN for byte in run)
    found.bad_runs += bad
    return not bad


def _is_foreign(line: bytes) -> bool:
    """Return whether no byte beyond ASCII is valid UTF-8, and they are many at a time, as in words of other letters."""
    runs = RUN.findall(line)
    return sum(map(len, runs)) >= 3 * len(runs) and line.decode("utf-8", "ignore").isascii()


def _whole(line: bytes) -> bytes:
    """Return a line without the end that may be half a character."""
    if line.endswith(b"\n") or len(line) < _LONGEST_LINE:
        return line
    return line.rstrip(bytes(range(0x80, 0x100))) or line


def _is_utf8(block: bytes, *, whole: bool = False) -> bool:
    try:
        codecs.utf_8_decode(block, "strict", whole)
    except UnicodeDecodeError:
        return False
    return True


_LINE = re.compile(
    rb"\n(?:[^\n\x80-\xff]*+"
    rb"(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}))++[^\n\x80-\xff]*+(?=\n|\Z)"
)
"""A line of which everything beyond ASCII is valid UTF-8, and the line end before it, which makes searching fast.

The quantifiers never give back, so it is linear.
"""
_CERTAIN = re.compile(rb"[\xc2\xc3][\x80-\xbf]|\xe2[\x80-\x82]|\xef[\xb8\xbb\xbf]|\xf0\x9f")
"""Sequences that Western text in Windows-1252 does not contain, such as Ã© and â€™."""
_TWO_BYTES = frozenset(["gb18030", "big5hkscs", "cp932", "euc_jp", "cp949", "cp874"])


def least(name: str) -> int:
    """Return how many continuation bytes a line needs to count as UTF-8 in text of encoding `name`."""
    return 8 if name in _TWO_BYTES else 4 if name == "cp1252" else 2


def utf8_lines(data: bytes, name: str, need: int) -> "list[tuple[int, int]]":
    """Return where the lines are that are UTF-8 in text of encoding `name`."""
    found = [one.span() for one in _LINE.finditer(b"\n" + data) if surely_utf8(one[0], name, need)]
    # The added line end shifts all by one: a match begins where its line does.
    return [(begin, end - 1) for begin, end in found]


def surely_utf8(line: bytes, name: str, need: int) -> bool:
    """Return whether valid UTF-8 is there on purpose, rather than text of encoding `name` that happens to be valid."""
    return len(line) - len(line.decode()) >= need or (name == "cp1252" and bool(_CERTAIN.search(line)))
