"""The parts of a message (RFC 5322, 2045 to 2047, 2231): headers, nested bodies, transfer encodings.

Own code, not `email`: its parser recurses (a message nested 3,000 times ends it), its parameters take quadratic time,
it reports damage by raising, and it stops at the first padding of base64. Here everything is linear, parts are ranges
of one `bytes`, and what is damaged is decoded as far as it goes.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote_to_bytes

from ...draft import Unusable
from ..charsets import declared_text, guessed_text

Remark = Callable[[str], None]

_HEADER = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_KNOWN = re.compile(
    rb"(?:content-|mime-version|from|to|cc|subject|date|message-id|received|x-|reply-to|in-reply-to|references|"
    rb"return-path|delivered-to|sender|list-|dkim-)[!-9;-~]*[ \t]*:",
    re.IGNORECASE,
)
_WORD = re.compile(r"=\?([^?\s]{1,80}+)\?([bBqQ])\?([^?]*+)\?=")
_PARAMETER = re.compile(r';\s*+([^\s=;"]{1,100}+)\s*+=\s*+("(?:[^"\\]++|\\.)*+"?|[^;]*+)', re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*?(\d{0,4})(\*?)")
_LONGEST_VALUE = 100_000
"""Characters of a header's value that are looked at."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,3}")
_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t]*\Z)")
_SOFT_END = re.compile(rb"=[ \t]+(?=\r?\n)")


def _ignored(_: str) -> None:
    """Leave a remark unsaid: about headers, which are mostly read right."""


@dataclass(frozen=True)
class Headers:
    """The headers of a message or part, in order, undecoded."""

    pairs: list[tuple[str, bytes]]
    """Names in lower case."""
    damaged: int = 0
    """Lines between them that are not headers."""

    def __contains__(self, name: str) -> bool:
        return any(one == name for one, _ in self.pairs)

    def text(self, name: str, separator: str = ", ") -> str:
        """Return the values of a header, decoded, on one line; an empty text without one."""
        return separator.join(text for one, value in self.pairs if one == name and (text := header_text(value)))

    def first(self, name: str) -> str:
        """Return the first value of a header as it is written."""
        return next((plain_text(value) for one, value in self.pairs if one == name), "")


def split_head(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """Return the headers that begin at `start`, and where the body begins."""
    found: list[tuple[str, list[bytes]]] = []
    damaged = 0
    at = start
    while at < end:
        stop = data.find(b"\n", at, end)
        after = end if stop < 0 else stop + 1
        line = data[at : min(after, at + (1 << 20))].rstrip(b"\r\n")
        if not line:
            at = after
            break
        if match := _HEADER.match(line):
            found.append((match[1].decode().lower(), [line[match.end() :]]))
        elif found and line[:1] in (b" ", b"\t"):
            found[-1][1].append(line)
        elif found and _KNOWN.match(data, after, end):
            damaged += 1
        elif found or not line.startswith((b"From ", b">From ")):
            break
        at = after
    return Headers([(name, b" ".join(lines)) for name, lines in found], damaged), at


def plain_text(value: bytes) -> str:
    """Return bytes of a header as text, encoded words as they are."""
    value = value[:_LONGEST_VALUE]
    if value.isascii():
        return value.decode("ascii")
    try:
        return guessed_text(value, _ignored)
    except Unusable:
        return value.decode("latin-1")


def header_text(value: bytes) -> str:
    """Return a header's value on one line, its encoded words decoded."""
    return " ".join(decoded_words(plain_text(value)).split())


def decoded_words(text: str) -> str:
    """Return text with its encoded words (`=?utf-8?q?…?=`) decoded, damaged ones as far as possible."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run: tuple[str, list[bytes]] = ("", [])
    at = 0
    for word in _WORD.finditer(text):
        charset = word[1].partition("*")[0].lower()
        between = text[at : word.start()]
        if at and not between.strip():
            between = ""  # blanks between encoded words are not part of the text
        if run[1] and (between or charset != run[0]):
            # A character may be cut between two words, so that neighbours are decoded together.
            pieces.append(_charset_text(b"".join(run[1]), run[0]))
            run = ("", [])
        pieces.append(between)
        run = (charset, [*run[1], _word_bytes(word[2], word[3])]) if len(run[1]) < 50 else (charset, run[1])
        if len(run[1]) == 50:
            pieces.append(_charset_text(b"".join(run[1]), charset))
            run = ("", [])
        at = word.end()
    if run[1]:
        pieces.append(_charset_text(b"".join(run[1]), run[0]))
    return "".join([*pieces, text[at:]])


def _word_bytes(kind: str, content: str) -> bytes:
    raw = content.encode("utf-8", "replace")
    if kind in "bB":
        return from_base64(raw, _ignored)
    return binascii.a2b_qp(raw.replace(b"_", b" "), header=False)


def _charset_text(data: bytes, charset: str) -> str:
    try:
        return declared_text(data, charset, _ignored)
    except Unusable:
        return data.decode("latin-1")


def parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header such as Content-Type, those of RFC 2231 joined and decoded."""
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for one in _PARAMETER.finditer(value[:_LONGEST_VALUE]):
        name, content = one[1].lower(), one[2].strip()
        if content.startswith('"'):
            content = re.sub(r"\\(.)", r"\1", content[1:].removesuffix('"'))
        if "*" in name and (section := _SECTION.fullmatch(name)):
            sections.setdefault(section[1], {})[int(section[2] or 0)] = (bool(section[3] or not section[2]), content)
        else:
            plain.setdefault(name, content)
    for name, numbered in sections.items():
        plain[name] = _joined([numbered[number] for number in sorted(numbered)])
    return plain


def _joined(sections: list[tuple[bool, str]]) -> str:
    charset = ""
    data: list[bytes] = []
    for number, (escaped, content) in enumerate(sections):
        if escaped and not number and content.count("'") >= 2:
            charset, _, content = content.split("'", 2)
        raw = content.encode("utf-8", "replace")
        data.append(unquote_to_bytes(raw) if escaped else raw)
    return _charset_text(b"".join(data), charset)


def from_base64(data: bytes, remark: Remark, what: str = "a part") -> bytes:
    """Return the bytes that base64 stands for, of damaged one what can be decoded."""
    packed = data.translate(None, b" \t\r\n")
    found = _BASE64.findall(packed)
    damaged = sum(map(len, found)) != len(packed)
    decoded: list[bytes] = []
    for piece in found:
        # The decoder stops at padding, while joined pieces have some in the middle.
        piece = piece.rstrip(b"=")
        if len(piece) % 4 == 1:
            piece, damaged = piece[:-1], True
        decoded.append(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4)))
    if damaged:
        remark(f"{what} is damaged (base64); decoded as far as possible")
    return b"".join(decoded)


def from_quoted_printable(data: bytes, remark: Remark, what: str = "a part") -> bytes:
    """Return the bytes that quoted-printable stands for; what is no escape stays as it is."""
    if _BAD_ESCAPE.search(data):
        remark(f"{what} is damaged (quoted-printable); decoded as far as possible")
    return binascii.a2b_qp(_SOFT_END.sub(b"=", data), header=False)


@dataclass(frozen=True)
class Part:
    """A message, or a part of one: a range of its bytes."""

    data: bytes = field(repr=False)
    headers: Headers
    start: int
    """The beginning of its body."""
    end: int
    standard: str = "text/plain"
    """Its type where it names none."""

    @cached_property
    def type(self) -> str:
        """Its media type in lower case, `text/plain` when it names none."""
        value = self.headers.first("content-type").partition(";")[0].split()
        name = value[0].lower().strip("\"'") if value else ""
        return name if name.count("/") == 1 else self.standard

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters of its type."""
        value = self.headers.first("content-type")
        found = parameters(value)
        for name in ("charset", "boundary"):
            # Without a semicolon before it.
            if name not in found and (loose := re.search(rf'\b{name}\s*=\s*"?([^\s";]+)', value[:2000], re.IGNORECASE)):
                found[name] = loose[1]
        return found

    @cached_property
    def disposition(self) -> str:
        """`attachment`, `inline`, or an empty text."""
        return self.headers.first("content-disposition").partition(";")[0].strip().lower()

    @cached_property
    def filename(self) -> str:
        """The name of the file that it is; empty if it names none."""
        found = parameters(self.headers.first("content-disposition")).get("filename", "")
        name = found or self.parameters.get("name", "") or self.headers.text("content-description") * self._is_file
        return " ".join(decoded_words(name).split())

    @property
    def _is_file(self) -> bool:
        return self.disposition == "attachment"

    def content(self, remark: Remark, what: str = "a part") -> bytes:
        """Return its bytes, decoded."""
        raw = self.data[self.start : self.end]
        encoding = self.headers.first("content-transfer-encoding").strip().lower().strip("\"';")
        if encoding.startswith("base64"):
            return from_base64(raw, remark, what)
        if encoding.startswith("quoted"):
            return from_quoted_printable(raw, remark, what)
        if encoding not in ("", "7bit", "8bit", "binary", "7-bit", "8-bit", "x-uuencode", "uuencode", "x-uue", "none"):
            remark(f"{what} has an unknown transfer encoding ({encoding[:40]}) and is shown as it is")
        return raw

    def is_plain(self) -> bool:
        """Return whether its bytes stand in the message as they are."""
        encoding = self.headers.first("content-transfer-encoding").lower()
        return "base64" not in encoding and "quoted" not in encoding

    def around(self) -> "Parts":
        """Return the parts of a multipart one."""
        boundary = self.parameters.get("boundary", "").rstrip()
        if not boundary and (first := re.compile(rb"^--(\S{1,200}?)\r?$", re.MULTILINE).search(*self._range)):
            boundary = first[1].decode("latin-1")
        if not boundary:
            return Parts(self.start, self.end, [], closed=False)
        standard = "message/rfc822" if self.type == "multipart/digest" else "text/plain"
        try:
            sign = boundary.encode("latin-1")
        except UnicodeEncodeError:
            sign = boundary.encode()
        lines = list(re.compile(rb"^--" + re.escape(sign) + rb"(--)?[ \t]*\r?$", re.MULTILINE).finditer(*self._range))
        if not lines:
            return Parts(self.start, self.end, [], closed=False)
        parts: list[Part] = []
        last = self.end
        for line, following in zip(lines, [*lines[1:], None], strict=True):
            if line[1]:
                last = min(self.end, line.end() + 1)
                break
            start = min(self.end, line.end() + 1)
            stop = max(start, self._before_line(following.start())) if following else self.end
            headers, body = split_head(self.data, start, stop)
            parts.append(Part(self.data, headers, body, stop, standard))
        return Parts(lines[0].start(), last, parts, closed=any(line[1] for line in lines))

    @property
    def _range(self) -> tuple[bytes, int, int]:
        return self.data, self.start, self.end

    def _before_line(self, at: int) -> int:
        """Return where the line before `at` ends: its line end belongs to the boundary."""
        at -= self.data[at - 1 : at] == b"\n"
        return at - (self.data[at - 1 : at] == b"\r")

    def nested(self) -> Iterator["Part"]:
        """Yield the parts of a multipart one."""
        yield from self.around().parts


@dataclass(frozen=True)
class Parts:
    """A multipart body, taken apart."""

    first: int
    """The beginning of the first boundary; text before it belongs to no part."""
    last: int
    """The end of the last boundary; text after it belongs to no part."""
    parts: list[Part]
    closed: bool
    """True when there is a closing boundary."""


def message_of(data: bytes) -> Part:
    """Return a whole message."""
    start = 0
    while data[start : start + 1] in (b"\r", b"\n"):
        start += 1
    headers, body = split_head(data, start, len(data))
    return Part(data, headers, body, len(data))
