"""Markdown: tables as GitHub shows them, values as a block of JSON.

Characters that would format, embed, or link other words are escaped: the text of a cell is not Markdown. An address
that is written out stays one, which GitHub shows as a link to what it says.
"""

import re
from pathlib import Path
from typing import Any

from ...state.answer_tables import Column
from .cells import cell_text
from .json_files import json_text
from .tables import Table

_FORMATTING = re.compile(r"[\\|`*_\[\]<>~$]|&(?=#?\w+;)")
"""Characters that Markdown does not take as they are."""
_FORMATTING_OR_MARK = re.compile(rf"\[\^\d+\]|{_FORMATTING.pattern}")
"""The same, or the mark of a citation, which stays."""
_LINE_END = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_NUMERIC = ("integer", "number", "decimal", "duration")


def write_markdown(path: Path, table: Table) -> None:
    """Write a table. Raises OSError."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        if not table.columns:
            file.write(f"({table.rows_count} rows)\n" if table.rows_count else "(no rows)\n")
            return
        file.write(_line([_cell(column.name) for column in table.columns]))
        file.write(_line([_rule(column) for column in table.columns]))
        for row in table.rows():
            file.write(_line([_cell(one) for one in row]))


def value_block(value: Any) -> str:
    """Return a JSON value as a fenced block."""
    text = json_text(value, indent=2)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}json\n{text}\n{fence}\n"


def escaped(text: str) -> str:
    """Return a text of which Markdown formats, embeds and links nothing, marks of citations included."""
    return _FORMATTING.sub(_escaped, text)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _rule(column: Column) -> str:
    return "---:" if column.type in _NUMERIC else "---"


def _cell(value: Any) -> str:
    text = cell_text(value)
    if isinstance(value, str):
        text = text.strip()
    return _LINE_END.sub("<br>", _FORMATTING_OR_MARK.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    match found[0]:
        case "<":
            return "&lt;"
        case ">":
            return "&gt;"
        case "&":
            return "&amp;"
        case mark if len(mark) > 1:
            return mark
        case character:
            return f"\\{character}"
