"""Python code as HTML, coloured in time that grows with its length alone: code is written by models.

Pygments is not used. Its patterns for strings and for white space take minutes for some kilobytes of hostile code.
"""

import builtins
import keyword
import re
from collections.abc import Iterator
from functools import lru_cache

from markupsafe import Markup

from .escaped import shown

LONGEST = 200_000
"""The most characters of code that are shown, unless fewer are asked for."""
_CACHED = 20_000
"""The most characters of code that is kept as HTML."""
_TOKEN = re.compile(
    r"""
    (?P<c1> \#[^\n]* )
  | (?P<s1> (?:[rRbBuUfFtT]{1,2}(?=["']))? (?:
          '{3} (?:[^'\\]|\\.|'(?!''))* (?:'{3}|\\)?
        | "{3} (?:[^"\\]|\\.|"(?!""))* (?:"{3}|\\)?
        | ' (?:[^'\\\n]|\\.)* '?
        | " (?:[^"\\\n]|\\.)* "?
    ) )
  | (?P<mi> [0-9] [\w.]* )
  | (?P<word> \w+ )
  | (?P<space> [^\w\#"'\n]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {
    **{name: "nb" for name in dir(builtins) if not name.startswith("_")},
    **dict.fromkeys(keyword.kwlist, "k"),
    **{"import": "kn", "from": "kn", "True": "kc", "False": "kc", "None": "kc"},
    **dict.fromkeys(("and", "or", "not", "in", "is"), "ow"),
}
"""The classes of words that have a colour."""
_NAMED = {"def": "nf", "class": "nc"}
"""Words before a name, with the class of the name."""


def code_lines(source: str, most: int = LONGEST) -> tuple[Markup, ...]:
    """Return Python code as HTML, line by line, coloured by classes that begin with `hl-`.

    Where there are more than `most` characters, the last line says so.
    """
    return (_cached if len(source) <= _CACHED else _lines)(source, most)


def _lines(source: str, most: int) -> tuple[Markup, ...]:
    lines: list[list[Markup]] = [[]]
    for name, value in _coloured(source[:most]):
        for at, part in enumerate(value.split("\n")):
            if at:
                lines.append([])
            if part:
                html = shown(part, len(part))
                lines[-1].append(Markup('<span class="hl-{}">{}</span>').format(name, html) if name else html)
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    if len(source) > most:
        lines.append([shown(source[most:], 0)])
    return tuple(Markup("").join(parts) for parts in lines)


_cached = lru_cache(maxsize=200)(_lines)


def _coloured(source: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of code, each behind its class, which is empty for what has no colour."""
    at, before = 0, ""
    for found in _TOKEN.finditer(source):
        kind, text = found.lastgroup or "", found[0]
        name = kind
        if kind == "word":
            name = _NAMED.get(before) or _WORDS.get(text, "")
        if kind != "space":
            before = text
        if name in ("", "space"):
            continue
        if found.start() > at:
            yield "", source[at : found.start()]
        yield name, text
        at = found.end()
    yield "", source[at:]
