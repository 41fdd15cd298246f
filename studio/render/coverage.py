"""Rendering of what models were shown of an input: a table of its documents, and what it comes to."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...state.wording import counted
from ..terminal.console import put, say
from ..terminal.escape import safe_line
from ..terminal.tables import Column, print_table

_ROWS = 200
"""Documents in the table."""
_NEVER = 20
"""Documents never read that are named."""
_RANGES = 6
"""Ranges of lines of one document that are printed."""


def print_coverage(found: dict[str, Any]) -> None:
    """Print the names of documents that were never read, a row for each other one, and sentences on stderr."""
    never = [one for one in found["read"] if one["bytes"] and not one["coverage"]]
    if never:
        put(f"Never read ({len(never):,}):")
        for one in never[:_NEVER]:
            put(f"  {safe_line(_name(one), 200)}")
        if len(never) > _NEVER:
            put(f"  and {len(never) - _NEVER:,} more, all with --json")
    read = [one for one in found["read"] if one["coverage"]]
    columns = [Column("DOCUMENT", wide=True), Column("READ", right=True), Column("LINES", limit=60), Column("BY")]
    if read:
        print_table(columns, [_row(one) for one in read[:_ROWS]])
    if (more := len(read) - _ROWS) > 0:
        put(f"and {counted(more, 'more document')} of which something was read, all with --json")
    for line in _about(found):
        say(line, whole=True)


def _row(one: dict[str, Any]) -> Sequence[str]:
    by = [name for name, key in (("sub-models", "sub_models"), ("root model", "root_model")) if one[key]]
    return _name(one), percent(one["coverage"]), _lines(one), " and ".join(by)


def _name(one: dict[str, Any]) -> str:
    return one["name"] or "context"


def _lines(one: dict[str, Any]) -> str:
    ranges = [str(first) if first == last else f"{first}-{last}" for first, last in one["lines"] or ()]
    more = len(ranges) - _RANGES + one["more_lines"]
    return ", ".join(ranges[:_RANGES]) + (f" and {more:,} more" if more > 0 else "")


def _about(found: dict[str, Any]) -> Iterator[str]:
    documents = found["documents"]
    if found["coverage"] is None:
        yield "What models were shown is not known: an earlier version made this run, or it has sent nothing yet."
        return
    whole, part, never = (f"{documents[name]:,}" for name in ("whole", "part", "never"))
    yield (
        f"Models were shown {percent(found['coverage'])} of the input: of {counted(documents['count'], 'document')}, "
        f"{whole} whole, {part} in part, {never} never."
    )
    subs = found["sub_models"]
    if subs["requests"]:
        yield (
            f"{percent(subs['not_placed'] or 0.0)} of what {counted(subs['requests'], 'sub-call')} sent is not placed: "
            "instructions, the code's own words, and text of the input that code has changed."
        )
    if unknown := subs["unknown_requests"] + found["root_model"]["unknown_requests"]:
        yield f"Nothing is recorded of {counted(unknown, 'more request')}."


def percent(share: float) -> str:
    """Return a share in percent: `100 %` and `0 %` only when it is all or nothing."""
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{99 if 0.99 < share < 1 else round(100 * share)} %"


def read_of(found: dict[str, Any] | None) -> str:
    """Return how many documents were read, for the summary of a run: `read 47 of 61 documents`; else empty."""
    if found is None or found["coverage"] is None:
        return ""
    documents = found["documents"]
    if documents["count"] < 2:
        return f"read {percent(found['coverage'])} of the input"
    return f"read {documents['whole'] + documents['part']:,} of {counted(documents['count'], 'document')}"
