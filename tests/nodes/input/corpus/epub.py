"""Books with sentences in every part that they have."""

from random import Random

from . import Planted, Sample, sentence
from .archive import zipped

_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
_XHTML = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'


def chapter(body: str, title: str = "") -> str:
    """Return a file of a book."""
    return f"{_XHTML}<head><title>{title}</title><script src='x.js'/></head><body>{body}</body></html>"


def book(
    chapters: dict[str, str],
    *,
    facts: str = "<dc:title>Book</dc:title>",
    spine: str = "",
    contents: dict[str, str] | None = None,
    old: bool = False,
    more: dict[str, bytes] | None = None,
) -> bytes:
    """Return a book. `chapters`: files by name. `contents`: titles by name, for the table of contents."""
    names = list(chapters)
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names)
    entries = contents or {}
    if old:
        items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        points = "".join(
            f"<navPoint><navLabel><text>{title}</text></navLabel><content src='{name}'/></navPoint>"
            for name, title in entries.items()
        )
        navigation = {"OEBPS/toc.ncx": f"<!DOCTYPE ncx><ncx><navMap>{points}</navMap></ncx>".encode()}
    else:
        items += '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        links = "".join(f'<li><a href="{name}#top">{title}</a></li>' for name, title in entries.items())
        navigation = {"OEBPS/nav.xhtml": chapter(f"<nav epub:type='toc'><ol>{links}</ol></nav>").encode()}
    order = spine or "".join(f'<itemref idref="{name}"/>' for name in names)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"{facts}</metadata><manifest>{items}</manifest><spine toc='ncx'>{order}</spine></package>"
    )
    files = {"mimetype": b"application/epub+zip", "META-INF/container.xml": _CONTAINER.encode()}
    files["OEBPS/book.opf"] = package.encode()
    return zipped({**files, **navigation, **{f"OEBPS/{n}": t.encode() for n, t in chapters.items()}, **(more or {})})


def samples(random: Random) -> list[Sample]:
    """Make a book of each version."""
    made: list[Sample] = []
    for old in (False, True):
        planted: list[Planted] = []

        def plant(part: str, planted: list[Planted] = planted) -> str:
            words = sentence(random, part)
            planted.append(Planted(words, part))
            return words

        chapters = {
            "one.xhtml": chapter(f"<p>{plant('first')}<a epub:type='noteref' href='#n'>1</a></p>"),
            "two.xhtml": chapter(f"<h1>{plant('heading')}</h1><p>{plant('second')}</p>"),
            "notes.xhtml": chapter(f"<aside epub:type='footnote'><p>{plant('footnote')}</p></aside>"),
            "lost.xhtml": chapter(f"<p>{plant('unlisted')}</p><img src='a.png' alt='{plant('image')}'/>"),
            "titled.xhtml": chapter("<p>x</p>", plant("title of a file")),
        }
        facts = "".join(
            f"<dc:{name}>{plant(name)}</dc:{name}>"
            for name in ("title", "creator", "description", "subject", "publisher", "contributor", "rights")
        )
        spine = '<itemref idref="one.xhtml"/><itemref idref="notes.xhtml" linear="no"/><itemref idref="two.xhtml"/>'
        contents = {"one.xhtml": plant("entry"), "two.xhtml": "Second"}
        made.append(Sample("book.epub", book(chapters, facts=facts, spine=spine, contents=contents, old=old), planted))
    return made
