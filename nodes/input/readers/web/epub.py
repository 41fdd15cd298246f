"""Books in EPUB: one document, its chapters in the order of reading, each a section with its title.

What the order of reading leaves out is read at its place and marked, and what no order names comes last. The files of
the package are read as tags in sequence (`markup.py`), so that no entity is expanded and no library is needed.
"""

import posixpath
from dataclasses import dataclass, field
from urllib.parse import unquote

from ...draft import Draft, GivenFile, Read, Skipped, Unusable
from ..archives.archive import read_members
from ..office.zip_package import Package
from .html import decoded, page_of, write_page
from .markup import End, Raw, Start, Text, Token, tokens
from .page import Page

_FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Fonts are scrambled by these, which no reader of the text needs to undo."""
_CONTENT = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "image/svg+xml", "text/x-oeb1-document")
_FACTS = {"title": "title", "creator": "author", "language": "language", "publisher": "publisher", "date": "date"}
_MOST_CHAPTERS = 20_000


@dataclass
class _Item:
    """A file of the book."""

    path: str
    kind: str
    properties: str = ""


@dataclass
class _Book:
    """The contents of the package file."""

    facts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    items: dict[str, _Item] = field(default_factory=dict[str, _Item])
    spine: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """The ids of the chapters in order, and whether each belongs to the reading order."""
    contents: str = ""
    """The id of the table of contents of EPUB 2."""


def read(given: GivenFile) -> Read:
    """Yield the book. Raises Unusable for a protected one, and for one without any text."""
    try:
        draft = _book_of(given)
    except Unusable:
        raise
    except Exception as error:  # a damaged package: its files may still be read
        yield from read_members(given)
        yield Skipped("", f"damaged, read file by file ({type(error).__name__}: {str(error)[:100]})", 0)
        return
    yield draft


def _book_of(given: GivenFile) -> Draft:
    package = Package(given, "EPUB")
    draft = Draft("EPUB")
    protected = _protected(package)
    place = _package_file(package)
    book = _book(_markup(package, place, draft), posixpath.dirname(place))
    titles = _titles(package, book, draft)
    _write_facts(draft, book)
    read_chapters = sum([_chapter(package, draft, *one, titles, protected) for one in _order(book)])
    if not read_chapters:
        if protected:
            raise Unusable("protected by DRM")
        raise Unusable("a book without any text")
    draft.not_shown("recording", sum(item.kind.startswith(("audio/", "video/")) for item in book.items.values()))
    return draft


def _protected(package: Package) -> set[str]:
    """Return the files that are encrypted, in lower case; `*` for all of a book whose key stands in a rights file."""
    if "META-INF/encryption.xml" not in package:
        return set()
    found: set[str] = set()
    algorithm = ""
    for one in tokens(package.read("META-INF/encryption.xml").decode("utf-8", "replace"), xml=True):
        if isinstance(one, Start):
            name = _local(one.name)
            if name == "encrypteddata":
                algorithm = ""
            elif name == "encryptionmethod" and not algorithm:
                algorithm = one.attributes.get("algorithm", "")
            elif name == "cipherreference" and algorithm not in _FONT_ALGORITHMS:
                found.add(unquote(one.attributes.get("uri", "")).lstrip("/").lower())
    return found


def _package_file(package: Package) -> str:
    """Return the path of the package file. Raises ValueError without one."""
    if "META-INF/container.xml" in package:
        for one in tokens(package.read("META-INF/container.xml").decode("utf-8", "replace"), xml=True):
            if isinstance(one, Start) and _local(one.name) == "rootfile":
                path = unquote(one.attributes.get("full-path", "")).lstrip("/")
                if path in package:
                    return path
    for name in package.names:
        if name.lower().endswith(".opf"):
            return name
    raise ValueError("it has no package file")


def _markup(package: Package, path: str, draft: Draft) -> list[Token]:
    return list(tokens(decoded(package.read(path), draft), xml=True))


def _book(found: list[Token], folder: str) -> _Book:
    book = _Book()
    fact = ""
    for one in found:
        if isinstance(one, Start):
            name, attributes = _local(one.name), one.attributes
            if one.name.startswith("dc:") and not one.closed:
                fact = name
                book.facts.setdefault(fact, []).append("")
            elif name == "item" and "href" in attributes:
                path = posixpath.normpath(posixpath.join(folder, unquote(attributes["href"])))
                kind, properties = attributes.get("media-type", ""), attributes.get("properties", "")
                book.items[attributes.get("id", path)] = _Item(path, kind.lower(), properties)
            elif name == "spine":
                book.contents = attributes.get("toc", "")
            elif name == "itemref":
                book.spine.append((attributes.get("idref", ""), attributes.get("linear", "yes") != "no"))
        elif isinstance(one, Text) and fact:
            book.facts[fact][-1] += one.text
        elif isinstance(one, End):
            fact = ""
        elif isinstance(one, Raw) and one.name == "title":
            book.facts.setdefault("title", []).append(one.text)
    return book


def _order(book: _Book) -> list[tuple[_Item, str]]:
    """Return the files with text in their order, each with a remark of where it stands."""
    order: list[tuple[_Item, str]] = []
    for name, linear in book.spine[:_MOST_CHAPTERS]:
        item = book.items.get(name) or _Item(name, "")
        order.append((item, "" if linear else "outside of the reading order"))
    listed = {item.path for item, _ in order}
    for item in list(book.items.values())[:_MOST_CHAPTERS]:
        is_text = item.kind in _CONTENT[:-2] or item.kind == _CONTENT[-1]
        if is_text and item.path not in listed and "nav" not in item.properties.split():
            order.append((item, "in no reading order"))
    return order


def _titles(package: Package, book: _Book, draft: Draft) -> dict[str, str]:
    """Return the titles of files by the table of contents: of the first entry that leads to each."""
    titles: dict[str, str] = {}
    navigation = [item for item in book.items.values() if "nav" in item.properties.split()]
    old = [item for item in book.items.values() if item.kind == "application/x-dtbncx+xml"]
    if book.contents in book.items:
        old.insert(0, book.items[book.contents])
    for item in [*navigation[:1], *old[:1]]:
        if item.path not in package:
            continue
        folder, label, target, depth = posixpath.dirname(item.path), "", "", 0
        for one in _markup(package, item.path, draft):
            if isinstance(one, Start):
                name = _local(one.name)
                if name in ("a", "navpoint"):
                    label, depth = "", 1 if name == "a" else 0
                    target = one.attributes.get("href", "") if name == "a" else ""
                elif name == "text":
                    depth = 1
                elif name == "content":
                    _entitle(titles, folder, one.attributes.get("src", ""), label)
            elif isinstance(one, End) and _local(one.name) in ("a", "text"):
                depth = 0
                if target:
                    _entitle(titles, folder, target, label)
                    target = ""
            elif isinstance(one, Text) and depth:
                label += one.text
    return titles


def _entitle(titles: dict[str, str], folder: str, target: str, label: str) -> None:
    path = posixpath.normpath(posixpath.join(folder, unquote(target.partition("#")[0])))
    if title := " ".join(label.split()):
        titles.setdefault(path, title[:500])


def _write_facts(draft: Draft, book: _Book) -> None:
    for name, values in book.facts.items():
        texts = [" ".join(value.split()) for value in values if value.strip()]
        if not texts:
            continue
        text = "; ".join(texts)
        if name in _FACTS:
            draft.meta[_FACTS[name]] = text[:1_000]
        if name == "title":
            draft.write(f"{text}\n")
        elif name == "creator":
            draft.write(f"by {text}\n")
        elif name in ("description", "subject", "contributor", "publisher", "rights", "source"):
            plain = page_of(text).text if "<" in text else text
            draft.write(f"{name.capitalize()}: {plain}\n")


def _chapter(
    package: Package, draft: Draft, item: _Item, remark: str, titles: dict[str, str], protected: set[str]
) -> int:
    """Write a chapter. Return 1 if it could be read."""
    base = posixpath.basename(item.path)
    if item.path.lower() in protected:
        draft.lose(f"{base} cannot be read (protected by DRM)")
        return 0
    if item.path not in package:
        draft.lose(f"{base or 'a chapter'} is missing in the file")
        return 0
    if item.kind and item.kind not in _CONTENT:
        draft.lose(f"{base} cannot be read (it is {item.kind[:60]})")
        return 0
    try:
        page = page_of(decoded(package.read(item.path), draft), xml=True)
    except Unusable as error:
        draft.lose(f"{base} cannot be read ({error.reason})")
        return 0
    except Exception as error:  # one damaged part must not cost the book
        draft.lose(f"{base} cannot be read (damaged: {type(error).__name__})")
        return 0
    _write_chapter(draft, page, titles.get(item.path, ""), base, remark)
    return 1


def _write_chapter(draft: Draft, page: Page, title: str, base: str, remark: str) -> None:
    first = page.sections[0].label if page.sections else ""
    own = page.facts.get("title", "")
    if not page.text and not title:
        write_page(draft, page, head=False)
        return
    draft.write("\n\n" if draft.chars else "")
    draft.mark("sections", title or first or own or base, level=1)
    if remark:
        draft.write(f"[{remark}]\n")
    for one in dict.fromkeys((title, own)):
        if one and one not in page.text[: len(one) + 200] and one != draft.meta.get("title"):
            draft.write(f"{one}\n\n")
    write_page(draft, page, head=False, level=1)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
