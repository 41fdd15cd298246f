"""Values that a column can hold. What it cannot hold is refused in words before it waits for a transaction."""

import math
from collections.abc import Mapping
from typing import Any

from ..errors import StoreError

MOST_BYTES = 900_000_000
"""Bytes of one row: SQLite takes a billion, the row's other columns included."""
_MOST, _LEAST = 2**63 - 1, -(2**63)


def encodable(text: str) -> bool:
    """Return whether a text can be written as UTF-8: it has no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def ensure_storable(row: Mapping[str, Any], what: str) -> None:
    """Raise StoreError unless SQLite can hold every value of a row. `what` names the row in the error."""
    size = 0
    for column, value in row.items():
        if fault := _fault(value):
            hint = "This is a fault of what sent it or of the program; the other rows of the run are kept."
            raise StoreError(f"{what} cannot be saved: its {column.replace('_', ' ')} {fault}.", hint=hint)
        # A character has a byte at least; texts that are large have been stored by their hash.
        size += len(value) if isinstance(value, str | bytes) else 0
    if size > MOST_BYTES:
        raise StoreError(
            f"{what} cannot be saved: it has {size:,} bytes, more than a row can hold.",
            hint="Give large texts as the input of a run, which is stored in files.",
        )


def _fault(value: Any) -> str | None:
    """Return what is wrong with a value, as the end of a sentence. Texts and numbers first: each write has many."""
    if isinstance(value, str):
        return None if encodable(value) else "has characters that are not text (lone surrogates)"
    if isinstance(value, int):
        # Digits of an enormous number take minutes to write, and Python refuses.
        return None if _LEAST <= value <= _MOST else f"is a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}, which is no number"
    return None if value is None or isinstance(value, bytes) else f"is of the type {type(value).__name__}"
