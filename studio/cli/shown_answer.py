"""Prints an answer with the passages that it cites."""

import sys
from typing import TYPE_CHECKING, Any

from ..terminal.console import put, say
from ..terminal.escape import answer_text, safe

if TYPE_CHECKING:
    from ...graph.run import Run


def shown_answer(run: "Run") -> Any:
    """Return an answer with its citations below it, if it is a text; a value stays what it is."""
    if not isinstance(run.answer, str):
        return run.answer
    from ...state.evidence.footnotes import with_footnotes

    return with_footnotes(run.answer, run.citations)


def put_shown(run: "Run", *, in_a_file: bool) -> None:
    """Print an answer unless it is in a file, and the citations of one that is no text on stderr."""
    from ...state.evidence.footnotes import footnotes

    if not in_a_file:
        put_answer(shown_answer(run))
    if not isinstance(run.answer, str):
        for line in footnotes(run.citations):
            say(safe(line), whole=True)


def put_answer(answer: Any) -> None:
    """Print the answer on stdout: unchanged into a pipe or a file, escaped on a terminal."""
    text = answer_text(answer)
    put(safe(text) if sys.stdout.isatty() else text)
