"""Rendering of the passages that an answer cites, for `rlm show --citations`."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from ...state.wording import counted
from ..terminal.console import stdout_console
from ..terminal.escape import safe, safe_line

_CITED = "bold underline"
_MOST = 20_000
"""Characters of a passage that is printed whole."""


def print_citations(citations: Sequence[dict[str, Any]]) -> None:
    """Print the result of `RunQueries.cited`; all of it is escaped here."""
    console = stdout_console()
    if not citations:
        console.print(Text("The answer cites nothing."))
    for at, one in enumerate(citations):
        if at:
            console.print()
        console.print(_heading(one), soft_wrap=True)
        for line in _lines(one, plain=not console.is_terminal):
            console.print(line, soft_wrap=True)
    if len(citations) > 1:
        false = sum(not one["verified"] for one in citations)
        said = f"{false:,} NOT FOUND in the input" if false else "all found in the input"
        console.print(Text(f"\n{counted(len(citations), 'citation')}, {said}.", style="bold red" if false else "bold"))


def _heading(one: dict[str, Any]) -> Text:
    number = f"── [^{one['id']}] "
    if not one["verified"]:
        name = safe_line(one["document"], 200)
        return Text.assemble((number, "bold"), (f"NOT FOUND{' in ' if name else ''}{name}", "bold red"))
    facts = [safe_line(one["place"])]
    if one["line"] is not None:
        facts.append(f"line {one['line']:,}, column {one['column']:,}")
    if one["page"] is not None:
        facts.append(f"page {one['page']:,}")
    if one["how"] != "exact":
        facts.append(safe_line(one["how"]))
    return Text.assemble((number, "bold"), " · ".join(facts))


def _lines(one: dict[str, Any], *, plain: bool) -> Iterator[Text]:
    """Yield the lines of a passage and of the text around it; those with the passage are marked by `>`."""
    words = safe(one["quote"])
    if len(words) > _MOST:
        words = f"{words[: _MOST // 2]} … {words[-_MOST // 2 :]}"
    if one["verified"] and plain:
        words = f"**{words}**"
    parts = [(safe(one["before"] or ""), "dim"), (words, _CITED), (safe(one["after"] or ""), "dim")]
    for line in Text.assemble(*parts).split("\n"):
        cited = any(span.style == _CITED and span.end > span.start for span in line.spans)
        yield Text.assemble(("> " if cited else "  ", "bold"), line)
