"""The form of an answer's file, chosen by its suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from ..terminal.escape import answer_text
from . import delimited, excel, html, json_files, markdown, parquet
from .tables import Table, table_of

TableWriter = Callable[[Path, Table], str | None]
"""Writes a table to a path, and returns what is to be said of it, if anything. Raises OSError, StoreError."""

_WRITERS: dict[str, TableWriter] = {
    ".csv": delimited.write_csv,
    ".tsv": delimited.write_tsv,
    ".json": json_files.write_json,
    ".jsonl": json_files.write_jsonl,
    ".md": markdown.write_markdown,
    ".html": html.write_html,
    ".xlsx": excel.write_excel,
    ".parquet": parquet.write_parquet,
}
_FOR_TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
_JSON = ".json"


def actual_suffix(suffix: str, value: Any) -> str:
    """Return the suffix of the form in which a JSON value can be written: `.json` where `suffix` has no form for it."""
    if suffix in _FOR_TABLES:
        return suffix if table_of(value) is not None else _JSON
    return _JSON if suffix == ".jsonl" and not isinstance(value, list) else suffix


def write_table(path: Path, suffix: str, table: Table) -> str:
    """Write a table in the form of `suffix`, or as JSON. Return what is to be said of it, if anything.

    Raises OSError, StoreError.
    """
    return _WRITERS.get(suffix, json_files.write_json)(path, table) or ""


def write_value(path: Path, suffix: str, value: Any) -> str:
    """Write a JSON value in the form of `suffix`. Return what is to be said of it, if anything.

    Raises OSError, StoreError.
    """
    table = _as_table(suffix, value)
    if table is not None:
        return write_table(path, suffix, table)
    match suffix:
        case ".jsonl":
            json_files.write_lines(path, cast("list[Any]", value))
        case ".html":
            html.write_html_value(path, value)
        case ".md" if not isinstance(value, str):
            _write_text(path, markdown.value_block(value))
        case ".json" if isinstance(value, str) and not json_files.is_json(value):
            _write_text(path, f"{json_files.json_text(value)}\n")
        case _:
            _write_text(path, answer_text(value))
    return ""


def _as_table(suffix: str, value: Any) -> Table | None:
    """Return a JSON value as the table that this form makes of it, or None when it is written as a value."""
    if suffix in _FOR_TABLES or (suffix in (".md", ".html") and value):
        return table_of(value)
    return None


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "replace"))
