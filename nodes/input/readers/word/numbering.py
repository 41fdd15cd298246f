"""Styles and automatic numbers of Word documents, counted as Word counts them (ECMA-376 part 1, 17.9).

Numbers are counted by abstract list, which several lists (`w:num`) may share; a list that overrides a start restarts
once. A level restarts after any higher one, or after those that `w:lvlRestart` names.
"""

import re
from dataclasses import dataclass, field

from ..office.numerals import numeral
from ..office.zip_package import Element, attribute, local

_LEVELS = 9
_LONGEST_CHAIN = 60
"""Styles based on styles based on styles: more than Word allows."""
_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_PLACEHOLDER = re.compile("%([1-9])")


def child(element: Element | None, *path: str) -> Element | None:
    """Return the first element along a path of names without namespaces; None without one."""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if local(one) == name), None)
    return element


def setting(element: Element | None, *path: str) -> str | None:
    """Return the `val` of the element at a path; None without that element, an empty text without a `val`."""
    found = child(element, *path)
    return None if found is None else attribute(found, "val")


def switched(element: Element | None, *path: str) -> bool | None:
    """Return whether the property at a path is on; None where it is not given."""
    found = setting(element, *path)
    return None if found is None else found.lower() not in ("0", "false", "off", "none")


def whole(text: str | None, default: int) -> int:
    """Return a number of reasonable size; `default` for anything else."""
    try:
        return max(-(1 << 31), min(int(text or ""), 1 << 31))
    except ValueError:
        return default


@dataclass
class Style:
    """The properties that a style, with all that it is based on, gives its paragraphs or words."""

    numbering: str | None = None
    """The list; `0` takes the number away."""
    level: int | None = None
    outline: int | None = None
    """0 for a topmost heading; 9 for body text."""
    hidden: bool | None = None
    chain: tuple[str, ...] = ()
    """The style and those it is based on."""


class Styles:
    """The styles of a document."""

    def __init__(self, root: Element | None = None) -> None:
        """Take them from their part."""
        self._elements: dict[str, Element] = {}
        self._resolved: dict[str, Style] = {}
        self.default = ""
        """The style of paragraphs that name none."""
        for one in root if root is not None else ():
            if local(one) == "style":
                identity = attribute(one, "styleId")
                self._elements.setdefault(identity, one)
                if attribute(one, "type") == "paragraph" and attribute(one, "default") in ("1", "true", "on"):
                    self.default = identity

    def __getitem__(self, identity: str) -> Style:
        """Return a style; one that says nothing if it is not known."""
        if identity not in self._resolved:
            self._resolved[identity] = self._resolve(identity)
        return self._resolved[identity]

    def _resolve(self, identity: str) -> Style:
        style, chain = Style(), list[str]()
        present: str | None = identity
        while present in self._elements and present not in chain and len(chain) < _LONGEST_CHAIN:
            chain.append(present)
            element = self._elements[present]
            properties = child(element, "pPr")
            numbers = child(properties, "numPr")
            if style.numbering is None:
                style.numbering = setting(numbers, "numId")
            if style.level is None and (level := setting(numbers, "ilvl")) is not None:
                style.level = whole(level, 0)
            if style.outline is None:
                style.outline = self._outline(element, properties)
            if style.hidden is None:
                style.hidden = switched(element, "rPr", "vanish")
            present = setting(element, "basedOn")
        if not chain and (match := _HEADING.fullmatch(identity)):
            style.outline = int(match[1]) - 1
        style.chain = tuple(chain) or (identity,)
        return style

    def _outline(self, element: Element, properties: Element | None) -> int | None:
        if (level := setting(properties, "outlineLvl")) is not None:
            return whole(level, 9)
        match = _HEADING.fullmatch(setting(element, "name") or "")
        return int(match[1]) - 1 if match else None


@dataclass
class _Level:
    form: str = "decimal"
    text: str = ""
    start: int = 1
    legal: bool = False
    restart: int | None = None
    """Restarts after levels below this one, counted from 1; 0: never."""
    style: str = ""


@dataclass
class _List:
    abstract: str
    levels: dict[int, _Level]
    starts: dict[int, int]
    """Numbers with which its levels begin anew when they are first used."""


def _level(element: Element) -> _Level:
    found = _Level()
    for one in element.iter():
        # The number format may lie in alternatives, of which the first is the wanted one.
        match local(one):
            case "numFmt" if found.form == "decimal":
                found.form = attribute(one, "val", "decimal")
                if found.form == "custom":
                    found.form = f"custom {attribute(one, 'format').partition(',')[0].strip()}"
            case "lvlText":
                found.text = attribute(one, "val")
            case "start":
                found.start = whole(attribute(one, "val"), 1)
            case "isLgl":
                found.legal = attribute(one, "val", "1") not in ("0", "false", "off")
            case "lvlRestart":
                found.restart = whole(attribute(one, "val"), 0)
            case "pStyle":
                found.style = attribute(one, "val")
            case _:
                pass
    return found


@dataclass
class Counts:
    """The numbers reached in one story (body, text boxes, notes …)."""

    reached: dict[str, dict[int, int]] = field(default_factory=dict[str, dict[int, int]])
    used: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])


class Numbering:
    """The lists of a document."""

    def __init__(self, root: Element | None, styles: Styles) -> None:
        """Take them from their part."""
        self._styles = styles
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._links: dict[str, str] = {}
        self._lists: dict[str, _List] = {}
        self._resolved: dict[str, tuple[str, dict[int, _Level]]] = {}
        for one in root if root is not None else ():
            if local(one) == "abstractNum":
                identity = attribute(one, "abstractNumId")
                self._abstract[identity] = {
                    whole(attribute(level, "ilvl"), 0): _level(level) for level in one if local(level) == "lvl"
                }
                if link := setting(one, "numStyleLink"):
                    self._links[identity] = link
        for one in root if root is not None else ():
            if local(one) == "num":
                self._lists[attribute(one, "numId")] = self._list(one)

    def _list(self, element: Element) -> _List:
        found = _List(setting(element, "abstractNumId") or "", {}, {})
        for override in element:
            if local(override) != "lvlOverride":
                continue
            level = whole(attribute(override, "ilvl"), 0)
            if (start := setting(override, "startOverride")) is not None:
                found.starts[level] = whole(start, 1)
            if (replaced := child(override, "lvl")) is not None:
                found.levels[level] = _level(replaced)
        return found

    def label(self, direct: Element | None, style: Style, counts: Counts) -> str:
        """Count a paragraph and return its number, with a blank behind it; empty without one.

        `direct`: its own `numPr`, which prevails over its style's.
        """
        own = setting(direct, "numId")
        identity = own if own is not None else style.numbering
        if not identity or identity == "0" or identity not in self._lists:
            return ""
        abstract, levels = self._levels(identity)
        if (given := setting(direct, "ilvl")) is not None:
            level = whole(given, 0)
        else:
            level = self._level_of(style, levels) if own is None else 0
        if level not in levels:
            return ""
        reached = counts.reached.setdefault(abstract, {})
        self._count(identity, level, levels, reached, counts.used)
        return _written(level, levels, reached)

    def _levels(self, identity: str) -> tuple[str, dict[int, _Level]]:
        """Return the abstract list of a list, by which it is counted, and its levels."""
        if identity not in self._resolved:
            numbers = self._lists[identity]
            abstract = self._followed(numbers.abstract)
            self._resolved[identity] = abstract, {**self._abstract.get(abstract, {}), **numbers.levels}
        return self._resolved[identity]

    def _followed(self, abstract: str) -> str:
        """Return the abstract list that one defined by a style leads to."""
        for _ in range(_LONGEST_CHAIN):
            if abstract not in self._links or self._abstract.get(abstract):
                break
            linked = self._lists.get(self._styles[self._links[abstract]].numbering or "")
            if linked is None:
                break
            abstract = linked.abstract
        return abstract

    def _level_of(self, style: Style, levels: dict[int, _Level]) -> int:
        """Return the level of a style: the one that names it, else the one that it names."""
        by_style = {one.style: level for level, one in levels.items() if one.style}
        for identity in style.chain:
            if identity in by_style:
                return by_style[identity]
        return style.level or 0

    def _count(
        self, identity: str, level: int, levels: dict[int, _Level], reached: dict[int, int], used: set[tuple[str, int]]
    ) -> None:
        starts = self._lists[identity].starts
        if level in starts and (identity, level) not in used:
            reached[level] = starts[level]
        elif level in reached:
            reached[level] += 1
        else:
            reached[level] = starts.get(level, levels[level].start)
        used.add((identity, level))
        for higher in range(level):
            if higher in levels:
                reached.setdefault(higher, starts.get(higher, levels[higher].start))
        for deeper in [one for one in reached if one > level]:
            restart = levels[deeper].restart if deeper in levels else None
            if restart is None or level < restart:
                del reached[deeper]


def _written(level: int, levels: dict[int, _Level], reached: dict[int, int]) -> str:
    present = levels[level]
    if present.form == "bullet":
        return "  " * min(level, _LEVELS) + "- "

    def number(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        if index not in levels:
            return ""
        form = levels[index].form
        return _number(reached.get(index, levels[index].start), "decimal" if present.legal else form)

    text = _PLACEHOLDER.sub(number, present.text).strip()
    return f"{text} " if text else ""


def _number(value: int, form: str) -> str:
    if form.startswith("custom "):
        # `001, 002, 003, …`: its first number shows the width.
        return f"{value:0{min(len(form) - 7, 20)}}"
    return numeral(value, form)
