"""The text of drawings in Office files (DrawingML): shapes, tables, charts, diagrams, alternative texts, links."""

from collections.abc import Iterator
from typing import Any

from ...draft import Draft
from .chart_text import chart_lines
from .zip_package import Element, Package, Related, attribute, local

_GRAPHICS = ("graphicFrame", "pic", "sp", "cxnSp", "grpSp", "contentPart", "wsp")


def one_line(text: str) -> str:
    """Return text with every run of blanks, tabs and line ends as one blank."""
    return " ".join(text.split())


def rich_text(element: Element) -> str:
    """Return the text of all runs in an element, without its line ends and without readings (`rPh`)."""
    found: list[str] = []
    for one in element.iter("{*}t", "{*}br", "{*}tab"):
        if local(one) == "t":
            parent = one.getparent()
            if parent is None or local(parent) != "rPh":
                found.append(one.text or "")
        else:
            found.append(" ")
    return "".join(found)


class Drawing:
    """Reads the shapes of one part: of a slide, its notes, or a sheet's drawing."""

    def __init__(self, package: Package, draft: Draft, part: str, boxes: bool = False) -> None:
        """Prepare the part named `part`. Losses go to `draft`. `boxes`: mark the text of shapes, as beside a sheet."""
        self._boxes = boxes
        self._package = package
        self._draft = draft
        self._part = part
        self._related = related(package, draft, part)

    def lines(self, tree: Element) -> Iterator[str]:
        """Yield the lines of everything in a tree of shapes, in its order."""
        for one in tree:
            yield from self.shape(one)

    def shape(self, one: Element) -> Iterator[str]:
        """Yield the lines of one shape, picture, table, chart, diagram or group."""
        name = local(one)
        if name == "AlternateContent":
            yield from self._alternate(one)
        elif name in _GRAPHICS:
            yield from self._alternative_text(one)
            if name == "grpSp":
                yield from self.lines(one)
            elif name == "graphicFrame":
                yield from self._frame(one)
            else:
                yield from self._bodies(one)
        elif name in ("twoCellAnchor", "oneCellAnchor", "absoluteAnchor", "relSizeAnchor", "absSizeAnchor"):
            yield from self.lines(one)

    def _alternate(self, one: Element) -> Iterator[str]:
        """Yield the lines of the first form that has any: programs show one of them."""
        for form in one:
            if lines := list(self.lines(form)):
                yield from lines
                return

    def _alternative_text(self, one: Element) -> Iterator[str]:
        for properties in one:
            if not local(properties).startswith("nv"):
                continue
            for facts in properties:
                if local(facts) != "cNvPr":
                    continue
                words = [one_line(facts.get(key, "")) for key in ("title", "descr")]
                if text := ": ".join(word for word in dict.fromkeys(words) if word):
                    yield f"[{'image' if local(one) == 'pic' else 'alternative text'}: {text}]"
                for link in facts:
                    if target := self._link(link):
                        yield f"[link: {target}]"

    def _bodies(self, one: Element) -> Iterator[str]:
        for child in one:
            if local(child) in ("txBody", "txbx", "txXfrm"):
                for line in self.paragraphs(child):
                    yield f"[text box: {line}]" if self._boxes else line

    def paragraphs(self, body: Element) -> Iterator[str]:
        """Yield the paragraphs of a body of text, without empty ones."""
        for paragraph in body.iter("{*}p"):
            if text := self._paragraph(paragraph).strip():
                yield from (line.strip() for line in text.split("\n") if line.strip())

    def _paragraph(self, paragraph: Element) -> str:
        found: list[str] = []
        for one in paragraph.iter("{*}t", "{*}br", "{*}tab", "{*}hlinkClick"):
            name = local(one)
            if name == "t":
                found.append(one.text or "")
                if target := self._run_link(one):
                    found.append(f" <{target}>")
            elif name == "br":
                found.append("\n")
            elif name == "tab" and local(one.getparent()) == "r":
                found.append("\t")
        return "".join(found)

    def _run_link(self, text: Element) -> str:
        run = text.getparent()
        if run is None or local(run) not in ("r", "fld"):
            return ""
        for properties in run:
            if local(properties) == "rPr":
                for link in properties:
                    if target := self._link(link):
                        return "" if target == (text.text or "") else target
        return ""

    def _link(self, link: Element) -> str:
        """Return where a link leads and its explanation; an empty text for one inside of the file."""
        if local(link) not in ("hlinkClick", "hlinkHover", "hlinkMouseOver"):
            return ""
        target = self._related.get(attribute(link, "id"))
        words = [target.target if target and target.outside else "", one_line(link.get("tooltip", ""))]
        return ", ".join(word for word in words if word)

    def _frame(self, frame: Element) -> Iterator[str]:
        for data in frame.iter("{*}graphicData"):
            for one in data:
                match local(one):
                    case "tbl":
                        yield from self._table(one)
                    case "chart":
                        yield from self._chart(attribute(one, "id"))
                    case "relIds":
                        yield from self._diagram(attribute(one, "dm"))
                    case "AlternateContent":
                        # An embedded object: its picture may have an alternative text.
                        for picture in one.iter("{*}pic"):
                            yield from self._alternative_text(picture)
                    case _:
                        for picture in one.iter("{*}pic"):
                            yield from self._alternative_text(picture)

    def _table(self, table: Element) -> Iterator[str]:
        for row in table.iter("{*}tr"):
            cells = [one_line(" ".join(self.paragraphs(cell))) for cell in row if local(cell) == "tc"]
            if line := "\t".join(cells).rstrip("\t"):
                yield line

    def _chart(self, name: str) -> Iterator[str]:
        target = self._related.get(name)
        root = opened(self._package, self._draft, target, "chart")
        if root is None or target is None:
            return
        yield from chart_lines(root)
        for more in related(self._package, self._draft, target.target).values():
            if more.kind == "chartUserShapes":
                shapes = opened(self._package, self._draft, more, "drawing")
                if shapes is not None:
                    yield from Drawing(self._package, self._draft, more.target, self._boxes).lines(shapes)

    def _diagram(self, name: str) -> Iterator[str]:
        target = self._related.get(name)
        root = opened(self._package, self._draft, target, "diagram")
        if root is None or target is None:
            return
        inside = Drawing(self._package, self._draft, target.target)
        lines = [line for body in root.iter("{*}t") if len(body) for line in inside.paragraphs(body)]
        if lines:
            yield "[diagram]"
            yield from lines


def opened(package: Package, draft: Draft, target: Related | None, noun: str) -> Any:
    """Return the root of a related part; None, and a loss, for one that is missing or damaged."""
    if target is None or target.outside or target.target not in package:
        draft.not_shown(f"missing {noun}")
        return None
    return parsed(package, draft, target.target)


def parsed(package: Package, draft: Draft, name: str) -> Any:
    """Return the root of a part; None, and a loss, for a damaged one."""
    try:
        return package.xml(name)
    except Exception as error:  # one part is lost, not the file; zipfile and lxml raise a dozen kinds
        draft.lose(f"{name} cannot be read (damaged: {type(error).__name__})")
        return None


def related(package: Package, draft: Draft, part: str) -> dict[str, Related]:
    """Return a part's relationships; none, and a loss, where they are damaged."""
    try:
        return package.related(part)
    except Exception as error:  # as above
        draft.lose(f"what belongs to {part} cannot be found (damaged: {type(error).__name__})")
        return {}
