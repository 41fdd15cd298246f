"""The bodies of messages as text: HTML, flowed lines, calendars, and files written into the text."""

import binascii
import re
from collections import Counter
from collections.abc import Callable

from ..web.html import text_of_html

Remark = Callable[[str], None]

_URL = re.compile(r"(?:https?://|mailto:|www\.|cid:)\S+", re.IGNORECASE)
_WORDS = re.compile(r"\w+")
_MARKS = re.compile(r"\[(?:image|title|hidden|struck|attachment|message)\b")
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,1000})</title", re.IGNORECASE)
_TITLE_WITHIN = 64 << 10
_FEW = 3
"""Words that one version of a body may lack of another and still be the one that is shown, whatever else they have."""
_STUB = 40
"""Words that a text may have which only says that the message is HTML."""
_ABOUT_HTML = re.compile(
    r"html|browser|navigat|mail (?:program|client|reader)|e-?mail-?(?:programm|client)", re.IGNORECASE
)
_UUENCODED = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,250})\r?\n", re.MULTILINE)
_YENC = re.compile(rb"^=ybegin [^\r\n]{0,300}?name=([^\r\n]{1,250})\r?\n", re.MULTILINE)
_SHIFTED = bytes((byte - 42) % 256 for byte in range(256))
_COMMAND = re.compile(r"<<|</?[A-Za-z][^<>]{0,200}>")
_FOLDED = re.compile(r"\r?\n[ \t]")


def html_text(html: str, not_shown: Callable[[str, int], object]) -> str:
    """Return the text of a page, with its title if the text does not say it.

    `not_shown` as in `text_of_html`, without images: those of a message are parts of it, and counted there.
    """

    def without_images(noun: str, number: int) -> None:
        if noun != "image":
            not_shown(noun, number)

    text = text_of_html(html, without_images)
    title = " ".join(text_of_html(found[1]).split()) if (found := _TITLE.search(html[:_TITLE_WITHIN])) else ""
    return text if not title or title in " ".join(text.split()) else f"{title}\n\n{text}"


def better(first: str, second: str) -> tuple[str, int]:
    """Return the version of a body that has the other's words too, and how many different words of the other it lacks.

    The first is preferred, unless it only says that the message is HTML. Versions that have little in common are both
    returned, one after the other.
    """
    ours, theirs = _words(first), _words(second)
    lacking, extra = len(theirs - ours), len(ours - theirs)
    if lacking < _FEW:
        return first, lacking
    if extra < _FEW:
        return second, extra
    if len(ours) <= _STUB and _ABOUT_HTML.search(first):
        return second, extra
    if len(ours & theirs) < min(len(ours), len(theirs)) / 2:
        return f"{first}\n{second}", 0
    return (second, extra) if lacking > extra else (first, lacking)


def _words(text: str) -> set[str]:
    counted = Counter(_WORDS.findall(_MARKS.sub(" ", _URL.sub(" ", text)).casefold()))
    return set(counted)


def flowed(text: str, *, delete_space: bool) -> str:
    """Return text of `format=flowed` (RFC 3676) with its paragraphs on one line each."""
    lines: list[str] = []
    open_depth = -1
    paragraph: list[str] = []
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if open_depth != depth and paragraph:
            lines.append("".join(paragraph))
            paragraph = []
        flows = content.endswith(" ") and content != "-- "
        if not paragraph:
            paragraph = [">" * depth + " " * bool(depth)]
        paragraph.append(content[:-1] if flows and delete_space else content)
        open_depth = depth if flows else -1
        if not flows:
            lines.append("".join(paragraph))
            paragraph = []
    return "\n".join([*lines, *(["".join(paragraph)] if paragraph else [])])


def calendar(text: str) -> str:
    """Return a calendar entry (RFC 5545) with its folded lines joined."""
    return _FOLDED.sub("", text).replace("\\n", " ").replace("\\,", ",").replace("\\;", ";")


def enriched(text: str) -> str:
    """Return `text/enriched` (RFC 1896) without its commands; single line ends are blanks there."""
    shown = _COMMAND.sub(lambda found: "<" if found[0] == "<<" else "", text)
    return re.sub(r"\n(\n*)", lambda found: found[1] or " ", shown)


def written_in(data: bytes, remark: Remark) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a body without the files written into it (uuencode, yEnc), and these with their names."""
    files: list[tuple[str, bytes]] = []
    for sign, pattern, decode in ((b"begin ", _UUENCODED, _uudecoded), (b"=ybegin ", _YENC, _ydecoded)):
        if sign not in data:
            continue
        kept: list[bytes] = []
        at = 0
        while found := pattern.search(data, at):
            content, end = decode(data, found.end(), remark)
            if end < 0:
                kept.append(data[at : found.end()])
                at = found.end()
                continue
            name = found[1].decode("utf-8", "replace").strip()
            kept.append(data[at : found.start()] + f"[attachment: {name}]\n".encode())
            files.append((name, content))
            at = end
        data = b"".join([*kept, data[at:]])
    return data, files


def _uudecoded(data: bytes, at: int, remark: Remark) -> tuple[bytes, int]:
    """Return what uuencoded lines stand for, and where they end; -1 if they are not uuencoded."""
    decoded: list[bytes] = []
    while at < len(data):
        stop = data.find(b"\n", at)
        after = len(data) if stop < 0 else stop + 1
        line = data[at:after].rstrip(b"\r\n")
        if line.strip() == b"end":
            return b"".join(decoded), after
        size = ((line[0] - 32) & 63) if line else 0
        if len(line) > 100 or (size and len(line) < 1 + size):
            break  # not even one character a byte
        try:
            decoded.append(binascii.a2b_uu(line) if line else b"")
        except binascii.Error:
            # Some programs write too much behind the line.
            try:
                decoded.append(binascii.a2b_uu(line[: 1 + (size + 2) // 3 * 4]))
            except binascii.Error:
                break
        at = after
    if not any(decoded):
        return b"", -1
    remark("a uuencoded file is cut off")
    return b"".join(decoded), at


def _ydecoded(data: bytes, at: int, remark: Remark) -> tuple[bytes, int]:
    """Return what yEnc lines stand for, and where they end."""
    stop = data.find(b"=yend", at)
    after = len(data) if stop < 0 else data.find(b"\n", stop) + 1 or len(data)
    body = data[at : stop if stop >= 0 else len(data)]
    if body.startswith(b"=ypart"):
        body = body.partition(b"\n")[2]
        remark("a yEnc file is one part of several")
    if stop < 0:
        remark("a yEnc file is cut off")
    pieces = body.translate(_SHIFTED, b"\r\n").split(bytes([(ord("=") - 42) % 256]))
    # What follows the sign of an escape is moved by another 64.
    escaped = (bytes([(piece[0] - 64) % 256]) + piece[1:] if piece else b"" for piece in pieces[1:])
    return b"".join([pieces[0], *escaped]), after
