"""Cells as text: what CSV, Markdown and HTML show of a value, and text that a spreadsheet would compute."""

import json
import math
import re
from typing import Any

from ...state.answer_tables import ColumnType
from .tables import is_missing

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""Characters with which a text begins that a spreadsheet takes for a formula; it trims the white space among them."""
_NUMBERS: tuple[ColumnType, ...] = ("integer", "number", "decimal")


def cell_text(cell: Any) -> str:
    """Return a cell as text: empty without a value, a text as it is, anything else as JSON."""
    if isinstance(cell, str):
        return cell
    if is_missing(cell):
        return ""
    if isinstance(cell, float) and math.isinf(cell):
        return "inf" if cell > 0 else "-inf"
    return json.dumps(cell, ensure_ascii=False)


def is_number(text: str) -> bool:
    """Return whether a text is a decimal number, as JSON or Python writes it."""
    return _NUMBER.fullmatch(text) is not None


def computes(cell: Any, kind: ColumnType) -> bool:
    """Return whether a spreadsheet would take this text for a formula. Numbers, negative ones too, are not."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return False
    return not (kind in _NUMBERS and is_number(cell))
