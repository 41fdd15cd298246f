"""Rendering of what was read of an input: a table of its files, and what it comes to."""

from collections.abc import Sequence
from typing import Any

from ...state.wording import counted, listed, megabytes
from ..progress.text import dollars
from ..terminal.console import put, say
from ..terminal.tables import Column, print_table

_LOSSES = 2
"""Losses of one file that its row names."""


def print_reports(reports: Sequence[dict[str, Any]], *, model: str = "") -> None:
    """Print a row for each file, those that were read first, and a sentence about all of them on stderr.

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
        Column("DOCUMENTS", right=True),
        Column("PAGES", right=True),
        Column("TOKENS", right=True),
        Column("NOT READ", wide=True),
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
            _not_read(report),
        )
        for report in [*read, *skipped]
    ]
    if rows:
        print_table(columns, rows)
    say(_total(read, skipped, model), whole=True)


def _not_read(report: dict[str, Any]) -> str:
    if report["skipped"] is not None:
        return f"skipped: {report['skipped']}"
    return listed(report["losses"], _LOSSES, "; ")


def _total(read: Sequence[dict[str, Any]], skipped: Sequence[dict[str, Any]], model: str) -> str:
    documents, chars, tokens = (sum(report[name] for report in read) for name in ("documents", "chars", "tokens"))
    costs = [report["cost_usd"] for report in read]
    parts = [
        f"{counted(len(read), 'file')} read: {counted(documents, 'document')}, {chars:,} characters, "
        f"about {tokens:,} tokens"
    ]
    if model and None not in costs:
        parts.append(f"reading it all once costs about {dollars(sum(costs)) or '$0'} with {model}")
    lossy = sum(bool(report["losses"]) for report in read)
    if lossy:
        parts.append(f"{counted(lossy, 'file')} not whole")
    if skipped:
        parts.append(f"{counted(len(skipped), 'file')} skipped")
    return f"{'; '.join(parts)}."


def print_notes(notes: Sequence[str]) -> None:
    """Print what was left out without being looked at, such as hidden files."""
    for note in notes:
        put(note)
