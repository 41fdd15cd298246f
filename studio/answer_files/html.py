"""HTML: one small page that loads nothing and runs nothing, with every character of the answer as text."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, TextIO

from ...state.answer_tables import Column
from .cells import cell_text
from .json_files import json_text
from .tables import Table

_HEAD = """<!DOCTYPE html>
<html lang="">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Answer</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
:root { color-scheme: light dark }
p, td, th, pre { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate }
table { border-collapse: collapse }
td, th { border: 1px solid #8888; padding: .25em .6em; text-align: start; vertical-align: top }
td.n { text-align: end; font-variant-numeric: tabular-nums }
</style>
</head>
<body>
"""
_TAIL = "</body>\n</html>\n"
_NO_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
"""Characters that a page may not have, not even escaped."""
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
_NUMERIC = ("integer", "number", "decimal", "duration")


def write_html(path: Path, table: Table) -> None:
    """Write a page with a table. Raises OSError."""
    with _page(path) as file:
        file.write("<table>\n<thead>\n<tr>")
        file.write("".join(f'<th scope="col">{_text(column.name)}</th>' for column in table.columns))
        file.write("</tr>\n</thead>\n<tbody>\n")
        for row in table.rows():
            cells = (_cell(one, column) for one, column in zip(row, table.columns, strict=True))
            file.write(f"<tr>{''.join(cells)}</tr>\n")
        file.write("</tbody>\n</table>\n")


def write_html_value(path: Path, value: Any) -> None:
    """Write a page with a text, in paragraphs, or with a JSON value. Raises OSError."""
    with _page(path) as file:
        if not isinstance(value, str):
            file.write(f"<pre>{_text(json_text(value, indent=2))}</pre>\n")
            return
        for paragraph in _PARAGRAPHS.split(value.replace("\r\n", "\n").strip("\n")):
            file.write(f"<p>{_text(paragraph)}</p>\n")


@contextmanager
def _page(path: Path) -> Generator[TextIO]:
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(_HEAD)
        yield file
        file.write(_TAIL)


def _cell(value: Any, column: Column) -> str:
    kind = ' class="n"' if column.type in _NUMERIC else ""
    return f"<td{kind}>{_text(cell_text(value))}</td>"


def _text(text: str) -> str:
    return escape(_NO_HTML.sub("\ufffd", text))
