"""The text of a page of HTML: its words in their order, with headings, lists, tables and the targets of links.

Words that a browser hides are shown and marked (`[hidden: …]`, `[struck: …]`), and so are words outside of the flow:
`[image: alternative text]`, `WHO (World Health Organization)` for a title. Scripts and style sheets are not text;
scripts that hold data or sentences are counted, and so are comments that hold words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .markup import Comment, End, Raw, Start, Text, Token, tokens
from .page_elements import (
    ELEMENTS,
    LONGEST_LINK,
    OUTSIDE,
    Element,
    Frame,
    labelled,
    noun_of_comment,
    noun_of_script,
    number_of,
    write_target,
    write_title,
)
from .page_flow import Flow, Opener, Section, Table

_LONGEST_HEADING = 1_000
_DEEPEST_TABLE = 12
_DEEPEST_FRAME = 3
_LOOK_BACK = 10
# fmt: off
_APART = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "menu", "dir", "dl", "pre", "blockquote", "figure", "listing",
    "xmp"
})
# fmt: on
"""Elements with an empty line around them."""
# fmt: off
_BLOCKS = _APART | frozenset({
    "address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "div", "dt", "fieldset",
    "figcaption", "footer", "form", "frameset", "header", "hr", "html", "legend", "li", "main", "nav", "noframes",
    "optgroup", "option", "search", "section", "select", "summary", "template", "datalist", "text", "desc", "doctitle",
    "docauthor"
})
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_IMPLIED = {
    "li": ("li",),
    "option": ("option",),
    "optgroup": ("option", "optgroup"),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
}
"""Elements that a start tag ends."""
_BARRIERS = frozenset(["ul", "ol", "menu", "dir", "dl", "select", "datalist"])
_ROWS = frozenset(["tr", "tbody", "thead", "tfoot"])
_APART_BY_STYLE = frozenset(("a", "button", "label"))
_TABLE_PARTS = _ROWS | {"table", "td", "th", "caption", "colgroup"}
_STRUCK = frozenset(("s", "strike", "del"))
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass
class Page:
    """A page, to be given its tokens and then read."""

    facts: dict[str, str] = field(default_factory=dict[str, str])
    """The statements of its head, by name: `title`, `language`, `description`."""
    unshown: dict[str, int] = field(default_factory=dict[str, int])
    """Things that the text does not show, counted by their names."""
    depth: int = 0
    """The number of pages that this page lies in."""
    links: set[str] = field(default_factory=set[str])
    openers: list[Opener] = field(default_factory=list[Opener])
    _hidden: int = 0
    raised: bool = False
    fresh_pre: bool = False

    def __post_init__(self) -> None:
        self._frames = [Frame("page", Flow())]

    def read(self, found: Iterable[Token]) -> "Page":
        """Take every token, to the end of the page."""
        before = ""
        for one in found:
            ended, before = before, one.name if isinstance(one, End) else ""
            match one:
                case Text():
                    self.words(one.text)
                case Start():
                    # Links and buttons beside each other are kept apart by a style sheet.
                    if one.name == ended and one.name in _APART_BY_STYLE:
                        self.flow.space = True
                    self._start(one)
                case End():
                    self._end(one.name)
                case Raw():
                    self._raw(one)
                case Comment():
                    self.not_shown(noun_of_comment(one.text))
        while len(self._frames) > 1:
            self._close_frame()
        self._pop_all(self._frames[0])
        return self

    @property
    def text(self) -> str:
        """The text, without line ends at its end."""
        return self._frames[0].flow.text

    @property
    def sections(self) -> list[Section]:
        """The headings, in order."""
        return self._frames[0].flow.sections

    def not_shown(self, noun: str, number: int = 1) -> None:
        """Count things that the text does not show; nothing for an empty name."""
        if noun and number:
            self.unshown[noun] = self.unshown.get(noun, 0) + number

    def is_open(self, name: str) -> bool:
        """Return whether an element is open in the present cell."""
        return self._frame.counts.get(name, 0) > 0

    @property
    def _frame(self) -> Frame:
        return self._frames[-1]

    @property
    def flow(self) -> Flow:
        return self._frames[-1].flow

    def words(self, text: str) -> None:
        if self.fresh_pre:
            self.fresh_pre = False
            text = text.removeprefix("\r").removeprefix("\n")
        if self.raised and text.strip():
            # 10 to the power of 6 must not read as 106.
            self.raised = False
            if text[0] in "0123456789+-\u2212" and (self.flow.last.isalnum() or self.flow.last == ")"):
                text = f"^{text}"
        self.flow.words(text, self.openers)

    def mark(self, text: str) -> None:
        """Write a mark of ours between spaces."""
        self.flow.space = self.flow.space or bool(self.flow.chars)
        self.flow.put(" ".join(text.split()), self.openers)
        self.flow.space = True

    # Elements.

    def _start(self, tag: Start) -> None:
        name = tag.name.rpartition(":")[2] if tag.name.startswith(("svg:", "xhtml:", "html:", "h:")) else tag.name
        if name in ("body", "html") and (language := tag.attributes.get("lang") or tag.attributes.get("xml:lang")):
            self.facts.setdefault("language", language[:35])
        if self._frame.kind == "heading" and self._ends_heading(name):
            self._close_frame()
        if name in _TABLE_PARTS and self._table_part(name, tag.attributes):
            return
        for implied in _IMPLIED.get(name, ()):
            self._end_implied(implied)
        if name in _BLOCKS:
            self.flow.end_line(2 if name in _APART and not (name in ("ul", "ol") and self.flow.lists) else 1)
        element = Element(name)
        self._open(element)
        self._effects(element, tag.attributes)
        self._content(element, tag.attributes)
        if tag.closed:
            self._end(name)

    def _open(self, element: Element) -> None:
        frame = self._frame
        frame.opened.append(element)
        frame.counts[element.name] = frame.counts.get(element.name, 0) + 1
        if element.name in _BLOCKS:
            flow, lines = frame.flow, 2 if element.name in _APART else 1
            nested = element.name in ("ul", "ol") and flow.lists
            element.undo.append(lambda: flow.end_line(1 if nested else lines))

    def _ends_heading(self, name: str) -> bool:
        """Return whether an element cannot stand in a heading, whose end tag must be missing."""
        if name in _HEADINGS or name in ("table", "ul", "ol", "pre", "section", "article", "hr", "form"):
            return True
        words = self.flow.chars
        return (name == "p" and words > 0) or (name in _BLOCKS and words > _LONGEST_HEADING)

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2] if name.startswith(("svg:", "xhtml:", "html:", "h:")) else name
        if name in ("td", "th", "table") or name in _ROWS:
            self._end_table_part(name)
            return
        if self._frame.kind == "heading" and (name in _HEADINGS or self._ends_around(name)):
            self._close_frame()
        frame = self._frame
        if frame.counts.get(name):
            while self._pop(frame) != name:
                pass

    def _ends_around(self, name: str) -> bool:
        """Return whether the heading stands in a block that ends here."""
        return name in _BLOCKS and not self._frame.counts.get(name) and self._frames[-2].counts.get(name, 0) > 0

    def _pop(self, frame: Frame) -> str:
        element = frame.opened.pop()
        frame.counts[element.name] -= 1
        for undo in reversed(element.undo):
            undo()
        return element.name

    def _pop_all(self, frame: Frame) -> None:
        while frame.opened:
            self._pop(frame)

    def _end_implied(self, name: str) -> None:
        frame = self._frame
        for back, one in enumerate(reversed(frame.opened[-_LOOK_BACK:]), 1):
            if one.name == name:
                for _ in range(back):
                    self._pop(frame)
                return
            if one.name in _BARRIERS:
                return

    def _effects(self, element: Element, attributes: dict[str, str]) -> None:
        """Mark what is hidden or struck, and remember the texts that come after the element."""
        if not attributes and element.name not in _STRUCK and element.name not in ("template", "q"):
            return
        style = attributes.get("style", "")
        if element.name in _STRUCK or "line-through" in style:
            self.bracket("struck", element)
        if "hidden" in attributes or element.name == "template" or (style and _UNSEEN.search(style)):
            self._hide(element)
        at, flow = self.flow.chars, self.flow
        title = attributes.get("title") or attributes.get("aria-label") or ""
        if title.strip() and element.name not in ("img", "input", "area", "iframe"):
            element.undo.append(lambda: write_title(self, flow, at, title))
        if element.name == "a" and (target := attributes.get("href", "").strip()):
            element.undo.append(lambda: write_target(self, flow, at, target))

    def bracket(self, word: str, element: Element) -> None:
        opener = Opener(f"[{word}: ")
        self.openers.append(opener)

        def close() -> None:
            if opener.written:
                self.flow.raw("]")
            elif opener in self.openers:
                self.openers.remove(opener)

        element.undo.append(close)

    def _hide(self, element: Element) -> None:
        if not self._hidden:
            self.bracket("hidden", element)
        self._hidden += 1

        def show() -> None:
            self._hidden -= 1

        element.undo.append(show)

    def _content(self, element: Element, attributes: dict[str, str]) -> None:
        """Write what the element itself says, besides its content."""
        name = element.name
        if name in _HEADINGS:
            self._frames.append(Frame("heading", Flow(), level=_HEADINGS[name]))
        elif handler := ELEMENTS.get(name):
            handler(self, element, attributes)

    # Content that is no markup.

    def _raw(self, element: Raw) -> None:
        name, text = element.name, element.text
        if name == "title" and not self.is_open("svg"):
            if title := " ".join(text.split()):
                self.facts.setdefault("title", title)
        elif name == "script":
            self.not_shown(noun_of_script(element.attributes.get("type", ""), text))
        elif name == "iframe":
            self._inner_page(element.attributes, text)
        elif name != "style":
            self.flow.end_line()
            self.flow.preformatted += name != "title"
            self.flow.words(text.strip("\r\n"), self.openers)
            self.flow.preformatted -= name != "title"
            if name == "textarea" and (hint := element.attributes.get("placeholder", "")):
                self.mark(f"[{hint}]")
            self.flow.end_line()

    def _inner_page(self, attributes: dict[str, str], text: str) -> None:
        self.not_shown("embedded page", 0 if "srcdoc" in attributes else 1)
        labelled(self, Element("iframe"), {"label": attributes.get("title", "")})
        source = attributes.get("src", "")
        if OUTSIDE.match(source) and len(source) <= LONGEST_LINK:
            self.mark(f"[frame: {source}]")
        inner = attributes.get("srcdoc", "") or text
        if not inner.strip():
            return
        if self.depth >= _DEEPEST_FRAME:
            self.not_shown("embedded page")
            return
        page = Page(depth=self.depth + 1).read(tokens(inner))
        for noun, number in page.unshown.items():
            self.not_shown(noun, number)
        self.flow.take(page._frames[0].flow)

    # Tables.

    def _table_part(self, name: str, attributes: dict[str, str]) -> bool:
        """Begin a part of a table. Return False for one outside of a table, and for tables in tables in tables."""
        if name == "table":
            return self._begin_table(attributes)
        table = self._to_table()
        if table is None:
            if name in ("td", "th"):
                self.flow.end_line()
            return name in _ROWS
        if name in ("td", "th"):
            self._begin_cell(table, attributes)
        elif name == "tr":
            self._end_row(table)
            row = Element("tr")
            self._open(row)
            self._effects(row, attributes)
        elif name == "caption":
            return False
        return True

    def _begin_table(self, attributes: dict[str, str]) -> bool:
        if sum(frame.kind == "table" for frame in self._frames) >= _DEEPEST_TABLE:
            self.flow.end_line()
            return True
        self.flow.end_line(2)
        labelled(self, Element("table"), attributes)
        layout = attributes.get("role", "") in ("presentation", "none")
        frame = Frame("table", self.flow, Table(self.flow, layout))
        self._frames.append(frame)
        wrapper = Element("table")
        frame.opened.append(wrapper)
        frame.counts["table"] = 1
        self._effects(wrapper, attributes)
        return True

    def _to_table(self) -> Table | None:
        """Close what is open inside the present cell, and return the table."""
        if not any(frame.kind == "table" for frame in self._frames):
            return None
        while self._frame.kind != "table":
            self._close_frame()
        return self._frame.table

    def _begin_cell(self, table: Table, attributes: dict[str, str]) -> None:
        columns, rows = number_of(attributes.get("colspan", ""), 1), number_of(attributes.get("rowspan", ""), 1)
        frame = Frame("cell", Flow(), columns=max(1, columns), rows=max(1, rows))
        self._frames.append(frame)
        wrapper = Element("td")
        frame.opened.append(wrapper)
        frame.counts["td"] = 1
        self._effects(wrapper, attributes)

    def _end_table_part(self, name: str) -> None:
        if name == "table":
            if self._to_table() is not None:
                self._close_frame()
            return
        table = self._to_table()
        if table is not None and name in _ROWS:
            self._end_row(table)

    def _end_row(self, table: Table) -> None:
        table.end_row()
        if self._frame.counts.get("tr"):
            while self._pop(self._frame) != "tr":
                pass

    def _close_frame(self) -> None:
        """End a heading, a cell or a table, and hand its text to what it stands in."""
        frame = self._frame
        if frame.table:
            self._end_row(frame.table)
        self._pop_all(frame)
        self._frames.pop()
        outer = self.flow
        if frame.kind == "heading":
            label = " ".join(frame.flow.text.split())
            if label:
                outer.end_line(2)
                outer.start()
                if len(label) <= _LONGEST_HEADING:
                    outer.sections.append(Section(outer.chars, label.removeprefix("[hidden: "), frame.level))
                    label = f"{'#' * frame.level} {label}"
                outer.raw(label)
            outer.end_line(2)
        elif frame.kind == "cell" and self._frame.table:
            self._frame.table.add(frame.flow, frame.columns, frame.rows)
        elif frame.table:
            outer.end_line(2)
