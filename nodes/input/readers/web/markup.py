"""HTML and XML as a sequence of tags and texts, in linear time for any input.

This follows the tokenizer of the HTML standard without building a tree: browsers read every sequence of characters, and
trees of hostile depth are the weakness of the libraries that build one. No entity of a DOCTYPE is expanded and nothing
is fetched.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple, TypeAlias


class Start(NamedTuple):
    """A start tag."""

    name: str
    """In lower case."""
    attributes: dict[str, str]
    """Names in lower case; the first of several equal names counts."""
    closed: bool
    """True if the element ends here: `<br/>` in XML, and elements that have no content."""


class End(NamedTuple):
    """An end tag."""

    name: str


class Text(NamedTuple):
    """Characters, with their entities resolved."""

    text: str


class Comment(NamedTuple):
    """A comment, or a declaration that browsers take for one."""

    text: str


class Raw(NamedTuple):
    """An element whose content is not markup, with its content: a script, a style sheet, the title, a text area."""

    name: str
    attributes: dict[str, str]
    text: str


Token: TypeAlias = Start | End | Text | Comment | Raw

# fmt: off
_VOID = frozenset({
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link",
    "meta", "param", "source", "track", "wbr"
})
# fmt: on
_RAW = frozenset(("script", "style", "xmp", "iframe", "plaintext"))
_RESOLVED = frozenset(("title", "textarea"))
"""Their content is text with entities."""
_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_TAG_END = re.compile(r"[\s/]*>")
_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in (_RAW | _RESOLVED) - {"plaintext"}}
_MOST_ATTRIBUTES = 500
"""Attributes kept of one tag."""


def tokens(source: str, *, xml: bool = False) -> Iterator[Token]:
    """Yield the tags and texts of `source`. `xml`: `<p/>` is an empty element, as in XHTML; in HTML it is a start."""
    at = 0
    while at < len(source):
        begin = source.find("<", at)
        if begin < 0:
            yield Text(resolved(source[at:]))
            return
        if begin > at:
            yield Text(resolved(source[at:begin]))
        following = source[begin + 1 : begin + 2]
        if following in ("!", "?"):
            token, at = _declaration(source, begin, xml=xml)
            if token:
                yield token
        elif found := _NAME.match(source, begin):
            if following == "/":
                end = source.find(">", found.end())
                # A file that ends within an end tag: browsers drop that rest.
                yield End(found[1].lower()) if end >= 0 else Text(source[begin:])
                at = end + 1 if end >= 0 else len(source)
            else:
                token, at = _element(source, found, xml=xml)
                yield token
        else:
            yield Text("<")
            at = begin + 1


def resolved(text: str) -> str:
    """Return text with its entities resolved."""
    if "&" not in text:
        return text
    try:
        return unescape(text)
    except (ValueError, OverflowError):
        # A reference to a character whose number has thousands of digits.
        return text


def _declaration(source: str, begin: int, *, xml: bool) -> tuple[Token | None, int]:
    """Return a comment, a section of plain characters, or nothing for a DOCTYPE; and where it ends."""
    if source.startswith("<!--", begin):
        if source.startswith((">", "->"), begin + 4):
            return None, source.index(">", begin) + 1
        end = source.find("-->", begin + 4)
        return (Comment(source[begin + 4 : end]), end + 3) if end >= 0 else (Comment(source[begin + 4 :]), len(source))
    if source.startswith("<![CDATA[", begin):
        end = source.find("]]>", begin)
        return (Text(source[begin + 9 : end]), end + 3) if end >= 0 else (Text(source[begin + 9 :]), len(source))
    close = "?>" if xml and source.startswith("<?", begin) else ">"
    end = source.find(close, begin)
    if end < 0:
        # Browsers drop the rest; here it is text.
        return Text(source[begin:]), len(source)
    is_doctype = source[begin : begin + 9].lower() == "<!doctype"
    if is_doctype and (subset := source.find("[", begin, end)) >= 0 and xml:
        # The declarations of a DOCTYPE contain tags' ends.
        inner = source.find("]", subset)
        end = source.find(">", inner) if inner >= 0 else end
    quiet = is_doctype or source.startswith("<?xml", begin)
    return None if quiet else Comment(source[begin + 2 : end]), max(end, begin) + len(close)


def _element(source: str, found: re.Match[str], *, xml: bool) -> tuple[Token, int]:
    """Return a start tag, or an element whose content is no markup; and where it ends."""
    name = found[1].lower()
    attributes: dict[str, str] = {}
    at = found.end()
    while not (end := _TAG_END.match(source, at)):
        one = _ATTRIBUTE.match(source, at)
        if not one:
            # The file ends within a tag, which browsers drop.
            return Text(source[found.start() :]), len(source)
        at = one.end()
        if len(attributes) < _MOST_ATTRIBUTES:
            value = one[2] if one[2] is not None else one[3] if one[3] is not None else one[4]
            attributes.setdefault(one[1].lower(), resolved(value) if value else "")
    empty = source[end.end() - 2] == "/"
    at = end.end()
    if xml and empty:
        return Start(name, attributes, closed=True), at
    if name not in _RAW and name not in _RESOLVED:
        return Start(name, attributes, closed=name in _VOID), at
    close = _ENDS[name].search(source, at) if name in _ENDS else None
    text = source[at : close.start() if close else None]
    if close:
        after = source.find(">", close.end())
        at = after + 1 if after >= 0 else len(source)
    else:
        at = len(source)
    return Raw(name, attributes, resolved(text) if name in _RESOLVED else text), at
