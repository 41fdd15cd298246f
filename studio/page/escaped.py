"""Texts as HTML. Every text is data: characters that hide, move or reorder others are shown by their numbers."""

import re

from markupsafe import Markup, escape

from ..terminal.escape import HOSTILE
from ..terminal.escape import escape as escape_hostile

LONGEST = 40_000
"""The most characters of a text that a page shows at once."""


def shown(text: object, most: int = LONGEST) -> Markup:
    """Return a text as HTML, cut after `most` characters, which the last words then say."""
    whole = str(text)
    text = whole[:most].replace("\r\n", "\n")
    # None of these characters is one that HTML escapes.
    html = Markup(HOSTILE.sub(_named, str(escape(text))))
    if len(whole) > most:
        html += Markup('<span class="cut">… {} more characters</span>').format(f"{len(whole) - most:,}")
    return html


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f'<span class="esc" title="U+{code:04X}">\\u{code:04x}</span>'


def plain(text: object, most: int = 160) -> str:
    """Return a text on one line as plain text, for an attribute or a title: cut, hidden characters by their numbers."""
    one = " ".join(str(text)[: 8 * most].split())
    return HOSTILE.sub(escape_hostile, f"{one[: most - 1]}…" if len(one) > most else one)


def line(text: object, most: int = 160) -> Markup:
    """Return a text as HTML on one line: white space becomes single spaces, and a cut shows as `…`."""
    # Only the beginning is looked at: thousands of prompts of megabytes may have to be cut.
    beginning = str(text)[: 8 * most]
    one = " ".join(beginning.split())
    cut = len(one) > most or len(beginning) < len(str(text))
    return shown(f"{one[: most - 1]}…" if cut else one)


def with_code(text: object, most: int = 400) -> Markup:
    """Return a sentence of this program as HTML on one line, with the commands between its backticks as code."""
    parts = line(text, most).split("`")
    if len(parts) % 2 == 0:
        return Markup("`").join(parts)
    return Markup("").join(Markup("<code>{}</code>").format(one) if at % 2 else one for at, one in enumerate(parts))
