"""E-mail (RFC 5322) as text: the main headers, the text, and the names of the attachments."""

from collections.abc import Iterator
from contextlib import suppress
from email import message_from_binary_file
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from typing import Any, BinaryIO

from ..draft import Draft, GivenFile, Read, Unusable
from ..text import utf8_chunks

_LARGEST = 256 << 20
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_LONGEST_HEADER = 10_000


def read(given: GivenFile) -> Read:
    """Yield the message."""
    draft = Draft("e-mail")
    for piece in message(given.file, draft.meta):
        draft.write(piece)
    yield draft


def message(file: BinaryIO, meta: dict[str, Any]) -> Iterator[str]:
    """Yield the headers, the text, the attachments. `meta` gains `from`, `to`, `subject` … and `attachments`.

    Raises Unusable for a file that is not a message, or is too large.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size > _LARGEST:
        raise Unusable(f"too large (over {_LARGEST >> 20} MiB)", "Save its text first.")
    # The newer policies parse every header into a structure, which hostile headers make slow.
    mail = message_from_binary_file(file, policy=compat32)
    headers = {name: text for name in _HEADERS if (text := _header(mail.get(name)))}
    if not headers:
        raise Unusable("a damaged e-mail", "It has no headers.")
    meta |= {name.lower(): text for name, text in headers.items()}
    yield "".join(f"{name}: {text}\n" for name, text in headers.items()) + "\n"
    parts = [part for part in map(_sane, mail.walk()) if not part.is_multipart()]
    attached = [part for part in parts if _is_attached(part)]
    inline = [part for part in parts if not _is_attached(part)]
    plain = [part for part in inline if part.get_content_type() == "text/plain"]
    for part in plain or [part for part in inline if part.get_content_type() == "text/html"]:
        yield _body(part)
    if attached:
        meta["attachments"] = [_header(part.get_filename()) or part.get_content_type() for part in attached]
        yield "".join(f"\n[attachment: {name}]" for name in meta["attachments"]) + "\n"


def _sane(part: "Message[Any, Any]") -> "Message[Any, Any]":
    # The parameters of these headers are parsed in quadratic time.
    if any(len(str(text)) > 10 * _LONGEST_HEADER for name, text in part.items() if name.lower().startswith("content")):
        raise Unusable("a damaged e-mail", "One of its headers is far too long.")
    return part


def _is_attached(part: "Message[Any, Any]") -> bool:
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return True
    return part.get_content_maintype() != "text"


def _header(value: object) -> str:
    """Return a header on one line, its encoded words decoded where possible."""
    if value is None:
        return ""
    raw = str(value)[:_LONGEST_HEADER]
    with suppress(ValueError, LookupError, HeaderParseError):  # else it is shown undecoded
        raw = str(make_header(decode_header(raw)))
    return " ".join(raw.split())


def _body(part: "Message[Any, Any]") -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    charset = part.get_content_charset()
    try:
        text = data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        try:
            text = b"".join(chunk for chunk, _ in utf8_chunks(iter([data]), lambda _: None)).decode()
        except Unusable:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").rstrip() + "\n"
