"""Find the passages that an answer gives as quotations: in quotation marks, or as a Markdown block quote.

Linear in the answer's length. What is in a fenced code block, or between backticks, is code and not a quotation.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, cast

from ...matching.markers import MARKER

LEAST_WORDS = 4
"""Words from which what stands in quotation marks is a quotation, and not a term or a title."""
_MARKS = re.compile(
    '“([^“”]*+)(?:”|\\Z)|„([^„“”"]*+)[“”"]|«([^«»]*+)»|»([^«»]*+)«|‹([^‹›]*+)›|「([^「」]*+)」|『([^『』]*+)』'
    '|”([^“”]*+)”|(?<!\\w)"([^"]*+)"|‘([^‘’]*+(?:’(?=\\w)[^‘’]*+)*)’(?!\\w)|‚([^‚‘’]*+)[‘’]'
    "|(?<![\\w'])'((?![\\s\\d'])[^']*+(?:(?<=\\w)'(?=\\w)[^']*+)*)'(?!\\w)"
)
"""A straight mark opens where no word ends: `5"` are inches, and in `tenants' rights` it is an apostrophe.

No group is possessive: Python before 3.11.5 finds nothing with some of them.
"""
_BACKTICKS = re.compile(r"`+")
_MARKERS = re.compile(rf"[ ]?{MARKER.pattern}")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_BLOCK = re.compile(r"[ ]{0,12}(?:(?:[-*+]|\d{1,9}[.)])[ ]{1,4})?(?:>[ ]?)+")
_ATTRIBUTION = re.compile(r"\s*(?:—|–|--|\[!)")
_OMISSION = re.compile(r"\[?(?:…|\.\.\.|\. \. \.)\]?")
_INSERTED = re.compile(r"\[(\w{1,3})\]")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_EDGES = " \t\r\n*_.,;:!?–—-()'\"“”„‘’«»"


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of an answer: itself, or all those in a JSON value or its text, without the names of fields."""
    waiting: list[Any] = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                found = _json_in(text)
                if found is None:
                    yield text
                else:
                    waiting.append(found)
            case dict() as fields:
                waiting += reversed(cast("dict[str, Any]", fields).values())
            case list() as items:
                waiting += reversed(cast("list[Any]", items))
            case _:
                pass


def _json_in(text: str) -> dict[str, Any] | list[Any] | None:
    """Return the object or list that a text is the JSON of, whose quotation marks quote nothing."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def passages_in(text: str) -> Iterator[str]:
    """Yield the passages that a text gives as quotations, without markers of citations, of four words and more."""
    for is_block, lines in groupby(_lines_outside_code(text), key=lambda line: bool(_BLOCK.match(line))):
        if is_block:
            said = (line for line in (_BLOCK.sub("", line, count=1) for line in lines) if not _ATTRIBUTION.match(line))
            found = iter(_paragraphs(said))
        else:
            marked = (match for one in _paragraphs(lines) for match in _MARKS.finditer(_without_code(one)))
            found = (next(part for part in match.groups() if part is not None) for match in marked)
        yield from (passage for one in found if _words(passage := _MARKERS.sub("", one)) >= LEAST_WORDS)


def fragments_of(passage: str) -> list[str]:
    """Return the parts of a quotation that must stand in the source, without what a writer may change.

    What is left out is a part's end, letters may be in brackets (`[t]he`), and punctuation at the ends is the writer's.
    """
    plain = _INSERTED.sub(r"\1", passage)
    return [part for one in _OMISSION.split(plain) if (part := one.strip(_EDGES))]


def _lines_outside_code(text: str) -> Iterator[str]:
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            yield line


def _without_code(paragraph: str) -> str:
    """Return a paragraph with a blank for each piece of code, which ends at as many backticks as it began with."""
    runs = list(_BACKTICKS.finditer(paragraph))
    later: dict[str, int] = {}
    closing: dict[int, int] = {}
    for at in range(len(runs) - 1, -1, -1):
        if runs[at][0] in later:
            closing[at] = later[runs[at][0]]
        later[runs[at][0]] = at
    kept: list[str] = []
    at = end = 0
    while at < len(runs):
        if at in closing:
            kept.append(paragraph[end : runs[at].start()])
            at = closing[at]
            end = runs[at].end()
        at += 1
    return " ".join([*kept, paragraph[end:]])


def _paragraphs(lines: Iterator[str]) -> list[str]:
    return ["\n".join(group) for full, group in groupby(lines, key=lambda line: bool(line.strip())) if full]


def _words(passage: str) -> int:
    return len(passage.split()) + len(_UNSPACED.findall(passage)) // 2
