"""Prints an answer with the passages that it cites."""

import sys
from typing import TYPE_CHECKING, Any

from ..terminal.console import put, say
from ..terminal.escape import answer_text, safe

if TYPE_CHECKING:
    from ...graph.run import Run
    from .files import AnswerFile


def shown_answer(run: "Run", *, in_markdown: bool = False) -> Any:
    """Return an answer with its citations below it, if it is a text; a value stays what it is.

    `in_markdown`: what the documents say is not formatted, embedded or linked.
    """
    if not isinstance(run.answer, str):
        return run.answer
    from ...state.evidence.footnotes import with_footnotes

    if not in_markdown:
        return with_footnotes(run.answer, run.citations)
    from ..answer_files.markdown import escaped

    return with_footnotes(run.answer, run.citations, escaped)


def is_too_large(answer: Any) -> bool:
    """Return whether an answer is a table that only a file can have, and `answer` the facts about it."""
    if not isinstance(answer, dict):
        return False
    from ...nodes.runtime.answers import LargeTable

    return isinstance(answer, LargeTable)


def put_shown(run: "Run", file: "AnswerFile | None") -> None:
    """Print an answer unless it is in a file, and on stderr its citations where no footnotes are below it."""
    from ...state.evidence.footnotes import footnotes

    if file is None and not is_too_large(run.answer):
        put_answer(shown_answer(run))
    if not isinstance(run.answer, str) or (file is not None and file.is_data(run.answer)):
        for line in footnotes(run.citations):
            say(safe(line), whole=True)


def put_answer(answer: Any) -> None:
    """Print the answer on stdout: unchanged into a pipe or a file, escaped on a terminal."""
    text = answer_text(answer)
    put(safe(text) if _on_terminal() else text)


def _on_terminal() -> bool:
    return sys.stdout.isatty()
