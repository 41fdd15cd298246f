"""Formulas that share one text: the formula of each cell, from the text of the first and the distance between them."""

import re

from .sheet_text import column_name, column_number

_PIECES = re.compile(
    r"""
    (?P<quoted>"[^"]*"|'[^']*')
    | (?P<word>(?<![\w.])(?P<fixed_column>\$?)(?P<letters>[A-Za-z]{1,3})(?P<fixed_row>\$?)(?P<row>\d{1,7})(?![\w.(!]))
    """,
    re.VERBOSE,
)


def moved(formula: str, rows: int, columns: int) -> str:
    """Return a formula as it is `rows` below and `columns` right of its own cell: `A1+$B$1` becomes `A2+$B$1`."""

    def one(match: "re.Match[str]") -> str:
        if match["quoted"]:
            return match[0]
        letters, row = match["letters"].upper(), int(match["row"])
        if not match["fixed_column"]:
            letters = column_name(column_number(letters) + columns) or letters
        if not match["fixed_row"]:
            row = max(1, row + rows)
        return f"{match['fixed_column']}{letters}{match['fixed_row']}{row}"

    return _PIECES.sub(one, formula)
