"""Markdown as HTML without styles, scripts, pictures or HTML of their own."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from ...matching.markers import MARKER
from ..terminal.escape import HOSTILE, escape
from .escaped import shown

LONGEST = 200_000
"""The most characters of a text that are read as Markdown."""
_LINK = re.compile(r"https?://|#")
_KEPT = "\n\t"
_CUT = Markup("<p>{}</p>")


@lru_cache(1)
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    # Definitions of links, which are not shown, can say whatever they like.
    reader.disable(["image", "html_block", "html_inline", "reference"])
    reader.validateLink = lambda url: bool(_LINK.match(url))
    # As it was written: what is decoded may look like another address.
    reader.normalizeLinkText = lambda link: link
    return reader


def markdown(text: str, cited: Callable[[str], Markup] | None = None) -> Markup:
    """Return Markdown as HTML. Links lead to other sites or within the page, and tell neither where they come from.

    `cited` returns what stands in place of the marker of a citation, given its number; empty where it cites nothing.
    """
    reader = _reader()
    tokens = reader.parse(_visible(text[:LONGEST]))
    for token in tokens:
        _reveal(token)
        # The alignment of a table's cells, which the policy of the page forbids as a style.
        token.attrs.pop("style", None)
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noreferrer noopener")
        if cited and token.children:
            token.children = list(_with_citations(token.children, cited))
    html = Markup(reader.renderer.render(tokens, reader.options, {}))
    return html + _CUT.format(shown(text[LONGEST:], 0)) if len(text) > LONGEST else html


def _visible(text: str) -> str:
    return HOSTILE.sub(lambda found: found[0] if found[0] in _KEPT else escape(found), text)


def _reveal(token: Token) -> None:
    """Escape in a token what Markdown has decoded: `&#x202e;` is a character that hides or reorders others, too."""
    # The language of a block of code has no use here.
    token.content, token.info = _visible(token.content), ""
    token.attrs = {name: _visible(one) if isinstance(one, str) else one for name, one in token.attrs.items()}
    for child in token.children or ():
        _reveal(child)


def _with_citations(tokens: Sequence[Token], cited: Callable[[str], Markup]) -> Iterator[Token]:
    inside = 0
    for token in tokens:
        inside += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type != "text" or inside:
            yield token
            continue
        # A split by a pattern with one group has the numbers at the odd places.
        for place, part in enumerate(MARKER.split(token.content)):
            if place % 2 and (link := cited(part)):
                yield Token("html_inline", "", 0, content=str(link))
            elif part:
                yield Token("text", "", 0, content=f"[^{part}]" if place % 2 else part)


def with_citations(text: str, cited: Callable[[str], Markup], most: int = 1_000) -> Markup:
    """Return a text as HTML with citations in place of their markers, cut after `most` characters."""
    parts = [
        (cited(part) or shown(f"[^{part}]")) if place % 2 else shown(part)
        for place, part in enumerate(MARKER.split(text[:most]))
    ]
    return Markup("").join([*parts, shown(text[most:], 0)] if len(text) > most else parts)
