"""The elements of a page that say more than the words inside them: lists, quotations, images, form controls.

Each function is called when its element starts, and adds what is to be done when it ends.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from .page_flow import Flow, Numbering, Opener, Table, has_words

LONGEST_LINK = 500
OUTSIDE = re.compile(r"(?:https?|ftp|mailto|tel|sip|sms):", re.IGNORECASE)
"""Addresses that mean something outside of the page's own site."""
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]*?(lower|upper)-(alpha|latin|roman)", re.IGNORECASE)
_TEMPLATE = re.compile(r"template|html|x-|text/plain|mustache", re.IGNORECASE)
_STRING = re.compile(r'"[^"\n]{20,}"' + r"|'[^'\n]{20,}'" + r"|`[^`]{20,}`")
_TAGS = re.compile(r"<[^<>]*>")
_SHOWN_FACTS = ("description", "author", "keywords", "subject", "abstract")
_SHOWN_PREFIXES = ("dc.", "dcterms.", "og:title", "og:description", "twitter:title", "twitter:description")


@dataclass
class Element:
    """An element that has not ended."""

    name: str
    undo: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])


@dataclass
class Frame:
    """The page, a table, a cell, or a heading, with the elements that are open in it."""

    kind: str
    flow: Flow
    table: Table | None = None
    level: int = 0
    opened: list[Element] = field(default_factory=list[Element])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    columns: int = 1
    rows: int = 1


class Writer(Protocol):
    """The page that elements are written to (`page.Page`)."""

    facts: dict[str, str]
    links: set[str]
    """The targets that were shown."""
    openers: list[Opener]
    raised: bool
    """True if the next words are a superscript."""
    fresh_pre: bool
    """True if preformatted text begins, whose first line end does not count."""

    @property
    def flow(self) -> Flow: ...

    def words(self, text: str) -> None: ...

    def mark(self, text: str) -> None: ...

    def not_shown(self, noun: str, number: int = 1) -> None: ...

    def is_open(self, name: str) -> bool: ...


def write_title(page: Writer, flow: Flow, at: int, title: str) -> None:
    """Write an element's title after it, unless its words say the same."""
    title = " ".join(title.split())
    if title.casefold() not in flow.since(at).casefold() and flow is page.flow:
        page.mark(f"({title})" if flow.chars > at else f"[{title}]")


def write_target(page: Writer, flow: Flow, at: int, target: str) -> None:
    """Write where a link leads, once on a page, unless its words say it."""
    if not OUTSIDE.match(target) or target in page.links or flow is not page.flow:
        return
    page.links.add(target)
    bare = re.sub(r"^(?:https?://|mailto:|tel:)", "", target, flags=re.IGNORECASE).rstrip("/")
    if bare and bare in flow.since(at):
        return
    shown = target if len(target) <= LONGEST_LINK else f"{target[:LONGEST_LINK]}…"
    page.mark(f"({shown})")


def _line(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    page.flow.end_line(min(page.flow.breaks + 1, 2))


def _rule(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    page.flow.put("---", [])
    page.flow.end_line()


def _list(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    style = "-"
    if element.name == "ol" and "reversed" not in attributes:
        style = attributes.get("type", "1") if attributes.get("type", "1") in "1aAiI" else "1"
        if found := _LIST_STYLE.search(attributes.get("style", "")):
            letter = "i" if found[2].lower() == "roman" else "a"
            style = letter.upper() if found[1].lower() == "upper" else letter
    flow = page.flow
    flow.lists.append(Numbering(style or "1", number_of(attributes.get("start", ""), 1)))
    element.undo.append(lambda: _drop(flow.lists))


def _item(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    flow = page.flow
    if not flow.lists:
        return
    if attributes.get("value"):
        flow.lists[-1].number = number_of(attributes["value"], flow.lists[-1].number)
    flow.marker = flow.lists[-1].marker()


def _quote(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    flow = page.flow
    flow.quotes += 1

    def close() -> None:
        flow.quotes -= 1

    element.undo.insert(0, close)


def _marked_quote(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    opener = Opener("\u201c")
    page.openers.append(opener)
    element.undo.append(lambda: page.flow.raw("\u201d") if opener.written else None)


def _verbatim(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    flow = page.flow
    flow.preformatted += 1
    page.fresh_pre = True

    def close() -> None:
        flow.preformatted -= 1
        page.fresh_pre = False

    element.undo.insert(0, close)


def _superscript(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    page.raised = True

    def close() -> None:
        page.raised = False

    element.undo.append(close)


def _reading(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    """Put the reading of a ruby word in brackets, unless the page does."""
    if page.flow.last in ("(", "\uff08"):
        return
    opener = Opener("(")
    page.openers.append(opener)
    element.undo.append(lambda: page.flow.raw(")") if opener.written else None)


def _image(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    alternative, title = attributes.get("alt", "").strip(), attributes.get("title", "").strip()
    if alternative:
        page.mark(f"[image: {alternative}]")
    if title and title != alternative:
        page.mark(f"({title})")
    tiny = {attributes.get("width", ""), attributes.get("height", "")} <= {"0", "1", "0px", "1px"}
    if element.name in ("img", "image") and not tiny:
        page.not_shown("image")


def _control(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    kind = attributes.get("type", "text").lower()
    value = attributes.get("value", "").strip()
    if kind == "hidden":
        if value:
            page.mark(f"[hidden: {value}]") if " " in value else page.not_shown("hidden form value")
        return
    if kind in ("checkbox", "radio"):
        page.mark("[x]" if "checked" in attributes else "[ ]")
        value = value if value.lower() not in ("on", "1", "true") and " " in value else ""
    for shown in (value, attributes.get("placeholder"), attributes.get("alt"), attributes.get("title")):
        if shown and kind != "password":
            page.mark(f"[{shown}]")
    if kind == "password" and attributes.get("placeholder"):
        page.mark(f"[{attributes['placeholder']}]")


def _choice(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    flow, at = page.flow, page.flow.chars
    label = attributes.get("label", "") or (attributes.get("value", "") if page.is_open("datalist") else "")
    if element.name == "optgroup":
        page.words(label)
        flow.end_line()
        return
    page.flow.put("- ", [])

    def close() -> None:
        if label and label not in flow.since(at):
            flow.words(label, page.openers)
        if "selected" in attributes:
            page.mark("(selected)")

    element.undo.append(close)


def _embedded(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    noun = {"frame": "embedded page", "embed": "embedded object", "object": "embedded object"}
    page.not_shown(noun.get(element.name, element.name))
    source = attributes.get("src") or attributes.get("data") or ""
    if OUTSIDE.match(source) and len(source) <= LONGEST_LINK:
        page.mark(f"[{element.name}: {source}]")


def _fact(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    name = (attributes.get("name") or attributes.get("property") or "").lower()
    content = " ".join(attributes.get("content", "").split())
    if content and (name in _SHOWN_FACTS or name.startswith(_SHOWN_PREFIXES)):
        page.facts.setdefault(name, content)


def labelled(page: Writer, element: Element, attributes: dict[str, str]) -> None:
    if label := attributes.get("label") or attributes.get("summary") or attributes.get("alttext"):
        page.mark(f"[{label}]")


def noun_of_script(kind: str, text: str) -> str:
    """Return the name under which an element `script` is counted; empty for one that holds nothing to read."""
    if not text.strip():
        return ""
    if "json" in kind.lower():
        return "block of data"
    if _TEMPLATE.search(kind):
        return "template in a script"
    return "script with text" if any(one.count(" ") >= 3 for one in _STRING.findall(text)) else ""


def noun_of_comment(text: str) -> str:
    """Return the name under which a comment is counted; empty for one that holds no words."""
    if text.startswith("[if"):
        inner = text.partition(">")[2].rpartition("<!")[0]
        return "conditional comment" if has_words(_TAGS.sub("", inner)) else ""
    if text.startswith(("[endif", "[if", "[else")):
        return ""
    return "comment" if has_words(text) and len(_TAGS.sub(" ", text).split()) > 1 else ""


def number_of(text: str, default: int) -> int:
    try:
        return int(text.strip()[:9])
    except ValueError:
        return default


def _drop(lists: list[Numbering]) -> None:
    if lists:
        lists.pop()


Handler: TypeAlias = Callable[[Writer, Element, dict[str, str]], None]

_HANDLERS: dict[Handler, str] = {
    _line: "br",
    _rule: "hr",
    _list: "ul ol menu dir",
    _item: "li",
    _quote: "blockquote",
    _marked_quote: "q",
    _verbatim: "pre listing",
    _superscript: "sup",
    _reading: "rt",
    _image: "img image area",
    _control: "input",
    _choice: "option optgroup",
    _embedded: "video audio embed object frame canvas applet",
    _fact: "meta",
    labelled: "math track",
}
ELEMENTS: dict[str, Handler] = {name: handler for handler, names in _HANDLERS.items() for name in names.split()}
"""The handlers by the names of elements."""
