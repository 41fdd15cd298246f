"""Jupyter notebooks, versions 2 to 4: every cell with its number, sources whole, outputs shortened.

Images and interactive views are named and counted. Lengths that were cut are said where they were cut.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from ..draft import Draft, GivenFile, Read, Unusable
from .web.html import decoded, text_of_html

LARGEST = 128 << 20
"""Bytes of a notebook; images in it are most of them."""
_LONGEST_OUTPUT = 20_000
"""Characters of one output, beyond which its middle is left out."""
_MOST_CELLS = 100_000
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_WORD = re.compile(r"\w+")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)
_TEXTS = ("text/plain", "text/markdown", "text/html", "text/latex", "application/json")
"""Forms of an output that are text, the one that is shown first."""
_OLD_FORMS = {
    "text": "text/plain",
    "html": "text/html",
    "latex": "text/latex",
    "json": "application/json",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "javascript": "application/javascript",
}
"""Names of versions 2 and 3."""

Fields: TypeAlias = dict[str, Any]


def read(given: GivenFile) -> Read:
    """Yield the notebook; a damaged one as it is written. Raises Unusable for one that is too large or has no cells."""
    if given.size > LARGEST:
        raise Unusable(f"too large (a notebook of over {LARGEST >> 20} MiB)", "Clear its outputs first.")
    draft = Draft("notebook")
    source = decoded(given.file.read(), draft, given.options.encoding)
    try:
        book = json.loads(source)
    except (ValueError, RecursionError) as error:
        draft.lose(f"a damaged notebook, shown as it is written ({type(error).__name__}: {str(error)[:100]})")
        draft.write(source)
        yield draft
        return
    cells = _cells(_fields(book))
    if not cells:
        raise Unusable("a notebook without cells")
    _describe(draft, _fields(_fields(book).get("metadata")))
    for number, cell in enumerate(cells[:_MOST_CELLS], 1):
        _write_cell(draft, number, cell)
    if len(cells) > _MOST_CELLS:
        draft.not_shown("cell", len(cells) - _MOST_CELLS)
    yield draft


def _cells(book: Fields) -> list[Fields]:
    """Return the cells; versions 2 and 3 have them in work sheets."""
    found = _list(book.get("cells"))
    for sheet in _list(book.get("worksheets")):
        found = found + _list(_fields(sheet).get("cells"))
    return [_fields(cell) for cell in found]


def _describe(draft: Draft, metadata: Fields) -> None:
    kernel, language = _fields(metadata.get("kernelspec")), _fields(metadata.get("language_info"))
    for name, value in (
        ("language", language.get("name") or kernel.get("language")),
        ("title", metadata.get("title") or metadata.get("name")),
    ):
        if isinstance(value, str) and value.strip():
            draft.meta[name] = value.strip()[:200]
    authors = [str(_fields(one).get("name", "")) for one in _list(metadata.get("authors"))]
    if any(authors):
        draft.meta["authors"] = [one[:200] for one in authors if one][:50]
    if "title" in draft.meta:
        draft.write(f"{draft.meta['title']}\n\n")


def _write_cell(draft: Draft, number: int, cell: Fields) -> None:
    kind = str(cell.get("cell_type", "code"))[:20]
    source = _text(cell.get("source", cell.get("input")))
    count = cell.get("execution_count", cell.get("prompt_number"))
    draft.mark("cells", kind, number=number)
    draft.write(f"[cell {number}, {kind}{f', run {count}' if isinstance(count, int) else ''}]\n")
    if kind == "heading":
        level = cell.get("level")
        source = f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {source}"
    if kind in ("markdown", "heading"):
        _write_markdown(draft, source)
    else:
        draft.write(source)
    draft.write("\n" if source and not source.endswith("\n") else "")
    for name, attached in _fields(cell.get("attachments")).items():
        for form in _fields(attached):
            draft.write(f"[attached {form[:50]}: {name[:200]}]\n")
            draft.not_shown("image" if form.startswith("image/") else "attachment")
    outputs = "".join(_outputs(draft, _list(cell.get("outputs"))))
    if outputs:
        draft.write(f"[output of cell {number}]\n{outputs}")
    draft.write("\n")


def _write_markdown(draft: Draft, source: str) -> None:
    code = [(found.start(), found.end()) for found in _FENCE.finditer(source)]
    at = 0
    for found in _HEADING.finditer(source):
        while code and code[0][1] <= found.start():
            code.pop(0)
        if code and code[0][0] <= found.start():
            continue
        draft.write(source[at : found.start()])
        draft.mark("sections", found[2].strip(), level=len(found[1]))
        at = found.start()
    draft.write(source[at:])


def _outputs(draft: Draft, outputs: list[Any]) -> Iterator[str]:
    for one in map(_fields, outputs):
        kind = one.get("output_type")
        if kind == "stream":
            text = _text(one.get("text"))
            yield _line(draft, f"[stderr]\n{text}" if "stderr" in (one.get("name"), one.get("stream")) else text)
        elif kind in ("error", "pyerr"):
            trace = "\n".join(_text(line) for line in _list(one.get("traceback")))
            error = f"{_text(one.get('ename'))}: {_text(one.get('evalue'))}"
            yield _line(draft, trace if error in _plain(trace) else f"{trace}\n{error}".lstrip())
        else:
            old = {_OLD_FORMS[name]: value for name, value in one.items() if name in _OLD_FORMS}
            yield from _shown(draft, _fields(one.get("data")) or old)


def _shown(draft: Draft, forms: Fields) -> Iterator[str]:
    """Yield one output, which stands there in several forms: its texts, and the names of what is no text."""
    texts: list[str] = []
    for form in _TEXTS:
        value = forms.get(form, "")
        text = _text(value) if isinstance(value, str | list) else json.dumps(value, ensure_ascii=False)
        texts.append(text_of_html(text) if form == "text/html" else text)
    # The plain form of a table leaves out its middle. Further forms are shown if they have words of their own.
    texts.sort(key=len, reverse="<table" in _text(forms.get("text/html")))
    known: set[str] = set()
    for text in texts:
        words = set(_WORD.findall(text))
        if not words <= known or (text.strip() and not known):
            yield _line(draft, text)
        known |= words
    for form, value in forms.items():
        if form in _TEXTS:
            continue
        size = len(_text(value)) if isinstance(value, str | list) else len(json.dumps(value))
        size = size * 3 // 4 if form.startswith("image/") and "svg" not in form else size
        yield f"[{form[:80]}, {_size(size)}]\n"
        draft.not_shown(_noun(form))


def _noun(form: str) -> str:
    if form.startswith("image/"):
        return "image"
    if "widget" in form:
        return "widget"
    return "script" if "javascript" in form else "interactive output"


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1024 else f"{size >> 10} KB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MB"


def _line(draft: Draft, text: str) -> str:
    """Return an output as lines of its own, its middle left out if it is long."""
    text = _plain(text)
    if len(text) > _LONGEST_OUTPUT:
        cut = len(text) - _LONGEST_OUTPUT
        half = _LONGEST_OUTPUT // 2
        text = f"{text[:half]}\n[… {cut:,} characters cut …]\n{text[-half:]}"
        draft.lose(f"outputs of over {_LONGEST_OUTPUT:,} characters are cut")
    return text if text.endswith("\n") or not text else f"{text}\n"


def _plain(text: str) -> str:
    """Return text without the escape sequences of terminals."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def _text(value: object) -> str:
    """Return a text, which notebooks have as one or as a list of lines."""
    if isinstance(value, list):
        return "".join(one for one in cast("list[Any]", value) if isinstance(one, str))
    return value if isinstance(value, str) else ""


def _fields(value: object) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
