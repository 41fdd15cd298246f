"""Facts about a whole PDF: its outline, the printed labels of its pages, who wrote it, and when."""

import ctypes
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...draft import Draft
from .second import NotTried, SecondReader
from .text import clean, iso_date

_MOST_ENTRIES = 50_000
_DEEPEST = 60
_LONGEST_TITLE = 1_000


@dataclass
class Outline:
    """The outline's entries by the page they lead to."""

    by_page: dict[int, list[tuple[int, str]]]
    """Level, from 1, and title, by page from 0."""
    elsewhere: list[str]
    """The titles of entries that lead to no page."""
    cut: bool = False
    """True if there are more entries than are read."""

    def write(self, draft: Draft, number: int, text: str) -> list[str]:
        """Write a page's text, its sections marked where their titles stand in it; return the titles that do not."""
        unseen: list[str] = []
        at = 0
        for level, title in self.by_page.get(number, ()):
            here = text.find(title, at) if title else -1
            if here < 0:
                unseen.append(title)
                here = at
            draft.write(text[at:here])
            draft.mark("sections", title, level=level)
            at = here
        draft.write(text[at:])
        return [title for title in unseen if " ".join(title.split()) not in " ".join(text.split())]


def outline(document: Any) -> Outline:
    """Return the outline. A loop in it ends where it begins again."""
    found = Outline(defaultdict(list), [])
    for number, (level, bookmark) in enumerate(_entries(document)):
        if number >= _MOST_ENTRIES:
            found.cut = True
            break
        title = " ".join(clean(bookmark.get_title()).split())[:_LONGEST_TITLE]
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is None or page < 0:
            found.elsewhere.append(title)
        else:
            found.by_page[page].append((level, title))
    return found


def _entries(document: Any) -> Iterator[tuple[int, Any]]:
    from pypdfium2 import PdfBookmark, raw

    seen: set[int] = set()
    waiting = [(1, raw.FPDFBookmark_GetFirstChild(document, None))]
    while waiting:
        level, entry = waiting.pop()
        if not entry or (address := ctypes.addressof(entry.contents)) in seen:
            continue
        seen.add(address)
        yield level, PdfBookmark(entry, document, level)
        waiting.append((level, raw.FPDFBookmark_GetNextSibling(document, entry)))
        if level < _DEEPEST:
            waiting.append((level + 1, raw.FPDFBookmark_GetFirstChild(document, entry)))


def labels(document: Any, pages: int) -> list[str]:
    """Return the printed labels of the pages if they differ from 1, 2, 3 …"""
    found = [clean(document.get_page_label(number))[:100] for number in range(pages)]
    plain = all(label in ("", str(number)) for number, label in enumerate(found, 1))
    return [] if plain else found


def describe(document: Any, meta: dict[str, Any]) -> None:
    """Add to `meta`: title, author, subject, keywords, created, modified."""
    known = {
        name: " ".join(clean(words).split())[:10_000]
        for name, words in document.get_metadata_dict(skip_empty=True).items()
    }
    for name in ("Title", "Author", "Subject", "Keywords"):
        if known.get(name):
            meta[name.lower()] = known[name]
    for name, key in (("created", "CreationDate"), ("saved", "ModDate")):
        if date := iso_date(known.get(key, "")):
            meta[name] = date


def hidden_layers(second: SecondReader) -> list[str]:
    """Return the names of the layers that are switched off; their text is in the text of the pages."""
    try:
        shown = second.reader.trailer["/Root"]["/OCProperties"]["/D"]
        return [clean(str(layer.get_object().get("/Name", "")))[:200] for layer in shown.get("/OFF", [])][:1_000]
    except (NotTried, KeyError, AttributeError, TypeError):
        return []
