"""E-mail (RFC 5322): one document a message, with its main headers and its text.

Of alternatives the one with the content is shown; all other texts of a message stand there in their order. Attached
messages and files become documents of their own. `.emlx` is a message between its length and a property list.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from .....state.wording import counted
from ... import encoding
from ...draft import Draft, GivenFile, Read, Unusable
from ..charsets import codec_named, declared_text
from .attached import Attached
from .mail_text import better, calendar, enriched, flowed, html_text, written_in
from .mime import Part, message_of

_LARGEST = 256 << 20
_SHOWN = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject", "Keywords", "Comments")
# fmt: off
_SIGNS = frozenset([
    "from", "to", "cc", "subject", "date", "message-id", "received", "return-path", "mime-version", "delivered-to",
    "reply-to", "sender", "content-type", "x-mailer", "bcc", "in-reply-to", "references",
])
# fmt: on
_LONGEST_HEADER = 10_000
_MOST_REFERENCES = 1_000
_DEEPEST = 50
"""Multipart bodies inside of each other."""
_MOST_PARTS = 10_000
_REFERENCE = re.compile(r"<[^<>\s]{1,990}>")
_NOTICE = re.compile(r"multi-?part|mime|\bformat\b", re.IGNORECASE)
_SIGNATURES = {
    "application/pgp-signature": "PGP",
    "application/pkcs7-signature": "S/MIME",
    "application/x-pkcs7-signature": "S/MIME",
}
_PLAINLY = frozenset(["text/plain", "text/csv", "text/tab-separated-values", "text/markdown", "text/calendar"])
# fmt: off
_REPORTS = frozenset([
    "message/delivery-status", "message/disposition-notification", "message/feedback-report", "text/rfc822-headers",
    "message/global-delivery-status", "message/tracking-status", "message/partial", "message/external-body",
])
# fmt: on
_VERSIONS = frozenset(["text/plain", "text/enriched", "text/richtext", "text/markdown"])
"""Types in which a body is given beside HTML."""
_MESSAGES = frozenset(["message/rfc822", "message/global", "message/news"])
_EMLX = re.compile(rb"\s*(\d{1,12})[ \t]*\r?\n")


def read(given: GivenFile) -> Read:
    """Yield the message, then what is attached to it.

    Raises Unusable for a file that is not a message, or is too large.
    """
    if given.size > _LARGEST:
        raise Unusable(f"too large (over {_LARGEST >> 20} MiB)", "Save its text first.")
    data = given.file.read(_LARGEST + 1)
    losses: list[str] = []
    if given.name.lower().endswith(".emlx"):
        data = _without_list(data, losses.append)
        if ".partial." in given.name.lower():
            losses.append("attachments are kept in other files")
    yield from documents(given, data, losses=losses)


def documents(
    given: GivenFile,
    data: bytes,
    name: str = "",
    *,
    facts: dict[str, Any] | None = None,
    losses: list[str] | None = None,
) -> Read:
    """Yield a message and what is attached to it. `name`: its path inside the file.

    `facts` and `losses` are added to its document. Raises Unusable for bytes that are not a message.
    """
    data, recoded = _in_utf8(data)
    message = message_of(data)
    if not _SIGNS.intersection(one for one, _ in message.headers.pairs):
        raise Unusable("a damaged e-mail", "It has no headers.")
    draft = Draft("e-mail", name)
    for loss in losses or ():
        draft.lose(loss)
    if recoded:
        draft.meta["encoding"] = recoded
    body = _Body(draft, given.options.encoding, recoded=bool(recoded))
    _write_headers(message, draft)
    draft.write(body.text(message, chosen=True))
    if body.attached.names:
        draft.meta["attachments"] = body.attached.names
    draft.meta |= facts or {}
    yield draft
    yield from body.attached.documents(given, name)


def _in_utf8(data: bytes) -> tuple[bytes, str]:
    """Return a message with a byte order mark, or in UTF-16, as UTF-8, and the encoding it had."""
    mark, length = encoding.mark(data[:4])
    mark = mark or (encoding.wide(data[:4096]) if 0 in data[:4096] else "")
    if mark and mark != "utf-8":
        return data[length:].decode(mark, "replace").encode("utf-8", "replace"), mark.upper()[:6]
    if mark:
        return data[length:], "UTF-8"
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # saved by an old Mac
    return data, ""


def _without_list(data: bytes, lose: Callable[[str], None]) -> bytes:
    """Return the message of an `.emlx`: after the line with its length, without the property list at the end."""
    found = _EMLX.match(data)
    if not found:
        return data
    start, size = found.end(), int(found[1])
    if data[start + size :].lstrip()[:5] in (b"<?xml", b"<!DOC", b"<plis", b""):
        return data[start : start + size]
    lose("its length is not the one that the file states")
    stop = data.rfind(b"<?xml")
    return data[start : stop if stop > start and b"<plist" in data[stop:] else len(data)]


def _write_headers(message: Part, draft: Draft) -> None:
    headers = message.headers
    for name in _SHOWN:
        if not (text := headers.text(name.lower())):
            continue
        if len(text) > _LONGEST_HEADER:
            draft.lose(f"{name} is shown up to {_LONGEST_HEADER:,} of {len(text):,} characters")
            text = text[:_LONGEST_HEADER] + " …"
        draft.write(f"{name}: {text}\n")
        if name in ("From", "To", "Cc", "Bcc", "Subject"):
            draft.meta[name.lower()] = text
    draft.write("\n")
    if date := headers.text("date"):
        draft.meta["date"] = iso_date(date)
    for name in ("message-id", "in-reply-to"):
        if text := headers.text(name, " "):
            draft.meta[name.replace("-", "_")] = text[:1_000]
    if text := headers.text("references", " "):
        draft.meta["references"] = (_REFERENCE.findall(text) or text.split())[:_MOST_REFERENCES]
    if headers.damaged:
        draft.not_shown("damaged header line", headers.damaged)


def iso_date(text: str) -> str:
    """Return a date of a header in ISO 8601 with its zone; what is not a date as it stands there."""
    try:
        date = parsedate_to_datetime(text[:200])
    except (ValueError, TypeError, IndexError, OverflowError):
        return text[:200]
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).isoformat()


def _is_html(part: Part) -> bool:
    """Return whether a part is HTML: for mail programs, watches (`text/watch-html`), or AMP."""
    return part.type.startswith(("text/", "application/xhtml")) and "html" in part.type


class _Body:
    """Makes a message's text, and gathers what is attached to it."""

    def __init__(self, draft: Draft, preferred: str, *, recoded: bool) -> None:
        self.attached = Attached()
        self._draft = draft
        self._preferred = preferred
        self._recoded = recoded
        self._parts = 0

    def text(self, part: Part, depth: int = 0, *, chosen: bool = False) -> str:
        """Return the text of a part, ending with a line end. `chosen`: it is a body whatever its name."""
        self._parts += 1
        if self._parts > _MOST_PARTS:
            self._draft.not_shown("further part")
            return ""
        if part.type.startswith("multipart/"):
            return self._multipart(part, depth)
        if part.type in _MESSAGES:
            return self._message(part)
        if part.type in _SIGNATURES:
            self._draft.meta["signature"] = _SIGNATURES[part.type]
            return ""
        if part.type in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
            kind = part.parameters.get("smime-type", "").lower()
            is_signed = kind == "signed-data"
            self._draft.lose(f"a body that is {'signed' if is_signed else 'encrypted'} (S/MIME) cannot be read")
            return ""
        if part.type in _REPORTS:
            if part.type == "message/partial":
                self._draft.lose("a split message: its other parts are elsewhere")
            if part.type == "message/external-body":
                self._draft.lose("an attachment is kept elsewhere")
            return self._decoded(part, part.content(self._draft.lose))
        is_body = (part.type.startswith("text/") or _is_html(part)) and part.disposition != "attachment"
        if is_body and (chosen or not part.filename):
            return self._text(part)
        return self._file(part)

    def _multipart(self, part: Part, depth: int) -> str:
        if depth >= _DEEPEST:
            self._draft.lose(f"parts nested more than {_DEEPEST} deep not shown")
            return ""
        if part.type == "multipart/encrypted":
            self._draft.lose("the body is encrypted and cannot be read")
            return ""
        found = part.around()
        if not found.parts:
            if text := self._decoded(part, part.data[part.start : part.end]):
                self._draft.lose("a damaged body, whose parts are not marked, is shown as it is")
            return text
        if not found.closed:
            self._draft.lose("the message may be cut off: its last part has no end")
        texts = [self._between(part, part.start, found.first)]
        if part.type == "multipart/alternative":
            texts += self._alternatives(found.parts, depth)
        else:
            texts += [self.text(one, depth + 1) for one in found.parts]
        texts.append(self._between(part, found.last, part.end))
        return "\n".join(filter(None, texts))

    def _between(self, part: Part, start: int, stop: int) -> str:
        """Return text before the first or after the last part, unless it only says that the message has parts."""
        if start >= stop or not (data := part.data[start:stop].strip()):
            return ""
        text = self._decoded(part, data)
        return "" if start == part.start and len(text) < 500 and _NOTICE.search(text) else text

    def _alternatives(self, parts: list[Part], depth: int) -> list[str]:
        """Return the text of the alternative with the content, and what is not one of several versions of it."""
        best: str | None = None
        others: list[str] = []
        for part in parts:
            text = self.text(part, depth + 1, chosen=True)
            if not part.type.startswith("multipart/") and part.type not in _VERSIONS and not _is_html(part):
                others.append(text)
            elif not best:
                best = text
            elif text:
                best, missing = better(best, text)
                if missing:
                    phrase = f"another version of the body not shown, with {counted(missing, 'word')} that differ"
                    self._draft.lose(phrase.replace("1 word that differ", "1 word that differs"))
        return [best or "", *others]

    def _message(self, part: Part) -> str:
        data = part.data[part.start : part.end] if part.is_plain() else part.content(self._draft.lose)
        nested = message_of(data)
        if not _SIGNS.intersection(one for one, _ in nested.headers.pairs):
            return self._decoded(part, data)
        if self._recoded and part.is_plain():
            data = b"\xef\xbb\xbf" + data
        return f"[message: {self.attached.add_message(part.filename, data)}]\n"

    def _text(self, part: Part) -> str:
        data = part.content(self._draft.lose, "the body")
        if part.type == "text/rtf" or data.startswith(b"{\\rtf"):
            return self._file(part)
        if part.is_plain():
            data, files = written_in(data, self._draft.lose)
            for name, content in files:
                self.attached.add(name, content, "")
        text = self._decoded(part, data)
        if _is_html(part):
            return html_text(text, self._draft.not_shown)
        if part.type in ("text/enriched", "text/richtext"):
            return enriched(text)
        if part.type == "text/calendar":
            return calendar(text)
        if part.parameters.get("format", "").lower() == "flowed":
            return flowed(text, delete_space=part.parameters.get("delsp", "").lower() == "yes")
        return text

    def _decoded(self, part: Part, data: bytes) -> str:
        charset = part.parameters.get("charset", "")
        if self._recoded and part.is_plain():
            charset = "utf-8"
        elif self._preferred and not codec_named(charset):
            charset = self._preferred
        try:
            text = declared_text(data, charset, self._draft.lose, "the body")
        except Unusable:
            return f"[attachment: {self.attached.add(part.filename, data, part.type)}]\n" if data else ""
        text = text.replace("\r\n", "\n").rstrip()
        return f"{text}\n" if text else ""

    def _file(self, part: Part) -> str:
        content = part.content(self._draft.lose, f"the attachment {part.filename}".rstrip())
        is_image = part.type.startswith("image/")
        if is_image and part.disposition != "attachment" and ("content-id" in part.headers or part.disposition):
            self._draft.not_shown("inline image")
            return ""
        if part.type == "application/applefile":
            self._draft.not_shown("resource fork")
            return ""
        if "x-apple-content-length" in part.headers and not content.strip():
            self._draft.lose(f"the attachment {part.filename} is kept in another file")
            return ""
        charset = part.parameters.get("charset", "")
        if part.type in _PLAINLY and codec_named(charset) not in ("", "utf-8") and not content.isascii():
            with suppress(Unusable, UnicodeError):  # then it is left to the reader of its format
                content = declared_text(content, charset, self._draft.lose, part.filename or "an attachment").encode()
        return f"[attachment: {self.attached.add(part.filename, content, part.type)}]\n"
