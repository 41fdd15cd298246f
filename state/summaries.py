"""Texts on one line, for lists: the first sentence of what a turn does, and the first line of an answer."""

import re

LONGEST = 200
"""Characters of a summary."""
_LOOKED_AT = 2_000
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_MARKS = " \t#*_>-`~"
"""Signs of Markdown around a sentence."""
_EMPHASIS = re.compile(r"\*\*|`|\[\^\d{1,6}\]")
"""Signs of Markdown inside of a sentence. Single stars and underscores are not among them: names have them, too."""
_LISTED = re.compile(r"(?:[#>]+|[-+*]|\d{1,3}[.)])[ \t]+")
"""The beginning of a heading, a quotation or an entry of a list."""
_END = re.compile(r"(?<=[.!?])[*_`\"')]{0,3}(?= |$)")


def prose_summary(prose: str) -> str:
    """Return the first sentence of a reply's prose, on one line; empty without any."""
    for line in prose[:_LOOKED_AT].splitlines():
        text = _EMPHASIS.sub("", _shown(line)).strip(_MARKS)
        if any(map(str.isalnum, text)):
            end = _END.search(text)
            return _cut((text[: end.end()] if end else text).strip(_MARKS).rstrip(":"))
    return ""


def first_line(text: str) -> str:
    """Return the first line of a text that has words, without signs of Markdown; else its first line."""
    lines = [line.strip() for line in text[:_LOOKED_AT].splitlines()]
    for line in lines:
        begin = 0
        while found := _LISTED.match(line, begin):
            begin = found.end()
        shown = " ".join(_EMPHASIS.sub("", line[begin:].strip("|")).split())
        if any(map(str.isalnum, shown)):
            return shown
    return next(filter(None, lines), "")


def code_summary(code: str) -> str:
    """Return the first comment of code, if a line has it to itself, else its first line; empty without any."""
    lines = [line for line in map(str.strip, code[:_LOOKED_AT].splitlines()) if line]
    comment = next((line.lstrip("#! ") for line in lines if line.startswith("#") and line.lstrip("#! ")), None)
    return _cut(_shown(comment or next(iter(lines), "")))


def _shown(text: str) -> str:
    return " ".join(_UNSHOWN.sub(" ", text).split())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
