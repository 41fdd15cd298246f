"""Web pages as text (`page.py`), saved ones with everything in one file (MHTML) too. No library is needed."""

import codecs
import re
from email import policy
from email.message import Message
from email.parser import BytesParser

from ..draft import Draft, GivenFile, Read, Unusable
from ..text import utf8_chunks
from .markup import tokens
from .page import Page
from .page_flow import Section

LARGEST = 128 << 20
"""Bytes of a page."""
_DECLARATIONS = 8 << 10
"""Bytes at the beginning in which the encoding may be declared; browsers look at the first 1,024 only."""
_DECLARED = re.compile(
    rb"""<meta\s[^>]{0,2000}?charset\s*=\s*["']?\s*([\w.:-]{2,40})|<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
"""Encodings as browsers take them, which is how pages are written: the smaller sets are declared, the larger used."""
_OTHER_NAMES = {"x-sjis": "cp932", "ks_c_5601-1987": "cp949", "x-gbk": "gb18030", "windows-949": "cp949"}


def read(given: GivenFile) -> Read:
    """Yield the page. Raises Unusable for one that is too large or has no words."""
    if given.size > LARGEST:
        raise Unusable(f"too large (over {LARGEST >> 20} MiB of HTML)", "Save it as plain text first.")
    draft = Draft("HTML")
    data = given.file.read()
    parts = _archived(data)
    for number, (page_bytes, declared) in enumerate(parts or [(data, "")]):
        source = decoded(page_bytes, draft, given.options.encoding or declared)
        page = page_of(source)
        if number:
            draft.write("\n\n")
        write_page(draft, page, head=True)
    if parts:
        draft.meta["kind"] = "MHTML"
    if not draft.chars:
        raise Unusable("a page without any words")
    draft.write("\n")
    yield draft


def text_of_html(html: str) -> str:
    """Return the text of HTML without what its head says, ending with a line end unless it is empty.

    Nothing is raised for damaged HTML.
    """
    text = page_of(html).text
    return f"{text}\n" if text else ""


def page_of(source: str, *, xml: bool = False) -> Page:
    """Return the page that a source text describes. `xml`: the source is known to be XHTML."""
    return Page().read(tokens(source, xml=xml or source.lstrip("\ufeff \r\n\t").startswith("<?xml")))


def write_page(draft: Draft, page: Page, *, head: bool, level: int = 0) -> None:
    """Write a page's text, headings and losses. `head`: its title and description first. `level`: added to headings."""
    facts = page.facts
    if head:
        for name in ("title", "language", "author", "description", "keywords"):
            if name in facts:
                draft.meta.setdefault(name, facts[name])
        draft.write(_head(facts, page.sections, page.text))
    text, at = page.text, 0
    for one in page.sections:
        draft.write(text[at : one.at])
        draft.mark("sections", one.label, level=one.level + level)
        at = one.at
    draft.write(text[at:])
    for noun, number in page.unshown.items():
        draft.not_shown(noun, number)


def _head(facts: dict[str, str], sections: list[Section], text: str) -> str:
    """Return what the head of a page says and its body does not begin with."""
    lines: list[str] = []
    known = [section.label for section in sections[:3]] + [text[:300]]
    for name, value in facts.items():
        if name == "language" or any(value in one for one in known):
            continue
        known.append(value)
        lines.append(value if name == "title" else f"{name.capitalize()}: {value}")
    return "".join(f"{line}\n" for line in lines) + ("\n" if lines and text else "")


def decoded(data: bytes, draft: Draft, given: str = "") -> str:
    """Return the characters of a page, by what is `given`, by its byte order mark, by what it declares, or as text.

    A page that is valid UTF-8 is UTF-8, if what it declares is an encoding in which every byte is some letter: it was
    saved anew by an editor. How it was read goes into the draft.
    """
    name = given or (
        "" if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)) else _declared(data)
    )
    encoding = _python_name(name)
    if name and not encoding:
        draft.lose(f"the encoding {name[:40]} is unknown; read by a guess")
    if encoding and encoding != "utf-8" and not (_is_single(encoding) and not given and _is_utf8(data)):
        text = data.decode(encoding, "replace")
        if wrong := text.count("\ufffd"):
            draft.lose(f"{wrong:,} bytes were no {name} and are shown as U+FFFD")
        draft.meta["encoding"] = encoding
        return text
    return "".join(chunk.decode() for chunk, _ in utf8_chunks(iter([data]), draft.lose))


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:_DECLARATIONS])
    name = (found[1] or found[2]).decode("ascii", "replace") if found else ""
    # Bytes that can be read as ASCII this far are not UTF-16.
    return "utf-8" if name.lower().startswith(("utf-16", "utf-32", "utf16", "ucs-2")) else name


def _python_name(name: str) -> str:
    """Return the name of Python's codec; empty for one it does not have, and for codecs that decode no text."""
    name = _OTHER_NAMES.get(name.lower(), name)
    try:
        found = codecs.lookup(name) if name else None
    except (LookupError, ValueError):
        return ""
    if not found or not getattr(found, "_is_text_encoding", True) or found.name in ("idna", "punycode", "undefined"):
        return ""
    return _MEANT.get(found.name, found.name)


def _is_single(encoding: str) -> bool:
    return encoding.startswith(("cp125", "iso8859", "koi8", "mac", "cp874", "cp866"))


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _archived(data: bytes) -> list[tuple[bytes, str]]:
    """Return the pages in MHTML, the main one first, each with its encoding; nothing for other files."""
    head = data[:4096].lower()
    if not re.match(rb"\s*(?:from|mime-version|content-type|subject|date|snapshot-content-location):", head):
        return []
    if b"multipart/related" not in head and b"multipart/alternative" not in head and b"text/html" not in head:
        return []
    message = BytesParser(policy=policy.compat32).parsebytes(data)
    pages: list[tuple[bytes, str]] = []
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes) and payload.strip():
                pages.append((payload, _charset(part)))
    return pages


def _charset(part: Message) -> str:
    return str(part.get_content_charset() or "")
