"""The text of paragraphs, frames and comments in sheets and slides of OpenDocument."""

from collections.abc import Iterator

from ...draft import Draft
from ..office.drawing_text import one_line
from ..office.zip_package import Element, attribute, local
from .odf_package import OdfPackage, chart_or_object, object_lines

_APART = frozenset(
    (
        *("annotation", "annotation-end", "notes", "frame", "custom-shape", "object", "forms"),
        *("title", "desc", "binary-data"),
    )
)
"""Elements in a paragraph or a cell that are not its own text."""
_FIELDS = frozenset(("page-number", "page-count", "sheet-name"))
_SHAPES = frozenset(
    (
        *("frame", "custom-shape", "rect", "line", "polyline", "polygon", "regular-polygon", "path", "circle"),
        *("ellipse", "connector", "caption", "measure", "g", "a", "text-box", "control"),
    )
)
_MOST_BLANKS = 1_000


def is_shape(element: Element) -> bool:
    """Return whether an element is drawn. A link in a text and a link around a picture have the same local name."""
    return local(element) in _SHAPES and (local(element) != "a" or "drawing" in element.tag)


def inline(element: Element, links: bool = True) -> str:
    """Return the text of a paragraph with the targets of its `links`, without frames and comments."""
    found = [element.text or ""]
    for one in element:
        name = local(one)
        if name == "s":
            count = attribute(one, "c", "1")
            found.append(" " * min(int(count) if count.isdigit() else 1, _MOST_BLANKS))
        elif name in ("tab", "line-break"):
            found.append(" ")
        elif name == "ruby-text":
            pass  # the reading of the characters before
        elif name not in _APART and name not in _FIELDS:
            text = inline(one, links)
            target = attribute(one, "href") if name == "a" and links else ""
            found.append(f"{text} <{target}>" if target and not target.startswith("#") and target != text else text)
        found.append(one.tail or "")
    return "".join(found)


def paragraphs(element: Element, links: bool = True) -> Iterator[str]:
    """Yield the paragraphs of an element that are its own, without empty ones."""
    for one in element:
        name = local(one)
        if name in ("p", "h"):
            if text := one_line(inline(one, links)):
                yield text
        elif name not in _APART:
            yield from paragraphs(one, links)


def comment_line(annotation: Element, place: str = "") -> str:
    """Return the line of a comment: `[comment on A2 by Ann, 2026-01-02T10:00:00]: text`."""
    facts = {local(one): one_line(one.text or "") for one in annotation if local(one) in ("creator", "date")}
    who, when = facts.get("creator", ""), facts.get("date", "")
    signed = (f" on {place}" if place else "") + (f" by {who}" if who else "") + (f", {when}" if when else "")
    return f"[comment{signed}]: {' '.join(paragraphs(annotation))}"


class Frames:
    """Reads frames: text boxes, pictures, tables, charts, groups."""

    def __init__(self, package: OdfPackage, draft: Draft, boxes: bool = False) -> None:
        """Prepare the file. Losses go to `draft`. `boxes`: mark the text of shapes, as beside a sheet."""
        self._boxes = boxes
        self._package = package
        self._draft = draft

    def inside(self, element: Element) -> Iterator[str]:
        """Yield the lines of all frames in an element, however deep."""
        for one in element:
            if is_shape(one):
                yield from self.lines(one)
            elif local(one) not in ("annotation", "notes"):
                yield from self.inside(one)

    def inside_of(self, element: Element) -> Iterator[str]:
        """Yield the lines of an element that is a frame, or of those inside it."""
        return self.lines(element) if is_shape(element) else self.inside(element)

    def lines(self, shape: Element) -> Iterator[str]:
        """Yield the lines of one shape."""
        words = [one_line(one.text or "") for one in shape if local(one) in ("title", "desc")]
        if text := ": ".join(word for word in dict.fromkeys(words) if word):
            picture = any(local(one) == "image" for one in shape)
            yield f"[{'image' if picture else 'alternative text'}: {text}]"
        if local(shape) == "a" and (target := attribute(shape, "href")):
            yield f"[link: {target}]"
        for one in shape:
            yield from self._part(one)

    def _part(self, one: Element) -> Iterator[str]:
        name = local(one)
        if name in ("p", "h"):
            if text := one_line(inline(one)):
                yield f"[text box: {text}]" if self._boxes else text
            yield from self.inside(one)
        elif is_shape(one):
            yield from self.lines(one)
        elif name == "table":
            yield from self._table(one)
        elif name == "object":
            place = attribute(one, "href")
            yield from object_lines(self._package, self._draft, place) if place else chart_or_object(one)
        elif name in ("object-ole", "applet", "floating-frame"):
            self._draft.not_shown("embedded object")
        elif name in ("list", "list-item", "list-header", "section", "numbered-paragraph"):
            for child in one:
                yield from self._part(child)

    def _table(self, table: Element) -> Iterator[str]:
        for row in table.iter("{*}table-row"):
            cells: list[str] = []
            for cell in row:
                if local(cell) in ("table-cell", "covered-table-cell"):
                    repeats = attribute(cell, "number-columns-repeated", "1")
                    text = " ".join(paragraphs(cell))
                    cells += [text] * (min(int(repeats), 100) if repeats.isdigit() else 1)
            if line := "\t".join(cells).rstrip("\t"):
                yield line
            yield from self.inside(row)
