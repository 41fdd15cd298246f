"""Shows a run's input as it was read: the list of its files, or the text of one document."""

import re
from collections.abc import Iterator

from ...state.errors import UsageError
from ..invocation import Invocation
from ..terminal.console import put
from ..terminal.escape import safe, safe_json
from .common import from_library, thread_or_last

_LINES = re.compile(r"(\d{1,15})(?:-(\d{1,15}))?")


def show_input(
    invocation: Invocation, thread: str | None, document: str | None, lines: str | None, page: int | None
) -> None:
    """Print the files of a run's input, or a document of it. Raises UsageError for flags that do not go together."""
    if document is None and not (lines is None and page is None):
        raise UsageError("--lines and --page need --document.", hint="`rlm show --input` lists the documents.")
    if lines is not None and page is not None:
        raise UsageError("Give --lines or --page, not both.")
    wanted = _range(lines) if lines is not None else None
    name = thread_or_last(invocation, thread)
    if document is None:
        _list(invocation, name)
        return
    found = from_library(invocation, lambda library: library.input_document(name, document, wanted, page))
    if invocation.json:
        put(safe_json(found))
    elif wanted:
        put("\n".join(_numbered(found["text"], wanted[0])))
    else:
        put(safe(found["text"]).rstrip("\n"))


def _list(invocation: Invocation, thread: str) -> None:
    from ..render.input import print_reports

    files = from_library(invocation, lambda library: library.input_files(thread))
    if invocation.json:
        put(safe_json(files))
    else:
        about = from_library(invocation, lambda library: library.about(thread))
        print_reports(files, model=about["model"])


def _range(text: str) -> tuple[int, int]:
    match = _LINES.fullmatch(text)
    if not match:
        raise UsageError("--lines takes a line or a range, such as 12 or 120-140.")
    first = int(match[1])
    return first, int(match[2] or first)


def _numbered(text: str, first: int) -> Iterator[str]:
    lines = text.removesuffix("\n").split("\n")
    width = len(str(first + len(lines) - 1))
    for number, line in enumerate(lines, first):
        shown = safe(line.removesuffix("\r"))
        yield f"{number:>{width}}  {shown}"
