"""HTML as text by the standard library alone, for where no HTML library is installed.

One line a block, a table's cells separated by tabs, list items after `- `. Words that a browser does not draw are there
too: alternative texts, the titles of elements, form values; hidden and struck ones are marked. Scripts and styles are
left out, and so is the title. Tags are scanned here, in linear time: `html.parser` needs quadratic time for what is not
closed.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TAG = re.compile(r"""</?([a-zA-Z][^\s/>]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_UNSEEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_MOST_ODD_TAGS = 100
"""Tags with an unclosed quotation mark; beyond, a tag ends at the next `>`."""
_LONGEST_ATTRIBUTES = 100_000
"""Characters of a tag's attributes that are looked at; a picture inside of the text may be larger."""

# fmt: off
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "frameset", "h1", "h2", "h3", "h4",
    "h5", "h6", "head", "header", "hr", "html", "legend", "li", "main", "menu", "nav", "ol", "optgroup", "option",
    "p", "pre", "section", "select", "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul"
})
# fmt: on
_APART = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "pre", "blockquote", "title"])
"""Blocks with an empty line around them."""
_RAW = frozenset(["script", "style", "title"])
_STRUCK = frozenset(["s", "del", "strike"])
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_SHOWN_ATTRIBUTES = ("alt", "title", "placeholder", "label", "aria-label", "summary")


def text_of_html(text: str) -> str:
    """Return the text of a page without its title, ending with a line end unless it is empty.

    Nothing is raised for damaged HTML.
    """
    page = _Page()
    for kind, name, content in _pieces(text):
        if kind == "text":
            page.words(content)
        elif kind == "end":
            page.end(name)
        else:
            page.start(name, content)
    return page.text()


def _pieces(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield what the text is made of: ("text", "", words), ("start", tag, attributes), ("end", tag, "")."""
    at = 0
    odd = 0
    while (sign := text.find("<", at)) >= 0:
        if sign > at:
            yield "text", "", text[at:sign]
        second = text[sign + 1 : sign + 2]
        if second in ("!", "?"):
            opening, closing = ("<!--", "-->") if text.startswith("<!--", sign) else ("<", ">")
            end = text.find(closing, sign + len(opening))
            if end < 0:
                yield "text", "", text[sign:]
                return
            at = end + len(closing)
        elif second == "/" or (second.isascii() and second.isalpha()):
            found = _TAG.match(text, sign) if odd < _MOST_ODD_TAGS else None
            end = found.end() if found else text.find(">", sign) + 1
            if not end:
                yield "text", "", text[sign:]
                return
            odd += not found
            at = end
            name, attributes = _name(text[sign:end]) if not found else (found[1].lower(), found[2])
            yield "end" if second == "/" else "start", name, attributes
            if name in _RAW and second != "/":
                at = _after_raw(text, at, name)
        else:
            yield "text", "", "<"
            at = sign + 1
    yield "text", "", text[at:]


def _name(tag: str) -> tuple[str, str]:
    name, _, attributes = tag.strip("</>").partition(" ")
    return name.lower(), attributes


def _after_raw(text: str, at: int, name: str) -> int:
    """Return where the content of a script, style or title ends: at its end tag, or at the end of the page."""
    found = re.compile(f"</{name}", re.IGNORECASE).search(text, at)
    return found.start() if found else len(text)


@dataclass
class _Page:
    """The text under construction."""

    pieces: list[str] = field(default_factory=list[str])
    empty_lines: int = 2
    """Line ends at the end of the text so far; the page begins as after an empty line."""
    blank: bool = False
    """Whether a blank is due before the next word."""
    marks: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """The marks that are open, by the tag that opened each and how deep that tag is nested in itself."""
    verbatim: int = 0
    """The number of open `pre`."""
    cells: int = 0
    """Cells of the present row so far."""

    def words(self, content: str) -> None:
        content = _unescaped(content)
        if self.verbatim:
            self._write(content.replace("\r\n", "\n"))
            return
        folded = _BLANKS.sub(" ", content)
        if folded.startswith(" "):
            self.blank = True
        if word := folded.strip(" "):
            self._write(word)
            self.blank = folded.endswith(" ")

    def start(self, name: str, attributes: str) -> None:
        if name == "br":
            self._line_end()
        elif name in ("td", "th"):
            self.blank = False
            if self.cells:
                self.pieces.append("\t")
                self.empty_lines = 0
            self.cells += 1
        elif name in _BLOCKS:
            self._block(name)
            if name == "li":
                self._write("- ")
            self.verbatim += name == "pre"
            self.cells = 0 if name in ("tr", "table") else self.cells
        found = _attributes(attributes) if attributes.strip(" /") else {}
        self._open_marks(name, found)
        for key in _SHOWN_ATTRIBUTES:
            if value := found.get(key, "").strip():
                self.words(f" [{'image' if key == 'alt' else key}: {value}] ")
        if name in ("input", "button") and found.get("type", "").lower() != "hidden" and found.get("value", "").strip():
            self.words(f" [{found['value']}] ")

    def end(self, name: str) -> None:
        for mark, (tag, depth) in list(self.marks.items()):
            if tag == name:
                self.marks[mark] = (tag, depth - 1)
                if depth == 1:
                    del self.marks[mark]
                    self._write("]")
        if name in _BLOCKS:
            self._block(name)
            self.verbatim = max(0, self.verbatim - (name == "pre"))
            if name in ("tr", "table"):
                self.cells = 0

    def text(self) -> str:
        if self.marks:
            self._write("]" * len(self.marks))
        text = "".join(self.pieces).strip()
        return f"{text}\n" if text else ""

    def _open_marks(self, name: str, found: dict[str, str]) -> None:
        for mark, (tag, depth) in self.marks.items():
            if tag == name:
                self.marks[mark] = (tag, depth + 1)
        if name in _VOID:
            return
        unseen = "hidden" in found or _UNSEEN.search(found.get("style", "")) is not None
        for mark, is_so in (("hidden", unseen), ("struck", name in _STRUCK)):
            if is_so and mark not in self.marks:
                self.marks[mark] = (name, 1)
                self._write(f"[{mark}: ")

    def _block(self, name: str) -> None:
        if self.cells and name not in ("tr", "table", "tbody", "tfoot", "thead"):
            # A block inside of a cell must not cut the row.
            self.blank = True
            return
        self._line_end(2 if name in _APART else 1, at_least=True)

    def _line_end(self, number: int = 1, *, at_least: bool = False) -> None:
        self.blank = False
        more = max(0, number - self.empty_lines) if at_least else number
        if self.cells and not at_least:
            self.blank = True
        elif more:
            self.pieces.append("\n" * more)
            self.empty_lines += more

    def _write(self, text: str) -> None:
        if self.blank and not self.empty_lines:
            self.pieces.append(" ")
        self.blank = False
        if text:
            self.pieces.append(text)
            self.empty_lines = len(text) - len(text.rstrip("\n"))


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in _ATTRIBUTE.finditer(text[:_LONGEST_ATTRIBUTES]):
        found.setdefault(one[1].lower(), one[2] or one[3] or one[4] or "")
    return found


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits
        return text
