"""Rendering of what was read of an input: a table of its files, and what it comes to."""

from collections.abc import Sequence
from typing import Any

from ...state.wording import counted, megabytes
from ..progress.text import dollars
from ..terminal.console import put, say
from ..terminal.escape import safe_line
from ..terminal.tables import Column, print_table

_LOSSES = 10
"""Losses of one file that are printed."""
_LONGEST = 300


def print_reports(reports: Sequence[dict[str, Any]], *, model: str = "") -> None:
    """Print a row for each file, what of it was not read, and a sentence about all of them on stderr.

    `model`: the one whose price the costs are of; empty when none is named.
    """
    read = [report for report in reports if report["skipped"] is None]
    skipped = [report for report in reports if report["skipped"] is not None]
    encodings = any(report["encoding"] not in ("", "UTF-8") for report in read)
    columns = [
        Column("FILE", limit=80),
        Column("KIND", limit=20),
        Column("SIZE", right=True),
        *([Column("ENCODING", limit=16)] if encodings else []),
        Column("DOCS", right=True),
        Column("PAGES", right=True),
        Column("TOKENS", right=True),
        Column("NOTES"),
    ]
    rows = [
        (
            report["path"],
            report["kind"],
            megabytes(report["bytes"]),
            *([report["encoding"]] if encodings else []),
            f"{report['documents']:,}" if report["documents"] else "",
            f"{report['pages']:,}" if report["pages"] else "",
            f"{report['tokens']:,}" if report["tokens"] else "",
            _marked(report),
        )
        for report in [*read, *skipped]
    ]
    if rows:
        print_table(columns, rows)
    for report in [*read, *skipped]:
        for line in _not_read(report):
            put(f"  {safe_line(report['path'])}: {safe_line(line, _LONGEST)}")
    say(_total(read, skipped, model), whole=True)


def _marked(report: dict[str, Any]) -> str:
    """Return the mark of a file in the table; `_not_read` says what it means."""
    if report["skipped"] is not None:
        return "skipped"
    notes = len(report["losses"])
    return counted(notes, "note") if notes else ""


def _not_read(report: dict[str, Any]) -> list[str]:
    """Return a line for each thing of a file that was not read, the first of them if there are many."""
    if report["skipped"] is not None:
        return [f"skipped: {report['skipped']}"]
    losses = list(report["losses"])
    more = len(losses) - _LOSSES
    return losses if more <= 0 else [*losses[:_LOSSES], f"and {counted(more, 'more note')}, all with --json"]


def _total(read: Sequence[dict[str, Any]], skipped: Sequence[dict[str, Any]], model: str) -> str:
    documents, chars, tokens = (sum(report[name] for report in read) for name in ("documents", "chars", "tokens"))
    costs = [report["cost_usd"] for report in read]
    parts = [
        f"{counted(len(read), 'file')} read: {counted(documents, 'document')}, {chars:,} characters, "
        f"about {tokens:,} tokens"
    ]
    if model and None not in costs:
        parts.append(f"reading it all once costs about {dollars(sum(costs)) or '$0'} with {model}")
    noted = sum(bool(report["losses"]) for report in read)
    if noted:
        parts.append(f"{counted(noted, 'file')} with notes")
    if skipped:
        parts.append(f"{counted(len(skipped), 'file')} skipped")
    return f"{'; '.join(parts)}."


def print_notes(notes: Sequence[str]) -> None:
    """Print what was left out without being looked at, such as hidden files."""
    for note in notes:
        put(note)
