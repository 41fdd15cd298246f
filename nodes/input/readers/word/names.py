"""Names and changes in the XML of Word documents, and what its traversal asks of the file."""

from collections.abc import Callable
from typing import Any, Protocol

from ..office.office_notation import Change, Ranges
from ..office.zip_package import Element, Related, attribute, local
from .numbering import Numbering, Styles

_PREFIXES = (
    ("/wordprocessingml/", "w"),
    ("/officeDocument/2006/math", "m"),
    ("/officeDocument/math", "m"),
    ("/markup-compatibility/", "mc"),
    ("/wordprocessingDrawing", "wp"),
    ("/drawingml/2006/main", "a"),
    ("/ooxml/drawingml/main", "a"),
    ("/drawingml/2006/picture", "pic"),
    ("/drawingml/picture", "pic"),
    ("/drawingml/2006/chart", "c"),
    ("/drawingml/chart", "c"),
    ("/drawing/2014/chartex", "cx"),
    ("/drawingml/2006/diagram", "dgm"),
    ("/drawingml/diagram", "dgm"),
    ("/word/2010/wordprocessing", "wps"),
    ("schemas-microsoft-com:vml", "v"),
    ("schemas-microsoft-com:office:office", "o"),
)
Handler = Callable[[Element], Any]
"""Takes an element that begins or ends."""
_short: dict[str, str] = {}

COUNTED = (
    "count(.//text()[normalize-space(.)][not(parent::*[local-name()='instrText' or local-name()='delInstrText'"
    " or local-name()='posOffset' or local-name()='align' or local-name()='binData' or local-name()='FieldCodes'"
    " or local-name()='LinkType' or local-name()='LockedField' or starts-with(local-name(), 'pct')])])"
)
"""XPath: the pieces of text below an element, without instructions and measures."""


def short(element: Element) -> str:
    """Return an element's name with a prefix for its namespace, the same for Strict and Transitional: `w:p`."""
    tag = element.tag
    if tag not in _short:
        if not isinstance(tag, str):
            return ""
        uri, _, name = tag[1:].rpartition("}")
        if len(_short) > 10_000:
            _short.clear()
        _short[tag] = f"{next((prefix for part, prefix in _PREFIXES if part in uri), '')}:{name}"
    return _short[tag]


CHANGES = {
    "w:ins": ("+", False),
    "w:del": ("-", False),
    "w:moveTo": ("+", True),
    "w:moveFrom": ("-", True),
}


def change_of(element: Element) -> Change:
    """Return the change that a `w:ins`, `w:del`, `w:moveTo` or `w:moveFrom` stands for."""
    sign, moved = CHANGES[short(element)]
    return Change(sign, attribute(element, "author"), attribute(element, "date"), moved)


def change_in(properties: Element | None) -> Change | None:
    """Return the change that properties of a paragraph's end, a row or a cell record."""
    for one in properties if properties is not None else ():
        if short(one) in CHANGES:
            return change_of(one)
        if local(one) in ("cellIns", "cellDel"):
            return Change("+" if local(one) == "cellIns" else "-", attribute(one, "author"), attribute(one, "date"))
    return None


class WordFile(Protocol):
    """The file, as far as the traversal asks for it."""

    styles: Styles
    numbering: Numbering
    ranges: Ranges
    images: int
    hides: bool
    """True where any words may be hidden."""

    def related(self, part: str) -> dict[str, Related]:
        """Return the relationships of a part."""
        ...

    def note(self, kind: str, identity: str, marked: bool) -> str:
        """Return the mark of a footnote or an endnote."""
        ...

    def comment(self, identity: str) -> str:
        """Return the mark of a comment; empty for a reply."""
        ...

    def first(self, url: str) -> bool:
        """Tell whether an address is met for the first time."""
        ...

    def graphic(self, part: str, identity: str) -> str:
        """Return the text of a chart or diagram as a block."""
        ...

    def object(self, part: str, identity: str, noun: str) -> str:
        """Return the words that stand for an embedded file or a control."""
        ...

    def chunk(self, part: str, identity: str) -> str:
        """Return the text of an inserted document, marked as a block of its own."""
        ...

    def missing(self, noun: str, number: int = 1) -> None:
        """Count things that are not shown."""
        ...
