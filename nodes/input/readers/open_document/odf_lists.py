"""Styles of OpenDocument files as far as the text depends on them: hidden words, and the numbers of lists."""

from dataclasses import dataclass, field

from ..office.numerals import numeral
from ..office.zip_package import Element

_NAMESPACES = {
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "urn:oasis:names:tc:opendocument:xmlns:table:1.0": "table",
    "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw",
    "urn:oasis:names:tc:opendocument:xmlns:style:1.0": "style",
    "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0": "presentation",
    "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg",
    "urn:oasis:names:tc:opendocument:xmlns:form:1.0": "form",
    "urn:oasis:names:tc:opendocument:xmlns:chart:1.0": "chart",
    "urn:oasis:names:tc:opendocument:xmlns:meta:1.0": "meta",
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0": "manifest",
    "urn:oasis:names:tc:opendocument:xmlns:config:1.0": "config",
    "urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0": "number",
    "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "loext",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.w3.org/1998/Math/MathML": "math",
}
_URIS = {prefix: uri for uri, prefix in _NAMESPACES.items()}
_FORMATS = {
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "": "none",
    "1st": "ordinal",
    "One": "cardinalText",
    "First": "ordinalText",
    "①, ②, ③, ...": "decimalEnclosedCircle",
    "一, 二, 三, ...": "chineseCounting",
}
_LEVELS = 10
_known: dict[str, str] = {}


def name(element: Element) -> str:
    """Return an element's name with the usual prefix of its namespace: `text:p`."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    if tag not in _known:
        uri, _, local = tag[1:].rpartition("}")
        if len(_known) > 10_000:
            _known.clear()
        _known[tag] = f"{_NAMESPACES.get(uri, 'other')}:{local}"
    return _known[tag]


def qualified(short: str) -> str:
    """Return the name as lxml writes it, from one with a prefix."""
    prefix, _, local = short.partition(":")
    return f"{{{_URIS[prefix]}}}{local}"


def value(element: Element, short: str, default: str = "") -> str:
    """Return an attribute by its name with the usual prefix: `text:style-name`."""
    return str(element.get(qualified(short), default))


def number_of(element: Element, short: str, default: int, most: int) -> int:
    """Return an attribute that is a number from 0 to `most`; `default` for anything else."""
    try:
        return max(0, min(int(value(element, short)), most))
    except ValueError:
        return default


UNWRITTEN = frozenset(
    qualified(one)
    for one in (
        *("text:tracked-changes", "text:table-of-content-source", "text:illustration-index-source"),
        *("text:table-index-source", "text:object-index-source", "text:user-index-source"),
        *("text:alphabetical-index-source", "text:bibliography-source", "text:sequence-decls"),
        *("text:variable-decls", "text:user-field-decls", "text:dde-connection-decls", "text:script"),
        *("text:number", "text:note-citation", "office:scripts", "office:event-listeners", "office:forms"),
        *("office:binary-data", "office:change-info", "svg:title", "svg:desc", "dc:creator", "dc:date"),
        *("meta:date-string", "meta:creator-initials", "loext:sender-initials"),
    )
)
"""Elements whose words are not text of the document, or are read where they begin."""


@dataclass(frozen=True)
class ListLevel:
    """The numbering of one level of a list."""

    form: str = "bullet"
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    levels: int = 1
    """Levels whose numbers are shown, this one included."""


@dataclass
class OdfStyles:
    """The styles of one file; `add` each part that has some."""

    hidden: set[str] = field(default_factory=set[str])
    """Names of the styles whose words are not displayed."""
    lists: dict[str, dict[int, ListLevel]] = field(default_factory=dict[str, dict[int, ListLevel]])
    outline: dict[int, ListLevel] = field(default_factory=dict[int, ListLevel])
    """The numbering of headings."""
    paragraph_lists: dict[str, str] = field(default_factory=dict[str, str])
    """The list style that a paragraph style brings along."""

    def add(self, root: Element) -> None:
        """Take the styles of a part."""
        for style in root.iter(qualified("style:style")):
            own = value(style, "style:name")
            if listed := value(style, "style:list-style-name"):
                self.paragraph_lists[own] = listed
            parent = value(style, "style:parent-style-name")
            displays = [value(one, "text:display") for one in style if name(one).endswith("-properties")]
            if not own:
                continue
            if "none" in displays or (parent in self.hidden and "true" not in displays):
                self.hidden.add(own)
        for style in root.iter(qualified("text:list-style")):
            self.lists[value(style, "style:name")] = _levels(style)
        for style in root.iter(qualified("text:outline-style")):
            self.outline = _levels(style)


def _levels(style: Element) -> dict[int, ListLevel]:
    found: dict[int, ListLevel] = {}
    for one in style:
        level = number_of(one, "text:level", 0, _LEVELS)
        if not name(one).endswith(("-level-style-number", "outline-level-style")):
            found[level] = ListLevel()
            continue
        found[level] = ListLevel(
            _FORMATS.get(value(one, "style:num-format"), "decimal"),
            value(one, "style:num-prefix"),
            value(one, "style:num-suffix"),
            number_of(one, "text:start-value", 1, 1 << 31),
            number_of(one, "text:display-levels", 1, _LEVELS),
        )
    return found


@dataclass
class _OpenList:
    style: str
    counts: dict[int, int]


@dataclass
class ListNumbers:
    """Counts the items of lists and the headings of one text, in its order."""

    styles: OdfStyles
    _open: list[_OpenList] = field(default_factory=list[_OpenList])
    _by_style: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    _by_name: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    _headings: dict[int, int] = field(default_factory=dict[int, int])

    def begin(self, element: Element) -> None:
        """Begin a list, which may lie in an item of another one."""
        style = value(element, "text:style-name")
        if self._open:
            outer = self._open[-1]
            self._open.append(_OpenList(style or outer.style, outer.counts))
            return
        continued = value(element, "text:continue-list")
        counts: dict[int, int] = {}
        if continued in self._by_name:
            counts = self._by_name[continued]
        elif value(element, "text:continue-numbering") == "true" and style in self._by_style:
            counts = self._by_style[style]
        self._by_style[style] = counts
        if own := value(element, "xml:id"):
            self._by_name[own] = counts
        self._open.append(_OpenList(style, counts))

    def end(self) -> None:
        """End the innermost list."""
        if self._open:
            self._open.pop()

    def item(self, element: Element) -> str:
        """Return the label of the next item, with a blank behind it."""
        if not self._open:
            return ""
        level, present = len(self._open), self._open[-1]
        levels = self.styles.lists.get(present.style, {})
        form = levels.get(level) or ListLevel()
        if form.form == "bullet":
            return "  " * (min(level, _LEVELS) - 1) + "- "
        return _next(present.counts, levels, level, number_of(element, "text:start-value", -1, 1 << 31))

    def heading(self, level: int, element: Element) -> str:
        """Return the number of the next heading, with a blank behind it; empty where headings have none."""
        form = self.styles.outline.get(level)
        if not form or value(element, "text:is-list-header") == "true":
            return ""
        restart = -1
        if value(element, "text:restart-numbering") == "true":
            restart = number_of(element, "text:start-value", form.start, 1 << 31)
        return _next(self._headings, self.styles.outline, level, restart)


def _next(counts: dict[int, int], levels: dict[int, ListLevel], level: int, start: int) -> str:
    form = levels[level]
    counts[level] = start if start >= 0 else counts.get(level, form.start - 1) + 1
    for deeper in [one for one in counts if one > level]:
        del counts[deeper]
    numbers: list[str] = []
    for one in range(max(1, level - form.levels + 1), level + 1):
        shown = levels.get(one) or form
        if text := numeral(counts.get(one, shown.start), shown.form):
            numbers.append(text)
    if form.form == "none":
        return ""
    return f"{form.prefix}{'.'.join(numbers)}{form.suffix} "
