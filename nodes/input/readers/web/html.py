"""Web pages as text (`page.py`), saved ones with everything in one file (MHTML) too. No library is needed."""

import re
from collections.abc import Callable
from email import policy
from email.message import Message
from email.parser import BytesParser

from ...draft import Draft, GivenFile, Read, Unusable
from ...text import Decoding, utf8_chunks
from .markup import tokens
from .page import Page
from .page_flow import Section

LARGEST = 128 << 20
"""Bytes of a page."""


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


def text_of_html(html: str, not_shown: Callable[[str, int], object] = lambda noun, number: None) -> str:
    """Return the text of HTML without what its head says, ending with a line end unless it is empty.

    `not_shown` is called with what the text does not show, and how many. Nothing is raised for damaged HTML.
    """
    page = page_of(html)
    for noun, number in page.unshown.items():
        not_shown(noun, number)
    return f"{page.text}\n" if page.text else ""


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
    """Return the characters of a page, by what is `given`, or else by what it declares, or is (`../text.py`).

    How it was read goes into the draft. Raises Unusable for bytes that are no text.
    """
    decoding = Decoding(wanted=given)
    text = b"".join(chunk for chunk, _ in utf8_chunks(iter([data]), draft.lose, decoding)).decode()
    draft.meta["encoding"] = decoding.encoding
    return text


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
