"""JSON and JSON Lines."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from .tables import Table, records_of


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON; numbers that JSON does not have (NaN, infinity) are null."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in cast("dict[Any, Any]", value).items()}
    return [_finite(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def is_json(text: str) -> bool:
    """Return whether a text is a JSON document."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(word)


def write_json(path: Path, table: Table) -> None:
    """Write a list of objects, one on a line. Raises OSError."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        separator = "[\n"
        for record in records_of(table):
            file.write(f"{separator}{json_text(record)}")
            separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")


def write_jsonl(path: Path, table: Table) -> None:
    """Write one object on a line. Raises OSError."""
    write_lines(path, records_of(table))


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value on a line. Raises OSError."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for value in values:
            file.write(f"{json_text(value)}\n")
